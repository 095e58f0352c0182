// Options: what a plugin can be told in an experiment file.
//
// A plugin declares each option once, as a constexpr object with name, default, range and meaning:
//
//     constexpr auto kLocalViews = silc::integer_option("local_views", 6, 0, 32, "local crops per picture");
//
// names it in its SILC_… macro (plugin.h), and reads it by the same object, typed:
//
//     for (int64_t v = 0; v < context.options[kLocalViews]; ++v) …
//
// From the declaration come the validation of experiment files, `silc plugin show` and the
// reference documentation. The declaration is plain data without pointers, because `silc` reads it
// from the plugin's file without loading the plugin.
//
// Options that belong together are declared as one, a group: a class whose members are options or groups, and which
// names them all in members(). Its constructor is consteval and takes what differs from plugin to plugin, defaults
// first of all; what is made from the options, the group makes.
//
//     struct CropOptions {
//       Option<Pair> area;
//       Option<bool> flip;
//       consteval explicit CropOptions(Pair standard)
//           : area(pair_option("area", standard[0], standard[1], 0.01, 1.0, "part of the area that the view shows")),
//             flip(boolean_option("flip", false, "mirror the view half of the time")) {}
//       [[nodiscard]] constexpr auto members() const { return std::tie(area, flip); }
//       [[nodiscard]] ViewSpec view(const Options& options) const { return {.area = options[area], …}; }
//     };
//     constexpr CropOptions kCrop({0.9, 1.0});  // options[kCrop.flip], kCrop.view(options), and SILC_…(…, kCrop)
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

