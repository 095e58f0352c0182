#include "tokens/clean.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "tokens/entities.h"
#include "tokens/repair.h"
#include "tokens/unicode.h"

namespace silc {
namespace {

// basic_clean() of CLIP. Entities are read three times in all, as the web escapes them more than once.
std::u32string repaired(const std::u32string& text) {
  std::u32string result = repair_text(text);
  if (result.find(U'&') != std::u32string::npos) result = unescape_html(unescape_html(result));
  return std::u32string(strip(result));
}

// string.punctuation.
bool is_punctuation(char32_t c) {
  return (c >= U'!' && c <= U'/') || (c >= U':' && c <= U'@') || (c >= U'[' && c <= U'`') || (c >= U'{' && c <= U'~');
}

std::u32string without_punctuation(std::u32string text) {
  std::erase_if(text, is_punctuation);
  return text;
}

std::u32string canonical(std::u32string text) {
  std::replace(text.begin(), text.end(), U'_', U' ');
  return collapse_spaces(lower(without_punctuation(std::move(text))));
}

}  // namespace

Cleaning parse_cleaning(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Cleaning>, 7> kNames = {
      {{"none", Cleaning::none},
       {"lower_ascii", Cleaning::lower_ascii},
       {"lower_case", Cleaning::lower_case},
       {"without_punctuation", Cleaning::without_punctuation},
       {"whitespace", Cleaning::whitespace},
       {"lower", Cleaning::lower},
       {"canonicalize", Cleaning::canonicalize}}};
  for (const auto& [known, cleaning] : kNames)
    if (known == name) return cleaning;
  throw std::logic_error("no cleaning has the name \"" + std::string(name) + "\"");
}

std::u32string clean(std::string_view text, Cleaning cleaning) {
  std::u32string characters = from_utf8(text);
  switch (cleaning) {
    case Cleaning::none:
      break;
    case Cleaning::lower_ascii:
      std::transform(characters.begin(), characters.end(), characters.begin(), lower_ascii);
      break;
    case Cleaning::lower_case:
      // The sigma is the one letter whose lower case depends on its place.
      std::replace(characters.begin(), characters.end(), U'\u03A3', U'\u03C3');
      return lower(characters);
    case Cleaning::without_punctuation:
      return collapse_spaces(without_punctuation(lower(characters)));
    case Cleaning::whitespace:
      return collapse_spaces(repaired(characters));
    case Cleaning::lower:
      return lower(collapse_spaces(repaired(characters)));
    case Cleaning::canonicalize:
      return canonical(repaired(characters));
  }
  return characters;
}

}  // namespace silc
