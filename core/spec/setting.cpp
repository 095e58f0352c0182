#include "spec/setting.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace silc {
namespace {

using nlohmann::json;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

std::string quoted_text(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      result += {'\\', c};
    else if (c == '\n')
      result += "\\n";
    else if (c == '\t')
      result += "\\t";
    else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f)
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      result += c;
  }
  return result + '"';
}

std::string key_text(std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return bare ? std::string(key) : quoted_text(key);
}

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

// Not inline: g++ 12 takes the variant of a temporary for uninitialised otherwise.
Setting::Setting(Place where, Value what) : place(std::move(where)), value(std::move(what)) {}

const Entry* Setting::find(std::string_view key) const {
  if (!is_table()) return nullptr;
  const auto found = std::find_if(table().begin(), table().end(), [&](const Entry& entry) { return entry.key == key; });
  return found == table().end() ? nullptr : &*found;
}

Entry* Setting::find(std::string_view key) { return const_cast<Entry*>(std::as_const(*this).find(key)); }

void Setting::set(std::string_view key, Setting setting, const Place& key_place) {
  if (Entry* entry = find(key)) {
    entry->value = std::move(setting);
    entry->place = key_place;
  } else {
    table().push_back({std::string(key), key_place, std::move(setting)});
  }
}

json to_json(const Setting& setting) {
  return std::visit(
      Overloaded{[](const Setting::Table& table) {
                   json object = json::object();
                   for (const Entry& entry : table) object[entry.key] = to_json(entry.value);
                   return object;
                 },
                 [](const Setting::Array& array) {
                   json list = json::array();
                   for (const Setting& element : array) list.push_back(to_json(element));
                   return list;
                 },
                 [](const DateSetting&) { return json(); }, [](const auto& scalar) { return json(scalar); }},
      setting.value);
}

Setting to_setting(const OptionValue& value) {
  return std::visit(Overloaded{[](const Pair& pair) {
                                 return Setting{{}, Setting::Array{{{}, pair[0]}, {{}, pair[1]}}};
                               },
                               [](const Texts& texts) {
                                 Setting::Array array;
                                 for (const std::string& text : texts) array.push_back({{}, text});
                                 return Setting{{}, std::move(array)};
                               },
                               [](const auto& scalar) {
                                 return Setting{{}, scalar};
                               }},
                    value);
}

Setting from_json(const nlohmann::json& json, const Place& place) {
  if (json.is_object()) {
    Setting table{place, Setting::Table{}};
    for (const auto& [key, value] : json.items()) table.set(key, from_json(value, place), place);
    return table;
  }
  if (json.is_array()) {
    Setting::Array list;
    for (const auto& value : json) list.push_back(from_json(value, place));
    return {place, std::move(list)};
  }
  if (json.is_boolean()) return {place, json.get<bool>()};
  if (json.is_number_integer()) return {place, json.get<int64_t>()};
  if (json.is_number()) return {place, json.get<double>()};
  return {place, json.is_string() ? json.get<std::string>() : json.dump()};
}

std::string toml_text(const Setting& setting) {
  return std::visit(Overloaded{[](const Setting::Table& table) {
                                 std::string text;
                                 for (const Entry& entry : table)
                                   text += (text.empty() ? " " : ", ") + key_text(entry.key) + " = " +
                                           toml_text(entry.value);
                                 return text.empty() ? std::string("{}") : "{" + text + " }";
                               },
                               [](const Setting::Array& array) {
                                 std::string text;
                                 for (const Setting& element : array)
                                   text += (text.empty() ? "" : ", ") + toml_text(element);
                                 return "[" + text + "]";
                               },
                               [](bool value) { return std::string(value ? "true" : "false"); },
                               [](int64_t value) { return fmt::format("{}", value); },
                               [](double value) { return number_text(value); },
                               [](const std::string& text) { return quoted_text(text); },
                               [](const DateSetting&) { return std::string("a date"); }},
                    setting.value);
}

std::string shown(const Setting& setting) {
  constexpr std::size_t kLongest = 80;
  std::string text = toml_text(setting);
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  // Not in the middle of a UTF-8 sequence.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

std::string dotted(std::string_view path, std::string_view key) {
  return path.empty() ? key_text(key) : std::string(path) + "." + key_text(key);
}

}  // namespace silc
