#include "tokens/tables.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace silc {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

}  // namespace

std::string_view table_text(std::string_view name) {
  for (const TokenTable& table : token_tables())
    if (table.name == "tables/" + std::string(name)) return table.text;
  throw std::logic_error("there is no table " + std::string(name));
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines = split(text, '\n');
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

std::vector<std::string_view> words_of(std::string_view line) { return split(line, ' '); }

char32_t code_point(std::string_view hexadecimal) {
  uint32_t value = 0;
  const char* const end = hexadecimal.data() + hexadecimal.size();
  if (std::from_chars(hexadecimal.data(), end, value, 16).ptr != end || hexadecimal.empty())
    throw std::logic_error("no code point: " + std::string(hexadecimal));
  return value;
}

}  // namespace silc
