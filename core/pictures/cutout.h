// Pictures with a transparent background, and putting them on another. No LibTorch.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "silc/dataset.h"
#include "silc/export.h"

namespace silc {

struct Cutout {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;       // [height, width, 3], multiplied by the coverage
  std::vector<uint8_t> coverage;  // [height, width]; 255: nothing of what lies behind is seen
};

// What a PNG shows, cropped to what is not transparent. Throws silc::Error naming `source` where it is damaged, no PNG,
// too large (kMostPixels) or transparent altogether.
SILC_EXPORT Cutout decode_cutout(std::span<const uint8_t> file, std::string_view source);

// Antialiased, bilinear, as Pillow's resize() of its mode "RGBa": within one level.
SILC_EXPORT Cutout resized(const Cutout& cutout, int64_t width, int64_t height);

// Draws the cut-out over the picture, which has pixels, its upper left corner at (x, y); what lies outside is cut off.
SILC_EXPORT void paste(const Cutout& cutout, int64_t x, int64_t y, Image& picture);

}  // namespace silc
