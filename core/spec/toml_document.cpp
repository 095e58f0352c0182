#include "spec/toml_document.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <tuple>

namespace silc {
namespace {

Place place_of(const toml::source_region& region, const std::string& file) {
  return {file, region.begin.line, region.begin.column};
}

Setting convert(const toml::node& node, const std::string& file);

Setting::Table convert_table(const toml::table& table, const std::string& file) {
  Setting::Table entries;
  for (const auto& [key, value] : table)
    entries.push_back({std::string(key.str()), place_of(key.source(), file), convert(value, file)});
  // toml++ sorts by name; the order of the file matters for a matrix.
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.place.line, a.place.column) < std::tie(b.place.line, b.place.column);
  });
  return entries;
}

Setting convert(const toml::node& node, const std::string& file) {
  Setting setting;
  setting.place = place_of(node.source(), file);
  node.visit([&](const auto& value) {
    using Node = std::remove_cvref_t<decltype(value)>;
    if constexpr (toml::is_table<Node>) {
      setting.value = convert_table(value, file);
    } else if constexpr (toml::is_array<Node>) {
      Setting::Array array;
      for (const toml::node& element : value) array.push_back(convert(element, file));
      setting.value = std::move(array);
    } else if constexpr (toml::is_string<Node> || toml::is_integer<Node> || toml::is_floating_point<Node> ||
                         toml::is_boolean<Node>) {
      setting.value = value.get();
    } else {
      setting.value = DateSetting{};
    }
  });
  return setting;
}

void place_everywhere(Setting& setting, const Place& place) {
  setting.place = place;
  if (setting.is_array())
    for (Setting& element : setting.array()) place_everywhere(element, place);
  if (setting.is_table()) {
    for (Entry& entry : setting.table()) {
      entry.place = place;
      place_everywhere(entry.value, place);
    }
  }
}

bool is_array_of_tables(const Setting& setting) {
  return setting.is_array() && !setting.array().empty() &&
         std::all_of(setting.array().begin(), setting.array().end(),
                     [](const Setting& element) { return element.is_table(); });
}

void write_values(const Setting& table, std::string& text) {
  for (const auto& [key, place, value] : table.table())
    text += fmt::format("{} = {}\n", dotted("", key), toml_text(value));
}

void write_table(const Setting& table, const std::string& path, std::string& text) {
  Setting values{{}, Setting::Table{}};
  for (const Entry& entry : table.table())
    if (!entry.value.is_table() && !is_array_of_tables(entry.value)) values.table().push_back(entry);
  if (!path.empty() && (!values.table().empty() || table.table().empty()))
    text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", path);
  write_values(values, text);
  for (const auto& [key, place, value] : table.table()) {
    const std::string inner = dotted(path, key);
    if (value.is_table()) write_table(value, inner, text);
    if (!is_array_of_tables(value)) continue;
    for (const Setting& element : value.array()) {
      text += fmt::format("{}[[{}]]\n", text.empty() ? "" : "\n", inner);
      write_values(element, text);
    }
  }
}

}  // namespace

std::optional<Setting> parse_toml(const std::string& text, const std::string& file, Faults& faults) {
  try {
    return convert(toml::parse(text, file), file);
  } catch (const toml::parse_error& error) {
    faults.add(place_of(error.source(), file), std::string(error.description()));
    return std::nullopt;
  }
}

std::optional<Setting> parse_assignment(const std::string& assignment, Faults& faults) {
  const Place place{"--set"};
  if (assignment.find('=') == std::string::npos) {
    faults.add(place, fmt::format("\"{}\" is not KEY=VALUE, as in optimizer.lr=1e-3", assignment));
    return std::nullopt;
  }
  Faults syntax;
  std::optional<Setting> setting = parse_toml(assignment, place.file, syntax);
  if (!setting) {
    faults.add(place, fmt::format("\"{}\" is not KEY=VALUE with VALUE in TOML; a text needs its quotes, as in "
                                  "'optimizer.schedule=\"constant\"'",
                                  assignment));
    return std::nullopt;
  }
  place_everywhere(*setting, place);
  return setting;
}

std::string write_toml(const Setting& root) {
  std::string text;
  write_table(root, "", text);
  return text;
}

}  // namespace silc
