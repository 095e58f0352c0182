// Typed reading of a table of settings: every key that is not read is a fault. No LibTorch.
#pragma once

#include <array>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "spec/setting.h"

namespace silc {

struct Range {
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool minimum_excluded = false;
  bool maximum_excluded = false;

  [[nodiscard]] bool contains(double value) const;
  [[nodiscard]] std::string text() const;  // "of at least 0 and below 1"
};

// A text that must be there: not empty, without line breaks and other control characters.
bool is_name(const Setting& setting);
// What is wrong with one that is no name, for a message: `must be a text that is not empty, not 5`.
std::string name_fault(const Setting& setting);

class TableReader {
 public:
  // `table`: null reads like an empty one; a fault if it is not a table. `path` is what messages call it.
  TableReader(const Setting* table, std::string path, Faults& faults);

  // The value under `key`, null if there is none. The key counts as read.
  const Setting* take(std::string_view key);

  // Each leaves `value` as it is where the key is missing, and where it is wrong, which is a fault.
  void read(std::string_view key, bool& value);
  void read(std::string_view key, int64_t& value, const Range& range);
  void read(std::string_view key, double& value, const Range& range);
  void read(std::string_view key, std::array<double, 3>& value, const Range& range);  // a list of three numbers
  void read(std::string_view key, std::string& value);                                // any text but ""
  void read(std::string_view key, std::string& value, std::span<const std::string> choices);
  void read(std::string_view key, std::vector<std::string>& values);  // a list of texts

  // The tables under `key`, which must be written as [[key]]; empty if it is missing.
  std::span<const Setting> take_tables(std::string_view key);

  void fault(std::string_view key, const std::string& what);  // "optimizer.lr <what>" at the value of `key`
  [[nodiscard]] Place place() const { return table_ ? table_->place : Place{}; }

  // Unknown keys become faults, with the nearest known key.
  void finish();

 private:
  [[nodiscard]] std::string name_of(std::string_view key) const { return dotted(path_, key); }
  void wrong(std::string_view key, const Setting& setting, const std::string& wanted);

  const Setting* table_;
  std::string path_;
  Faults& faults_;
  std::vector<std::string> known_;
};

}  // namespace silc
