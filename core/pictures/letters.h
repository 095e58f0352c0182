// Letters as pixels.
#pragma once

#include <cstdint>

namespace silc {

inline constexpr int kLetterWidth = 6;
inline constexpr int kLetterHeight = 13;

// U+0020 to U+00FF.
extern const uint8_t kLetters[224][kLetterHeight];

}  // namespace silc
