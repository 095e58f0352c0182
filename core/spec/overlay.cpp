#include "spec/overlay.h"

#include <algorithm>
#include <array>

#include "plugin/catalogue.h"

namespace silc {
namespace {

constexpr std::array kSlots = {
    PluginSlot{"objective", PluginKind::objective, ""},
    PluginSlot{"data.train", PluginKind::dataset, ""},
    PluginSlot{"model.image", PluginKind::image_backbone, "vit"},
    PluginSlot{"model.text", PluginKind::text_backbone, "text_transformer"},
    PluginSlot{"model.text.tokenizer", PluginKind::tokenizer, "words"},
};

const PluginSlot* slot_at(std::string_view path) {
  const auto found =
      std::find_if(kSlots.begin(), kSlots.end(), [&](const PluginSlot& slot) { return slot.path == path; });
  return found == kSlots.end() ? nullptr : &*found;
}

void expand_at(Setting& setting, const std::string& path) {
  if (const PluginSlot* slot = slot_at(path); slot && setting.is_text()) {
    Setting table{setting.place, Setting::Table{}};
    table.set(reserved_keys(slot->kind).front(), setting, setting.place);
    setting = std::move(table);
  }
  if (!setting.is_table()) return;
  for (Entry& entry : setting.table()) expand_at(entry.value, dotted(path, entry.key));
}

void drop_options(Setting& plugin, PluginKind kind) {
  const auto reserved = reserved_keys(kind);
  std::erase_if(plugin.table(), [&](const Entry& entry) {
    return std::find(reserved.begin(), reserved.end(), entry.key) == reserved.end();
  });
}

void lay_over_at(Setting& base, const Setting& over, const std::string& path) {
  if (!base.is_table() || !over.is_table() || path == "budget" || path == "checkpoint") {
    base = over;
    return;
  }
  if (const PluginSlot* slot = slot_at(path); slot && over.find(reserved_keys(slot->kind).front()))
    drop_options(base, slot->kind);
  for (const Entry& entry : over.table()) {
    if (Entry* below = base.find(entry.key)) {
      lay_over_at(below->value, entry.value, dotted(path, entry.key));
      if (!entry.value.is_table()) below->place = entry.place;
    } else {
      base.table().push_back(entry);
    }
  }
}

}  // namespace

std::span<const PluginSlot> plugin_slots() { return kSlots; }

std::span<const std::string> setting_keys() {
  static const std::array<std::string, 8> keys = {"objective", "budget", "data",       "model",
                                                  "optimizer", "engine", "evaluation", "checkpoint"};
  return keys;
}

void expand_plugin_names(Setting& settings) { expand_at(settings, ""); }

Setting setting_at(std::string_view key, Setting value, const Place& place) {
  while (!key.empty()) {
    const std::size_t dot = key.rfind('.');
    Setting table{value.place, Setting::Table{}};
    table.set(dot == std::string_view::npos ? key : key.substr(dot + 1), std::move(value), place);
    value = std::move(table);
    key = dot == std::string_view::npos ? std::string_view() : key.substr(0, dot);
  }
  expand_plugin_names(value);
  return value;
}

void lay_over(Setting& base, const Setting& over) { lay_over_at(base, over, ""); }

}  // namespace silc
