#include "plugin/option_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plugin/similar.h"
#include "silc/error.h"
#include "text/names.h"

namespace silc {
namespace {

using nlohmann::json;

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find('|', begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

// Bounds as wide as the type mean that there is none.
std::string range_text(double minimum, double maximum) {
  constexpr double kUnbounded = 9e18;
  const bool below = minimum <= -kUnbounded;
  const bool above = maximum >= kUnbounded;
  if (below && above) return "";
  if (above) return fmt::format(" of at least {}", minimum);
  if (below) return fmt::format(" of at most {}", maximum);
  return fmt::format(" from {} to {}", minimum, maximum);
}

bool in_range(const OptionRecord& option, double value) {
  return std::isfinite(value) && value >= option.minimum && value <= option.maximum;
}

// Adding zero turns -0.0 into 0.0, which is the same setting.
double number(const json& value) { return value.get<double>() + 0.0; }

}  // namespace

std::string option_domain(const OptionRecord& option) {
  const std::string range = range_text(option.minimum, option.maximum);
  switch (option.type) {
    case OptionType::boolean:
      return "true or false";
    case OptionType::integer:
      return "an integer" + range;
    case OptionType::number:
      return "a number" + range;
    case OptionType::text:
      return option.choices[0] == 0 ? "a text" : quoted_list(split(option.choices), "or");
    case OptionType::pair:
      return "two numbers" + range + ", the first not above the second";
    case OptionType::texts:
      return "a list of texts";
    case OptionType::file:
      return "the path of a file";
    case OptionType::folder:
      return "the path of a folder";
  }
  return "";
}

OptionValue default_value(const OptionRecord& option) {
  switch (option.type) {
    case OptionType::boolean:
      return option.default_number != 0;
    case OptionType::integer:
      return option.default_integer;
    case OptionType::number:
      return option.default_number;
    case OptionType::text:
      return std::string(option.default_text);
    case OptionType::pair:
      return Pair{option.default_number, option.default_second};
    case OptionType::texts:
      return split(option.default_text);
    case OptionType::file:
    case OptionType::folder:
      return std::string();
  }
  return false;
}

OptionValue option_value(const OptionRecord& option, const json& value, std::string_view shown) {
  switch (option.type) {
    case OptionType::boolean:
      if (value.is_boolean()) return value.get<bool>();
      break;
    case OptionType::integer:
      // JSON knows integers above those of int64_t.
      if (value.is_number_integer() && (!value.is_number_unsigned() || value.get<uint64_t>() <= INT64_MAX) &&
          in_range(option, value.get<double>()))
        return value.get<int64_t>();
      break;
    case OptionType::number:
      if (value.is_number() && in_range(option, number(value))) return number(value);
      break;
    case OptionType::text: {
      if (!value.is_string()) break;
      const auto text = value.get<std::string>();
      const std::vector<std::string> choices = split(option.choices);
      if (choices.empty() || std::find(choices.begin(), choices.end(), text) != choices.end()) return text;
      if (const std::string similar = most_similar(text, choices); !similar.empty())
        throw Error(fmt::format("{} must be {}, not {}; did you mean \"{}\"?", option.name, option_domain(option),
                                (shown.empty() ? value.dump() : std::string(shown)), similar));
      break;
    }
    case OptionType::pair:
      if (value.is_array() && value.size() == 2 && value[0].is_number() && value[1].is_number() &&
          in_range(option, number(value[0])) && in_range(option, number(value[1])) &&
          number(value[0]) <= number(value[1]))
        return Pair{number(value[0]), number(value[1])};
      break;
    case OptionType::texts: {
      const auto is_text = [](const json& element) { return element.is_string(); };
      if (value.is_array() && std::all_of(value.begin(), value.end(), is_text)) return value.get<Texts>();
      break;
    }
    case OptionType::file:
    case OptionType::folder:
      if (value.is_string()) return value.get<std::string>();
      break;
  }
  throw Error(fmt::format("{} must be {}, not {}", option.name, option_domain(option),
                          (shown.empty() ? value.dump() : std::string(shown))));
}

std::string unknown_option_message(const PluginInfo& plugin, const std::string& name,
                                   const std::vector<std::string>& others) {
  std::vector<std::string> names;
  for (const OptionRecord& option : plugin.options) names.emplace_back(option.name);
  names.insert(names.end(), others.begin(), others.end());
  return fmt::format("{} \"{}\" has no option \"{}\"{}", kind_name(plugin.kind), plugin.name, name,
                     suggestion(name, names));
}

Options options_from_json(const PluginInfo& plugin, const json& object) {
  if (!object.is_object())
    throw Error(fmt::format("the options of {} \"{}\" must be an object", kind_name(plugin.kind), plugin.name));
  std::map<std::string, OptionValue> values;
  for (const OptionRecord& option : plugin.options) values[option.name] = default_value(option);
  std::string faults;
  const auto add_fault = [&](const std::string& fault) { faults += (faults.empty() ? "" : "\n") + fault; };
  for (const auto& [name, value] : object.items()) {
    const auto option = std::find_if(plugin.options.begin(), plugin.options.end(),
                                     [&name = name](const OptionRecord& record) { return name == record.name; });
    if (option == plugin.options.end()) {
      add_fault(unknown_option_message(plugin, name));
      continue;
    }
    try {
      values[name] = option_value(*option, value);
    } catch (const Error& error) {
      add_fault(fmt::format("{} \"{}\": {}", kind_name(plugin.kind), plugin.name, error.what()));
    }
  }
  if (!faults.empty()) throw Error(faults);
  return Options(std::move(values));
}

json option_to_json(const OptionValue& value) {
  return std::visit([](const auto& typed) { return json(typed); }, value);
}

json options_to_json(const Options& options) {
  json object = json::object();
  for (const auto& [name, value] : options.values()) object[name] = option_to_json(value);
  return object;
}

}  // namespace silc
