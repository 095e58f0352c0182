// Drawing into pictures, and writing them, for people to look at. No LibTorch.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "silc/dataset.h"
#include "silc/export.h"

namespace silc {

using Colour = std::array<uint8_t, 3>;

SILC_EXPORT Image blank_picture(int64_t width, int64_t height, Colour colour);

// The whole of a picture with pixels, at another size; antialiased, bicubic.
SILC_EXPORT Image resized(const Image& image, int64_t width, int64_t height);

// What of these lies outside of `onto` is not drawn.
SILC_EXPORT void paste(const Image& image, int64_t x, int64_t y, Image& onto);
SILC_EXPORT void draw_frame(int64_t x0, int64_t y0, int64_t x1, int64_t y1, Colour colour, Image& onto);
// One line, its upper left corner at (x, y), kTextWidth pixels a letter; letters beyond U+00FF become "?".
inline constexpr int64_t kTextWidth = 6;
inline constexpr int64_t kTextHeight = 13;
SILC_EXPORT void draw_text(std::string_view utf8, int64_t x, int64_t y, Colour colour, Image& onto);

// Far apart for neighbouring numbers, and the same each time.
SILC_EXPORT Colour colour_of_class(int64_t label);

// A WebP of a picture with pixels, for pages: lossless where that is smaller, as of drawings, else of this quality
// (0 to 100).
SILC_EXPORT std::vector<uint8_t> encode_webp(const Image& image, float quality = 80);

// A PNG of a picture with pixels.
SILC_EXPORT std::vector<uint8_t> encode_png(const Image& image);

}  // namespace silc
