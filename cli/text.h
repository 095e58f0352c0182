// Numbers and tables as people read them in a terminal. No LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/names.h"

namespace silc {

// "1.5 s", "42 s", "3:05", "1:02:03", "2 d 3:00:00"
std::string format_duration(double seconds);
// "61.3 T": three digits with an SI prefix, for FLOPs and rates.
std::string format_quantity(double value);
// "1.9 GB" (powers of 1000)
std::string format_bytes(double bytes);
// Four digits; "nan" for what is not a number.
std::string format_number(double value);

// A table in columns, two spaces apart; the first line is the head.
class TextTable {
 public:
  // `right`: for each column whether it is flush right.
  TextTable(std::vector<std::string> head, std::vector<bool> right);
  void add(std::vector<std::string> row);
  [[nodiscard]] std::string format() const;

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<bool> right_;
};

}  // namespace silc
