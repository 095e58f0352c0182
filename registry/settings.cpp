#include "registry/settings.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "files/run_folder.h"
#include "silc/error.h"

namespace silc {

namespace {

using Settings = std::map<std::string, std::string>;

std::string join(const std::string& prefix, std::string_view key) {
  return prefix.empty() ? std::string(key) : prefix + "." + std::string(key);
}

// As TOML, numbers in as few digits as give them back.
std::string text_of(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) return fmt::format("\"{}\"", *text);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  if (const toml::array* array = node.as_array()) {
    std::string text;
    for (const toml::node& item : *array) text += (text.empty() ? "" : ", ") + text_of(item);
    return "[" + text + "]";
  }
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  return text.str();
}

void flatten(const toml::node& node, const std::string& key, Settings& settings) {
  if (const toml::table* table = node.as_table()) {
    for (const auto& [name, value] : *table) flatten(value, join(key, name.str()), settings);
    return;
  }
  const toml::array* array = node.as_array();
  if (array != nullptr && !array->empty() && array->is_homogeneous<toml::table>()) {
    // [[evaluate]] and its like, by their names.
    for (std::size_t i = 0; i < array->size(); ++i) {
      const toml::table& item = *array->get_as<toml::table>(i);
      flatten(item, join(key, item["name"].value_or(std::to_string(i))), settings);
    }
    return;
  }
  settings[key] = text_of(node);
}

toml::table parse(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) throw Error(file.string() + " is missing: its cell was not started yet");
  try {
    return toml::parse_file(file.string());
  } catch (const toml::parse_error& error) {
    throw Error(file.string() + ":" + std::to_string(error.source().begin.line) + ":" +
                std::to_string(error.source().begin.column) + ": " + std::string(error.description()));
  }
}

}  // namespace

Settings settings_of_cell(const std::filesystem::path& run_folder) {
  std::vector<Settings> phases;  // last one first
  std::set<std::filesystem::path> seen;
  for (RunFolder folder{run_folder}; seen.insert(folder.path).second;) {
    toml::table table = parse(folder.cell());
    const auto before = table["start"]["folder"].value<std::string>();
    table.erase("cell");
    table.erase("start");
    flatten(table, "", phases.emplace_back());
    if (!before || before->empty()) break;
    folder = folder.sibling(*before);
  }
  Settings settings = std::move(phases.front());
  for (std::size_t i = 1; i < phases.size(); ++i)
    for (auto& [key, value] : phases[i])
      settings["phase " + std::to_string(phases.size() - i) + ": " + key] = std::move(value);
  return settings;
}

bool is_condition(const SettingDifference& difference) {
  const std::string& setting = difference.setting;
  if (setting == "optimizer.batch" || setting == "optimizer.accumulate" || setting.starts_with("data.")) return true;
  const bool in_all = std::ranges::none_of(difference.values, &std::string::empty);
  return in_all && setting.starts_with("evaluate.") &&
         (setting.find(".dataset") != std::string::npos || setting.ends_with(".split") ||
          setting.ends_with(".fingerprint"));
}

std::vector<SettingDifference> differences(const std::vector<Settings>& settings) {
  std::set<std::string> names;
  for (const Settings& each : settings)
    for (const auto& [name, value] : each) names.insert(name);
  std::vector<SettingDifference> found;
  for (const std::string& name : names) {
    SettingDifference difference{.setting = name, .values = {}};
    for (const Settings& each : settings) {
      const auto value = each.find(name);
      difference.values.push_back(value == each.end() ? "" : value->second);
    }
    if (std::ranges::adjacent_find(difference.values, std::ranges::not_equal_to{}) != difference.values.end())
      found.push_back(std::move(difference));
  }
  return found;
}

}  // namespace silc
