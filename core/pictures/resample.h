// Resizing pictures as Pillow does: antialiased, the filter as wide as the reduction. No LibTorch.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "pictures/decode.h"
#include "silc/export.h"

namespace silc {

enum class Interpolation : uint8_t {
  bilinear,  // triangle filter; not rounded to grey levels in between or at the end
  bicubic,  // Catmull-Rom spline (a = −½); rounded to grey levels after each direction, as Pillow's: the same levels
};

// Pixels that somebody else keeps: a decoded picture or a part of one.
struct PixelView {
  PixelView(const Image& image)  // NOLINT: a picture is its own whole
      : rgb(image.rgb.data()), width(image.width), height(image.height) {}
  PixelView(const PicturePart& part)  // NOLINT
      : rgb(part.pixels.rgb.data()),
        width(part.pixels.width),
        height(part.pixels.height),
        x(part.x),
        y(part.y),
        reduction(part.reduction) {}

  const uint8_t* rgb;  // [height, width, 3]
  int64_t width, height;
  int64_t x = 0, y = 0;  // where they lie in the whole picture, as in PicturePart
  int64_t reduction = 1;
};

// What one direction of a resized picture is made from.
struct Axis {
  int64_t begin = 0;   // first pixel of the whole picture that takes part
  int64_t length = 0;  // pixels that do; none beyond them has an influence
  int64_t size = 0;    // pixels that they become
  int64_t first = 0;   // of those, the part that is wanted
  int64_t count = 0;
};

// What becomes of values v in [-1, 1].
struct Shown {
  std::array<float, 3> factor = {1, 1, 1};  // v · factor + shift, for each channel
  std::array<float, 3> shift = {0, 0, 0};
  // Written past the processor's cache, which is faster for those that nobody is going to read soon.
  bool past_cache = false;
};

// Into [3, vertical.count, horizontal.count] floats in [-1, 1], or what `shown` makes of them, mirrored left to right
// with `flip`. The same bits on any processor.
SILC_EXPORT void resample(const PixelView& pixels, const Axis& horizontal, const Axis& vertical, Interpolation filter,
                          bool flip, float* into, const Shown& shown = {});

// What `shown` makes of values, three planes of `plane` each.
SILC_EXPORT void show(const float* values, int64_t plane, const Shown& shown, float* into);

// `resample` by one of usable_resample_loops() (pictures/resample_loops.h), so that tests can compare them.
struct ResampleLoops;
SILC_EXPORT void resample(const ResampleLoops& loops, const PixelView& pixels, const Axis& horizontal,
                          const Axis& vertical, Interpolation filter, bool flip, float* into, const Shown& shown = {});

// The same, bilinear, rounded to grey levels: [vertical.count, horizontal.count, 3].
SILC_EXPORT std::vector<uint8_t> resampled_levels(const PixelView& pixels, const Axis& horizontal,
                                                  const Axis& vertical);

}  // namespace silc
