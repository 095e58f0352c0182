// For tests of plugins: options as a plugin linked into the test program declares them.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include "silc/plugin.h"

// The linker names the borders of the section that declarations lie in.
extern "C" const char __start_silc_plugins[];
extern "C" const char __stop_silc_plugins[];

namespace silc::testing {

inline Texts split_texts(std::string_view joined) {
  Texts texts;
  while (!joined.empty()) {
    const std::size_t end = std::min(joined.find('|'), joined.size());
    texts.emplace_back(joined.substr(0, end));
    joined.remove_prefix(std::min(end + 1, joined.size()));
  }
  return texts;
}

inline OptionValue default_of(const OptionRecord& record) {
  switch (record.type) {
    case OptionType::boolean:
      return record.default_number != 0;
    case OptionType::integer:
      return record.default_integer;
    case OptionType::number:
      return record.default_number;
    case OptionType::text:
      return std::string(record.default_text);
    case OptionType::pair:
      return Pair{record.default_number, record.default_second};
    case OptionType::texts:
      return split_texts(record.default_text);
    case OptionType::file:
    case OptionType::folder:
      return std::string();
  }
  throw std::logic_error("unknown option type");
}

// The defaults of the plugin `name`, those in `changes` replaced. Throws std::out_of_range for an option that the
// plugin does not declare.
inline Options options_of(std::string_view name, const std::map<std::string, OptionValue>& changes = {}) {
  for (const char* at = __start_silc_plugins; at < __stop_silc_plugins;) {
    const auto& header = *reinterpret_cast<const PluginHeader*>(at);
    if (header.size == 0) {  // the linker's padding
      at += kPluginAlignment;
      continue;
    }
    if (header.name == name) {
      const auto* records = reinterpret_cast<const OptionRecord*>(at + sizeof(PluginHeader));
      std::map<std::string, OptionValue> values;
      for (uint32_t i = 0; i < header.option_count; ++i) values[records[i].name] = default_of(records[i]);
      for (const auto& [key, value] : changes) values.at(key) = value;
      return Options(std::move(values));
    }
    at += header.size;
  }
  throw std::logic_error("no such plugin is linked in: " + std::string(name));
}

template <class T>
void put_default(std::map<std::string, OptionValue>& values, const Option<T>& option) {
  values[option.record.name] = default_of(option.record);
}
template <OptionGroup T>
void put_default(std::map<std::string, OptionValue>& values, const T& group) {
  std::apply([&](const auto&... member) { (put_default(values, member), ...); }, group.members());
}

// The same of options and groups that need not be a plugin's.
template <class... Declared>
Options defaults_of(const std::map<std::string, OptionValue>& changes, const Declared&... declared) {
  std::map<std::string, OptionValue> values;
  (put_default(values, declared), ...);
  for (const auto& [key, value] : changes) values.at(key) = value;
  return Options(std::move(values));
}

}  // namespace silc::testing
