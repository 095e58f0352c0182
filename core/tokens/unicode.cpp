#include "tokens/unicode.h"

#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <iterator>
#include <stdexcept>

#include "tokens/tables.h"

namespace silc {
namespace {

icu::UnicodeString to_icu(std::u32string_view text) {
  return icu::UnicodeString::fromUTF32(reinterpret_cast<const UChar32*>(text.data()),
                                       static_cast<int32_t>(text.size()));
}

std::u32string from_icu(const icu::UnicodeString& text) {
  std::u32string characters(static_cast<std::size_t>(text.countChar32()), U'\0');
  UErrorCode error = U_ZERO_ERROR;
  text.toUTF32(reinterpret_cast<UChar32*>(characters.data()), static_cast<int32_t>(characters.size()), error);
  return characters;
}

struct ClassRange {
  char32_t first = 0, last = 0;
  CharacterClass kind = CharacterClass::other;
};

// From a table instead of ICU, so that ids do not depend on how new the ICU is that is installed.
std::vector<ClassRange> class_ranges() {
  std::vector<ClassRange> ranges;
  for (const std::string_view line : lines_of(table_text("classes"))) {
    const std::vector<std::string_view> words = words_of(line);
    ranges.push_back({code_point(words[1]), code_point(words[2]),
                      words[0] == "L"   ? CharacterClass::letter
                      : words[0] == "N" ? CharacterClass::number
                                        : CharacterClass::none});
  }
  return ranges;
}

}  // namespace

std::u32string from_utf8(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0x80; }))
    return {text.begin(), text.end()};
  return from_icu(icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size()))));
}

std::string to_utf8(std::u32string_view text) {
  if (is_ascii(text)) return {text.begin(), text.end()};
  std::string bytes;
  to_icu(text).toUTF8String(bytes);
  return bytes;
}

bool is_ascii(std::u32string_view text) {
  return std::all_of(text.begin(), text.end(), [](char32_t c) { return c < 0x80; });
}

char32_t lower_ascii(char32_t c) { return c >= U'A' && c <= U'Z' ? c + (U'a' - U'A') : c; }

std::u32string lower(std::u32string_view text) {
  if (!is_ascii(text)) return from_icu(to_icu(text).toLower(icu::Locale::getRoot()));
  std::u32string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower_ascii);
  return result;
}

std::u32string compose(std::u32string_view text) {
  if (is_ascii(text)) return std::u32string(text);
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* const form = icu::Normalizer2::getNFCInstance(error);
  icu::UnicodeString composed;
  if (form != nullptr) composed = form->normalize(to_icu(text), error);
  if (U_FAILURE(error) != 0)
    throw std::runtime_error(std::string("ICU cannot normalise a text: ") + u_errorName(error));
  return from_icu(composed);
}

bool is_space(char32_t c) {
  if (c < 0x80) return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20);
  return u_isUWhiteSpace(static_cast<UChar32>(c)) != 0;
}

bool is_decimal_digit(char32_t c) { return u_charType(static_cast<UChar32>(c)) == U_DECIMAL_DIGIT_NUMBER; }

std::u32string collapse_spaces(std::u32string_view text) {
  std::u32string result;
  result.reserve(text.size());
  bool pending = false;
  for (const char32_t c : text) {
    if (is_space(c)) {
      pending = !result.empty();
      continue;
    }
    if (pending) result += U' ';
    pending = false;
    result += c;
  }
  return result;
}

std::u32string_view strip(std::u32string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

CharacterClass class_of(char32_t c) {
  if (c < 0x80) {
    if ((c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z')) return CharacterClass::letter;
    if (c >= U'0' && c <= U'9') return CharacterClass::number;
    // Python's patterns, unlike str.isspace(), take U+001C to U+001F for no spaces.
    return (c >= 0x09 && c <= 0x0D) || c == U' ' ? CharacterClass::none : CharacterClass::other;
  }
  static const std::vector<ClassRange> kRanges = class_ranges();
  const auto after =
      std::upper_bound(kRanges.begin(), kRanges.end(), c,
                       [](char32_t character, const ClassRange& range) { return character < range.first; });
  if (after == kRanges.begin() || std::prev(after)->last < c) return CharacterClass::other;
  return std::prev(after)->kind;
}

}  // namespace silc
