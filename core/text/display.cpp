#include "text/display.h"

#include <algorithm>
#include <array>

namespace silc {

namespace {

struct Range {
  char32_t first;
  char32_t last;
};

bool within(char32_t code, const auto& ranges) {
  return std::ranges::any_of(ranges, [&](const Range& range) { return code >= range.first && code <= range.last; });
}

// Two columns on a terminal: East Asian Width W and F of Unicode, and pictographs.
bool is_wide(char32_t code) {
  constexpr std::array<Range, 13> kWide{{{0x1100, 0x115F},
                                         {0x2E80, 0x303E},
                                         {0x3041, 0x33FF},
                                         {0x3400, 0x4DBF},
                                         {0x4E00, 0x9FFF},
                                         {0xA000, 0xA4CF},
                                         {0xAC00, 0xD7A3},
                                         {0xF900, 0xFAFF},
                                         {0xFE30, 0xFE6F},
                                         {0xFF00, 0xFF60},
                                         {0xFFE0, 0xFFE6},
                                         {0x1F300, 0x1FAFF},
                                         {0x20000, 0x3FFFD}}};
  return within(code, kWide);
}

// Combining marks, joiners and variation selectors.
bool has_no_width(char32_t code) {
  constexpr std::array<Range, 6> kZero{
      {{0x0300, 0x036F}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}}};
  return within(code, kZero);
}

std::string_view first_character(std::string_view text) {
  std::size_t size = 1;
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80) ++size;
  return text.substr(0, size);
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    char32_t code = length == 1 ? lead : lead & (0xFFU >> (length + 1));
    for (std::size_t j = i + 1; j < std::min(i + length, text.size()); ++j)
      code = (code << 6U) | (static_cast<unsigned char>(text[j]) & 0x3FU);
    if (!has_no_width(code)) width += is_wide(code) ? 2 : 1;
    i += length;
  }
  return width;
}

std::string cut(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::string kept;
  while (!text.empty()) {
    const std::string_view character = first_character(text);
    if (display_width(kept) + display_width(character) + 1 > width) break;
    kept += character;
    text.remove_prefix(character.size());
  }
  return kept + "…";
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view rest = text.substr(0, end);
    std::string line;
    while (!rest.empty()) {
      const std::size_t space = std::min(rest.find(' '), rest.size());
      const std::string_view word = rest.substr(0, space);
      if (!line.empty() && display_width(line) + 1 + display_width(word) > width) {
        lines.push_back(line);
        line.clear();
      }
      if (!line.empty()) line += ' ';
      line += word;
      rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string paragraph(std::string_view text, std::size_t width, std::size_t indent) {
  std::string result;
  for (const std::string& line : wrap(text, width - indent))
    result += (line.empty() ? "" : std::string(indent, ' ') + line) + "\n";
  return result;
}

}  // namespace silc
