// Unicode text as its code points, and what of Python's str is needed to read captions as Python programs do. ICU knows
// the characters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "silc/export.h"

namespace silc {

// What is no UTF-8 becomes U+FFFD, as with Python's errors="replace".
SILC_EXPORT std::u32string from_utf8(std::string_view text);
SILC_EXPORT std::string to_utf8(std::u32string_view text);

bool is_ascii(std::u32string_view text);

// A to Z as a to z, all else as it is.
char32_t lower_ascii(char32_t character);

// str.lower(): every character's full mapping, the final sigma of a word included.
std::u32string lower(std::u32string_view text);

// unicodedata.normalize("NFC", text).
std::u32string compose(std::u32string_view text);

// str.isspace() of one character.
bool is_space(char32_t character);

// A decimal digit of any script, Python's \d.
bool is_decimal_digit(char32_t character);

// " ".join(text.split()).
std::u32string collapse_spaces(std::u32string_view text);

// str.strip().
std::u32string_view strip(std::u32string_view text);

// What CLIP's pattern tells apart: runs of letters, single numbers, and runs of all else that is no space.
enum class CharacterClass : uint8_t { letter, number, other, none };
SILC_EXPORT CharacterClass class_of(char32_t character);

}  // namespace silc
