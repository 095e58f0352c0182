// Settings as they stand in a file: TOML values that remember their place, through inheritance and merging, so that a
// fault found late still points to its line. (toml++ forgets the place of a value that is copied.) No LibTorch.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "silc/options.h"
#include "spec/diagnostics.h"

namespace silc {

struct Entry;

// A TOML date or time: nothing in silc takes one.
struct DateSetting {};

struct Setting {
  using Array = std::vector<Setting>;
  using Table = std::vector<Entry>;  // in the file's order

  using Value = std::variant<Table, Array, bool, int64_t, double, std::string, DateSetting>;

  Setting() = default;
  Setting(Place where, Value what);

  Place place;
  Value value;

  [[nodiscard]] bool is_table() const { return std::holds_alternative<Table>(value); }
  [[nodiscard]] bool is_array() const { return std::holds_alternative<Array>(value); }
  [[nodiscard]] bool is_text() const { return std::holds_alternative<std::string>(value); }
  [[nodiscard]] const Table& table() const { return std::get<Table>(value); }
  [[nodiscard]] Table& table() { return std::get<Table>(value); }
  [[nodiscard]] const Array& array() const { return std::get<Array>(value); }
  [[nodiscard]] Array& array() { return std::get<Array>(value); }
  [[nodiscard]] const std::string& text() const { return std::get<std::string>(value); }

  // The entry of a table; null if there is none, or if this is not a table.
  [[nodiscard]] const Entry* find(std::string_view key) const;
  [[nodiscard]] Entry* find(std::string_view key);

  // Sets an entry of a table, which keeps its position if it is there already.
  void set(std::string_view key, Setting setting, const Place& key_place = {});
};

struct Entry {
  std::string key;
  Place place;  // of the key
  Setting value;
};

// Tables become objects, dates null.
nlohmann::json to_json(const Setting& setting);

Setting to_setting(const OptionValue& value);

// Objects become tables, null the text "null"; everything in it stands at `place`.
Setting from_json(const nlohmann::json& json, const Place& place = {});

// One line of TOML: `0.001`, `{ name = "silc", weight = 0.5 }`. Numbers with as many digits as it takes to read the
// same value again.
std::string toml_text(const Setting& setting);

// toml_text, cut where it is too long for a message.
std::string shown(const Setting& setting);

// "optimizer.lr": keys joined by dots, quoted where TOML wants it.
std::string dotted(std::string_view path, std::string_view key);

}  // namespace silc
