// Inheritance: how a row's settings are laid over those of its base and of the file. No LibTorch.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "silc/plugin.h"
#include "spec/setting.h"

namespace silc {

// Where a plugin stands among the settings.
struct PluginSlot {
  std::string_view path;  // "model.image"
  PluginKind kind;
  std::string_view standard;  // the plugin that is meant if none is named; empty: it must be named
};
std::span<const PluginSlot> plugin_slots();

// The keys of a file that a row may change: "budget", "data", …
std::span<const std::string> setting_keys();

// Writes plugins that are given as a text, their name, as tables: "clip" becomes { name = "clip" }.
void expand_plugin_names(Setting& settings);

// `value` as the settings that have it alone, at a key like "optimizer.lr"; plugins expanded.
Setting setting_at(std::string_view key, Setting value, const Place& place);

// Lays `over` over `base`, table by table. Two tables do not mix: a budget replaces a budget, a checkpoint a
// checkpoint, and a plugin that is named drops the options (not the reserved keys, like split or image_size) of the one
// below, even if that has the same name. Both must have been through expand_plugin_names.
void lay_over(Setting& base, const Setting& over);

}  // namespace silc
