#include "pictures/draw.h"

#include <spng.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "pictures/letters.h"
#include "pictures/resample.h"
#include "silc/error.h"

namespace silc {
namespace {

static_assert(kTextWidth == kLetterWidth && kTextHeight == kLetterHeight);

void set_pixel(int64_t x, int64_t y, Colour colour, Image& onto) {
  if (x < 0 || y < 0 || x >= onto.width || y >= onto.height) return;
  std::copy(colour.begin(), colour.end(), onto.rgb.begin() + (y * onto.width + x) * 3);
}

// Takes the next letter from a text; U+FFFD for what is none.
char32_t take_letter(std::string_view& text) {
  const auto first = static_cast<uint8_t>(text.front());
  const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  const std::string_view bytes = text.substr(0, length);
  text.remove_prefix(bytes.size());
  if (length == 1) return first;
  if (length == 2 && bytes.size() == 2) return (first & 0x1FU) << 6 | (static_cast<uint8_t>(bytes[1]) & 0x3FU);
  return 0xFFFD;
}

}  // namespace

Image blank_picture(int64_t width, int64_t height, Colour colour) {
  Image image{.width = width, .height = height, .rgb = {}};
  image.rgb.reserve(static_cast<std::size_t>(width * height * 3));
  for (int64_t i = 0; i < width * height; ++i) image.rgb.insert(image.rgb.end(), colour.begin(), colour.end());
  return image;
}

Image resized(const Image& image, int64_t width, int64_t height) {
  const auto axis = [](int64_t length, int64_t size) {
    return Axis{.begin = 0, .length = length, .size = size, .first = 0, .count = size};
  };
  const auto plane = static_cast<std::size_t>(width * height);
  std::vector<float> values(plane * 3);
  resample(image, axis(image.width, width), axis(image.height, height), Interpolation::bicubic, false, values.data());
  Image result{.width = width, .height = height, .rgb = std::vector<uint8_t>(plane * 3)};
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t c = 0; c < 3; ++c)
      result.rgb[3 * i + c] = static_cast<uint8_t>(std::lround((values[c * plane + i] + 1) * 127.5F));
  return result;
}

void paste(const Image& image, int64_t x, int64_t y, Image& onto) {
  for (int64_t v = 0; v < image.height; ++v)
    for (int64_t u = 0; u < image.width; ++u) {
      const uint8_t* pixel = image.rgb.data() + (v * image.width + u) * 3;
      set_pixel(x + u, y + v, {pixel[0], pixel[1], pixel[2]}, onto);
    }
}

void draw_frame(int64_t x0, int64_t y0, int64_t x1, int64_t y1, Colour colour, Image& onto) {
  for (int64_t x = x0; x < x1; ++x) {
    set_pixel(x, y0, colour, onto);
    set_pixel(x, y1 - 1, colour, onto);
  }
  for (int64_t y = y0; y < y1; ++y) {
    set_pixel(x0, y, colour, onto);
    set_pixel(x1 - 1, y, colour, onto);
  }
}

void draw_text(std::string_view utf8, int64_t x, int64_t y, Colour colour, Image& onto) {
  for (; !utf8.empty(); x += kTextWidth) {
    char32_t letter = take_letter(utf8);
    if (letter < 0x20) letter = ' ';
    if (letter > 0xFF) letter = '?';
    for (int row = 0; row < kLetterHeight; ++row)
      for (int column = 0; column < kLetterWidth; ++column)
        if ((kLetters[letter - 0x20][row] >> (kLetterWidth - 1 - column) & 1) != 0)
          set_pixel(x + column, y + row, colour, onto);
  }
}

Colour colour_of_class(int64_t label) {
  // Hues a golden angle apart, at two brightnesses.
  const double hue = std::fmod(static_cast<double>(label) * 0.61803398875, 1.0) * 6;
  const double value = label % 2 == 0 ? 255 : 190;
  const auto channel = [&](double shift) {
    const double k = std::fmod(hue + shift, 6.0);
    return static_cast<uint8_t>(value - value * 0.85 * std::clamp(std::min(k, 4 - k), 0.0, 1.0));
  };
  return {channel(5), channel(3), channel(1)};
}

std::vector<uint8_t> encode_png(const Image& image) {
  const std::unique_ptr<spng_ctx, void (*)(spng_ctx*)> png(spng_ctx_new(SPNG_CTX_ENCODER), spng_ctx_free);
  spng_ihdr header{};
  header.width = static_cast<uint32_t>(image.width);
  header.height = static_cast<uint32_t>(image.height);
  header.bit_depth = 8;
  header.color_type = SPNG_COLOR_TYPE_TRUECOLOR;
  const auto check = [](int code) {
    if (code != 0) throw Error(std::string("a PNG cannot be written: ") + spng_strerror(code));
  };
  check(spng_set_option(png.get(), SPNG_ENCODE_TO_BUFFER, 1));
  check(spng_set_ihdr(png.get(), &header));
  check(spng_encode_image(png.get(), image.rgb.data(), image.rgb.size(), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE));
  std::size_t size = 0;
  int code = 0;
  const std::unique_ptr<void, void (*)(void*)> bytes(spng_get_png_buffer(png.get(), &size, &code), std::free);
  check(code);
  const auto* first = static_cast<const uint8_t*>(bytes.get());
  return {first, first + size};
}

}  // namespace silc
