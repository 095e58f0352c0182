#include "spec/table_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "plugin/similar.h"
#include "text/names.h"

namespace silc {
namespace {

const double* as_number(const Setting& setting, double& storage) {
  if (const auto* integer = std::get_if<int64_t>(&setting.value))
    storage = static_cast<double>(*integer);
  else if (const auto* number = std::get_if<double>(&setting.value))
    storage = *number + 0.0;  // -0.0 and 0.0 are the same setting
  else
    return nullptr;
  return &storage;
}

}  // namespace

bool Range::contains(double value) const {
  return std::isfinite(value) && (minimum_excluded ? value > minimum : value >= minimum) &&
         (maximum_excluded ? value < maximum : value <= maximum);
}

std::string Range::text() const {
  if (std::isfinite(minimum) && std::isfinite(maximum) && !minimum_excluded && !maximum_excluded)
    return fmt::format(" from {} to {}", minimum, maximum);
  std::string text;
  if (std::isfinite(minimum)) text = fmt::format("{} {}", minimum_excluded ? " above" : " of at least", minimum);
  if (std::isfinite(maximum))
    text += fmt::format("{}{} {}", text.empty() ? "" : " and", maximum_excluded ? " below" : " at most", maximum);
  return text;
}

namespace {

// Columns and lines of a terminal or a table would break at one.
std::optional<unsigned> control_character(std::string_view text) {
  const auto found =
      std::ranges::find_if(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7F; });
  return found == text.end() ? std::nullopt : std::optional<unsigned>(static_cast<unsigned char>(*found));
}

}  // namespace

bool is_name(const Setting& setting) {
  return setting.is_text() && !setting.text().empty() && !control_character(setting.text());
}

std::string name_fault(const Setting& setting) {
  if (setting.is_text())
    if (const auto character = control_character(setting.text()))
      return fmt::format("must be without control characters; it has {}", *character == '\n' ? "a line break"
                                                                          : *character == '\t'
                                                                              ? "a tab"
                                                                              : fmt::format("U+{:04X}", *character));
  return fmt::format("must be a text that is not empty, not {}", shown(setting));
}

TableReader::TableReader(const Setting* table, std::string path, Faults& faults)
    : table_(table), path_(std::move(path)), faults_(faults) {
  if (!table_ || table_->is_table()) return;
  faults_.add(table_->place, fmt::format("{} must be a table, not {}", path_, shown(*table_)));
  table_ = nullptr;
}

const Setting* TableReader::take(std::string_view key) {
  known_.emplace_back(key);
  const Entry* entry = table_ ? table_->find(key) : nullptr;
  return entry ? &entry->value : nullptr;
}

void TableReader::wrong(std::string_view key, const Setting& setting, const std::string& wanted) {
  faults_.add(setting.place, fmt::format("{} must be {}, not {}", name_of(key), wanted, shown(setting)));
}

void TableReader::fault(std::string_view key, const std::string& what) {
  const Entry* entry = table_ ? table_->find(key) : nullptr;
  faults_.add(entry ? entry->value.place : place(), fmt::format("{} {}", name_of(key), what));
}

void TableReader::read(std::string_view key, bool& value) {
  const Setting* setting = take(key);
  if (!setting) return;
  if (const bool* boolean = std::get_if<bool>(&setting->value))
    value = *boolean;
  else
    wrong(key, *setting, "true or false");
}

void TableReader::read(std::string_view key, int64_t& value, const Range& range) {
  const Setting* setting = take(key);
  if (!setting) return;
  const auto* integer = std::get_if<int64_t>(&setting->value);
  if (integer && range.contains(static_cast<double>(*integer)))
    value = *integer;
  else
    wrong(key, *setting, "an integer" + range.text());
}

void TableReader::read(std::string_view key, double& value, const Range& range) {
  const Setting* setting = take(key);
  if (!setting) return;
  double number = 0;
  if (as_number(*setting, number) && range.contains(number))
    value = number;
  else
    wrong(key, *setting, "a number" + range.text());
}

void TableReader::read(std::string_view key, std::array<double, 3>& value, const Range& range) {
  const Setting* setting = take(key);
  if (!setting) return;
  std::array<double, 3> numbers{};
  bool sound = setting->is_array() && setting->array().size() == numbers.size();
  for (std::size_t i = 0; sound && i < numbers.size(); ++i)
    sound = as_number(setting->array()[i], numbers[i]) && range.contains(numbers[i]);
  if (sound)
    value = numbers;
  else
    wrong(key, *setting, "a list of three numbers" + range.text());
}

void TableReader::read(std::string_view key, std::string& value) {
  const Setting* setting = take(key);
  if (!setting) return;
  if (is_name(*setting))
    value = setting->text();
  else
    faults_.add(setting->place, fmt::format("{} {}", name_of(key), name_fault(*setting)));
}

void TableReader::read(std::string_view key, std::string& value, std::span<const std::string> choices) {
  const Setting* setting = take(key);
  if (!setting) return;
  if (setting->is_text() && std::find(choices.begin(), choices.end(), setting->text()) != choices.end()) {
    value = setting->text();
    return;
  }
  std::string message = fmt::format("{} must be {}, not {}", name_of(key), quoted_list(choices, "or"), shown(*setting));
  if (setting->is_text())
    if (const std::string similar = most_similar(setting->text(), choices); !similar.empty())
      message += fmt::format("; did you mean \"{}\"?", similar);
  faults_.add(setting->place, message);
}

void TableReader::read(std::string_view key, std::vector<std::string>& values) {
  const Setting* setting = take(key);
  if (!setting) return;
  if (!setting->is_array() || !std::all_of(setting->array().begin(), setting->array().end(), is_name))
    return wrong(key, *setting, "a list of texts");
  values.clear();
  for (const Setting& element : setting->array()) values.push_back(element.text());
}

std::span<const Setting> TableReader::take_tables(std::string_view key) {
  const Setting* setting = take(key);
  if (!setting) return {};
  const auto is_table = [](const Setting& element) { return element.is_table(); };
  if (setting->is_array() && std::all_of(setting->array().begin(), setting->array().end(), is_table))
    return setting->array();
  faults_.add(setting->place, fmt::format("{} must be a list of tables; write [[{}]]", name_of(key), name_of(key)));
  return {};
}

void TableReader::finish() {
  if (!table_) return;
  for (const Entry& entry : table_->table()) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    const std::string similar = most_similar(entry.key, known_);
    const std::string hint =
        similar.empty() ? suggestion(entry.key, known_) : fmt::format("; did you mean \"{}\"?", name_of(similar));
    faults_.add(entry.place, fmt::format("unknown key \"{}\"{}", name_of(entry.key), hint));
  }
}

}  // namespace silc