namespace silc {

enum class OptionType : uint8_t {
  boolean = 0,  // TOML boolean
  integer = 1,  // TOML integer
  number = 2,   // TOML float or integer
  text = 3,     // TOML string, one of `choices` if there are any
  pair = 4,     // TOML array of two numbers, the first not above the second
  texts = 5,    // TOML array of strings
  file = 6,     // TOML string, the path of a file
  folder = 7,   // TOML string, the path of a folder
};

// One option as it lies in a plugin's file. Texts are zero-terminated; a declaration whose text does
// not fit is a compile error.
struct OptionRecord {
  char name[40] = {};
  char help[216] = {};
  char default_text[208] = {};  // text; texts separated by '|'
  char choices[120] = {};       // separated by '|'; empty: any text
  double default_number = 0;    // number; boolean as 0 or 1; first of a pair
  double default_second = 0;    // second of a pair
  int64_t default_integer = 0;
  double minimum =
      0;  // inclusive, for integer, number and both of a pair; of a file or folder 1 if it must be named, else 0
  double maximum = 0;
  OptionType type = OptionType::boolean;
  bool added = false;  // see added()
  uint8_t reserved[6] = {};
};
static_assert(sizeof(OptionRecord) == 632);

namespace detail {

template <std::size_t N>
consteval void copy_text(char (&to)[N], std::string_view from) {
  if (from.size() >= N) throw std::length_error("this text is too long for a plugin declaration");
  std::copy(from.begin(), from.end(), to);
}

}  // namespace detail

// A declared option whose value is a T.
template <class T>
struct Option {
  using value_type = T;
  OptionRecord record;
  [[nodiscard]] constexpr std::string_view name() const { return record.name; }
};

// An option that a plugin got after results were made with it, whose default is what the plugin did before: cells where
// it has the default keep their identity, and with it their results.
template <class T>
consteval Option<T> added(Option<T> option) {
  option.record.added = true;
  return option;
}

using Pair = std::array<double, 2>;
using Texts = std::vector<std::string>;

consteval Option<bool> boolean_option(std::string_view name, bool standard, std::string_view help) {
  OptionRecord record;
  detail::copy_text(record.name, name);
  detail::copy_text(record.help, help);
  record.type = OptionType::boolean;
  record.default_number = standard ? 1 : 0;
  return {record};
}

consteval Option<int64_t> integer_option(std::string_view name, int64_t standard, int64_t minimum, int64_t maximum,
                                         std::string_view help) {
  if (standard < minimum || standard > maximum) throw std::out_of_range("the default lies outside the range");
  OptionRecord record;
  detail::copy_text(record.name, name);
  detail::copy_text(record.help, help);
  record.type = OptionType::integer;
  record.default_integer = standard;
  record.minimum = static_cast<double>(minimum);
  record.maximum = static_cast<double>(maximum);
  return {record};
}

consteval Option<double> number_option(std::string_view name, double standard, double minimum, double maximum,
                                       std::string_view help) {
  if (standard < minimum || standard > maximum) throw std::out_of_range("the default lies outside the range");
  OptionRecord record;
  detail::copy_text(record.name, name);
  detail::copy_text(record.help, help);
  record.type = OptionType::number;
  record.default_number = standard;
  record.minimum = minimum;
  record.maximum = maximum;
  return {record};
}

// `choices` separated by '|', as in "clip|siglip".
consteval Option<std::string> choice_option(std::string_view name, std::string_view standard, std::string_view choices,
                                            std::string_view help) {
  OptionRecord record;
  detail::copy_text(record.name, name);
  detail::copy_text(record.help, help);
  detail::copy_text(record.default_text, standard);
  detail::copy_text(record.choices, choices);
  record.type = OptionType::text;
  return {record};
}

consteval Option<std::string> text_option(std::string_view name, std::string_view standard, std::string_view help) {
  return choice_option(name, standard, "", help);
}

consteval Option<Pair> pair_option(std::string_view name, double first, double second, double minimum, double maximum,
                                   std::string_view help) {
  if (first < minimum || second < first || second > maximum)
    throw std::out_of_range("the default lies outside the range");
  OptionRecord record;
  detail::copy_text(record.name, name);
  detail::copy_text(record.help, help);
  record.type = OptionType::pair;
  record.default_number = first;
  record.default_second = second;
  record.minimum = minimum;
  record.maximum = maximum;
  return {record};
}

// `standard` separated by '|'; empty: an empty list.
consteval Option<Texts> texts_option(std::string_view name, std::string_view standard, std::string_view help) {
  OptionRecord record;
  detail::copy_text(record.name, name);
  detail::copy_text(record.help, help);
  detail::copy_text(record.default_text, standard);
  record.type = OptionType::texts;
  return {record};
}

// A file, named in an experiment relative to the experiment file (on the command line: to the working directory), that
// the plugin gets as an absolute path, or "" where none is named. The content of the file, not its path, is part of a
// cell's identity.
consteval Option<std::string> file_option(std::string_view name, std::string_view help) {
  OptionRecord record;
  detail::copy_text(record.name, name);
  detail::copy_text(record.help, help);
  record.type = OptionType::file;
  return {record};
}

// One that must be named.
consteval Option<std::string> required_file_option(std::string_view name, std::string_view help) {
  Option<std::string> option = file_option(name, help);
  option.record.minimum = 1;
  return option;
}

// A folder with data, which a dataset gets as an absolute path, or "" where none is named. A relative path starts at
// $SILC_DATA, where there is such a folder, else as that of a file does. The path is no part of a cell's identity,
// since a dataset's fingerprint() stands for what lies there.
consteval Option<std::string> folder_option(std::string_view name, std::string_view help) {
  Option<std::string> option = file_option(name, help);
  option.record.type = OptionType::folder;
  return option;
}

// One that must be named.
consteval Option<std::string> required_folder_option(std::string_view name, std::string_view help) {
  Option<std::string> option = folder_option(name, help);
  option.record.minimum = 1;
  return option;
}

// The same option with `prefix` before its name: for a group that a plugin has under a name of its own.
template <class T>
consteval Option<T> prefixed(std::string_view prefix, Option<T> option) {
  const OptionRecord plain = option.record;
  const std::string_view name = plain.name;
  if (prefix.size() + name.size() >= sizeof(plain.name)) throw std::length_error("this name is too long");
  std::copy(prefix.begin(), prefix.end(), option.record.name);
  std::copy(name.begin(), name.end(), option.record.name + prefix.size());
  return option;
}

// Options that are declared together.
template <class T>
concept OptionGroup = requires(const T& group) {
  std::tuple_size<decltype(group.members())>::value;
};

using OptionValue = std::variant<bool, int64_t, double, std::string, Pair, Texts>;

// The values of a plugin's options: complete (defaults filled in) and checked.
class Options {
 public:
  Options() = default;
  explicit Options(std::map<std::string, OptionValue> values) : values_(std::move(values)) {}

  // Throws std::logic_error for an option that the plugin reads but does not declare.
  template <class T>
  [[nodiscard]] const T& operator[](const Option<T>& option) const {
    const auto found = values_.find(std::string(option.name()));
    if (found == values_.end() || !std::holds_alternative<T>(found->second))
      throw std::logic_error("option \"" + std::string(option.name()) + "\" is read but not declared by the plugin");
    return std::get<T>(found->second);
  }

  [[nodiscard]] const std::map<std::string, OptionValue>& values() const { return values_; }

  friend bool operator==(const Options&, const Options&) = default;

 private:
  std::map<std::string, OptionValue> values_;
};

}  // namespace silc
