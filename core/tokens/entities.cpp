#include "tokens/entities.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "tokens/tables.h"
#include "tokens/unicode.h"

namespace silc {
namespace {

struct Entities {
  std::unordered_map<std::string_view, std::u32string> html, ftfy;  // by name, "amp;"; ftfy: what it has beside HTML
};

const Entities& entities() {
  static const Entities kEntities = [] {
    Entities entities;
    auto* table = &entities.html;
    for (const std::string_view line : lines_of(table_text("entities"))) {
      if (line.empty()) {
        table = &entities.ftfy;
        continue;
      }
      const std::vector<std::string_view> words = words_of(line);
      std::u32string characters;
      for (std::size_t i = 1; i < words.size(); ++i) characters += code_point(words[i]);
      table->emplace(words[0], characters);
    }
    return entities;
  }();
  return kEntities;
}

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_hexadecimal(char32_t c) { return is_digit(c) || (c >= U'a' && c <= U'f') || (c >= U'A' && c <= U'F'); }
bool is_alphanumeric(char32_t c) { return is_digit(c) || (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); }

// A name of ASCII letters, for look-up; others are in no table.
std::string ascii_name(std::u32string_view name) {
  return is_ascii(name) ? std::string(name.begin(), name.end()) : std::string();
}

// The number of a reference; too large ones all mean the same.
uint32_t number_in(std::u32string_view digits, uint32_t base) {
  constexpr uint32_t kTooLarge = 0x110000;
  uint32_t value = 0;
  for (const char32_t c : digits) {
    const uint32_t digit = is_digit(c) ? c - U'0' : (c | 0x20) - U'a' + 10;
    value = std::min(kTooLarge, value * base + digit);
  }
  return value;
}

// html._invalid_charrefs and html._invalid_codepoints.
std::u32string character_of(uint32_t number) {
  if (number == 0 || number > 0x10FFFF || (number >= 0xD800 && number <= 0xDFFF)) return U"\uFFFD";
  if (number == 0x0D) return U"\r";
  if (number >= 0x80 && number <= 0x9F) return {charmap("sloppy-windows-1252")[number - 0x80]};
  const bool invalid = (number >= 0x01 && number <= 0x08) || number == 0x0B || (number >= 0x0E && number <= 0x1F) ||
                       number == 0x7F || (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE;
  return invalid ? std::u32string() : std::u32string{static_cast<char32_t>(number)};
}

struct Reference {
  std::size_t length = 0;  // of what is replaced, "&" included; 0: there is none
  std::u32string characters;
};

// One that begins at text[at] == '&': &(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)
Reference reference_at(std::u32string_view text, std::size_t at) {
  const auto end_of = [&](std::size_t from, auto belongs) {
    while (from < text.size() && belongs(text[from])) ++from;
    return from;
  };
  const auto with_semicolon = [&](std::size_t end) { return end < text.size() && text[end] == U';' ? end + 1 : end; };
  std::size_t begin = at + 1;
  if (begin < text.size() && text[begin] == U'#') {
    ++begin;
    const bool hexadecimal = begin < text.size() && (text[begin] == U'x' || text[begin] == U'X');
    if (hexadecimal) ++begin;
    const std::size_t end = hexadecimal ? end_of(begin, is_hexadecimal) : end_of(begin, is_digit);
    if (end == begin) return {};
    return {with_semicolon(end) - at, character_of(number_in(text.substr(begin, end - begin), hexadecimal ? 16 : 10))};
  }
  constexpr std::size_t kLongest = 32;
  constexpr std::u32string_view kStops = U"\t\n\f <&#;";
  std::size_t end = begin;
  while (end < text.size() && end - begin < kLongest && kStops.find(text[end]) == std::u32string_view::npos) ++end;
  if (end == begin) return {};
  const auto& html = entities().html;
  const std::u32string_view name = text.substr(begin, with_semicolon(end) - begin);
  for (std::size_t length = name.size(); length > 1; --length) {
    const auto found = html.find(ascii_name(name.substr(0, length)));
    if (found != html.end()) return {1 + length, found->second};
  }
  return {};
}

// The end of &#?[0-9A-Za-z]{1,24}; at text[at] == '&'; 0: that is none.
std::size_t sure_end(std::u32string_view text, std::size_t at) {
  constexpr std::size_t kLongest = 24;
  std::size_t end = at + 1;
  if (end < text.size() && text[end] == U'#') ++end;
  const std::size_t begin = end;
  while (end < text.size() && end - begin < kLongest && is_alphanumeric(text[end])) ++end;
  return end > begin && end < text.size() && text[end] == U';' ? end + 1 : 0;
}

}  // namespace

std::u32string unescape_html(std::u32string_view text) {
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) {
    const Reference reference = text[at] == U'&' ? reference_at(text, at) : Reference{};
    if (reference.length == 0) result += text[at];
    result += reference.characters;
    at += std::max<std::size_t>(reference.length, 1);
  }
  return result;
}

std::u32string unescape_sure_html(std::u32string_view text) {
  std::u32string result;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text[at] == U'&' ? sure_end(text, at) : 0;
    if (end == 0) {
      result += text[at++];
      continue;
    }
    const std::u32string_view whole = text.substr(at, end - at);
    at = end;
    const std::string name = ascii_name(whole.substr(1));
    const auto& [html, ftfy] = entities();
    if (const auto found = html.find(name); found != html.end()) {
      result += found->second;
    } else if (const auto other = ftfy.find(name); other != ftfy.end()) {
      result += other->second;
    } else if (whole[1] == U'#') {
      const std::u32string character = unescape_html(whole);
      result += character.find(U';') == std::u32string::npos ? character : whole;
    } else {
      result += whole;
    }
  }
  return result;
}

std::u32string_view charmap(std::string_view encoding) {
  static const auto kMaps = [] {
    std::map<std::string_view, std::u32string> maps;
    for (const std::string_view line : lines_of(table_text("charmaps"))) {
      const std::vector<std::string_view> words = words_of(line);
      std::u32string& map = maps[words[0]];
      for (std::size_t i = 1; i < words.size(); ++i) map += words[i] == "-" ? U'\0' : code_point(words[i]);
    }
    return maps;
  }();
  return kMaps.at(encoding);
}

}  // namespace silc
