// The formats that people's data and models come in, as a fuzzer sees them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace silc::testing {

struct Format {
  std::string_view name;
  // Sound files, which are changed at random.
  std::vector<std::string> (*seeds)();
  // Reads a file as silc does, to its last pixel. Throws silc::Error for what it refuses, and nothing else; aborts
  // where what it has read makes no sense.
  void (*read)(const std::string& file);
  // Makes checksums right again, so that changes reach what lies behind them.
  void (*mend)(std::string& file) = [](std::string&) {};
  // What files of this format are made of.
  std::vector<std::string_view> words = {};
};

const std::vector<Format>& formats();

}  // namespace silc::testing
