#include "pictures/cutout.h"

#include <fmt/format.h>

#include <algorithm>

#include "pictures/codecs.h"
#include "pictures/resample.h"
#include "silc/error.h"

namespace silc {
namespace {

uint8_t scaled(int value, int by) { return static_cast<uint8_t>((value * by + 127) / 255); }

// The box around what is not transparent; empty where nothing is.
Region covered_box(const std::vector<uint8_t>& rgba, int64_t width, int64_t height) {
  int64_t left = width, top = height, right = 0, bottom = 0;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      if (rgba[static_cast<std::size_t>((y * width + x) * 4 + 3)] == 0) continue;
      left = std::min(left, x);
      right = std::max(right, x + 1);
      top = std::min(top, y);
      bottom = y + 1;
    }
  }
  if (right == 0) return {};
  return {.x = left, .y = top, .width = right - left, .height = bottom - top};
}

Cutout cropped(const std::vector<uint8_t>& rgba, int64_t width, const Region& box) {
  Cutout cutout{.width = box.width, .height = box.height, .rgb = {}, .coverage = {}};
  cutout.rgb.reserve(static_cast<std::size_t>(box.width * box.height * 3));
  cutout.coverage.reserve(static_cast<std::size_t>(box.width * box.height));
  for (int64_t y = box.y; y < box.y + box.height; ++y) {
    const uint8_t* pixel = rgba.data() + (y * width + box.x) * 4;
    for (int64_t x = 0; x < box.width; ++x, pixel += 4) {
      for (int c = 0; c < 3; ++c) cutout.rgb.push_back(scaled(pixel[c], pixel[3]));
      cutout.coverage.push_back(pixel[3]);
    }
  }
  return cutout;
}

// All of the picture as [height, width, 3].
std::vector<uint8_t> resized_levels(const PixelView& pixels, int64_t width, int64_t height) {
  return resampled_levels(pixels, {.begin = 0, .length = pixels.width, .size = width, .first = 0, .count = width},
                          {.begin = 0, .length = pixels.height, .size = height, .first = 0, .count = height});
}

}  // namespace

Cutout decode_cutout(std::span<const uint8_t> file, std::string_view source) {
  try {
    int64_t width = 0;
    int64_t height = 0;
    const std::vector<uint8_t> rgba = decode_png_rgba(file, width, height);
    const Region box = covered_box(rgba, width, height);
    if (box.width == 0) throw Error("is transparent altogether");
    return cropped(rgba, width, box);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", source, error.what()));
  }
}

Cutout resized(const Cutout& cutout, int64_t width, int64_t height) {
  Image colours{cutout.width, cutout.height, cutout.rgb};
  Image coverage{cutout.width, cutout.height, {}};
  coverage.rgb.reserve(cutout.coverage.size() * 3);
  for (const uint8_t value : cutout.coverage) coverage.rgb.insert(coverage.rgb.end(), 3, value);
  Cutout result{.width = width, .height = height, .rgb = resized_levels(colours, width, height), .coverage = {}};
  const std::vector<uint8_t> levels = resized_levels(coverage, width, height);
  result.coverage.reserve(levels.size() / 3);
  for (std::size_t i = 0; i < levels.size(); i += 3) result.coverage.push_back(levels[i]);
  return result;
}

void paste(const Cutout& cutout, int64_t x, int64_t y, Image& picture) {
  const int64_t left = std::max<int64_t>(0, -x);
  const int64_t right = std::min(cutout.width, picture.width - x);
  for (int64_t row = std::max<int64_t>(0, -y); row < std::min(cutout.height, picture.height - y); ++row) {
    for (int64_t column = left; column < right; ++column) {
      const auto from = static_cast<std::size_t>(row * cutout.width + column);
      const int behind = 255 - cutout.coverage[from];
      uint8_t* pixel = picture.rgb.data() + ((y + row) * picture.width + x + column) * 3;
      for (std::size_t c = 0; c < 3; ++c)
        pixel[c] = static_cast<uint8_t>(std::min(255, cutout.rgb[3 * from + c] + scaled(pixel[c], behind)));
    }
  }
}

}  // namespace silc
