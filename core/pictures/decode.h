// Pictures as they lie in files: JPEG, PNG and WebP. No LibTorch.
//
// A dataset hands over files as they are (encoded_image), and whoever needs pixels decodes the part that it needs. What
// a file shows is what Pillow's convert("RGB") shows of it after exif_transpose(): rotated as its EXIF orientation
// says; grey as three equal channels, CMYK by Adobe's inverted convention, 16 bits by their upper eight, palettes
// looked up, alpha dropped, the first picture of an animation.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "silc/dataset.h"
#include "silc/export.h"

namespace silc {

// More pixels than this are refused, before anything is allocated for them: such a file is a decompression bomb, or no
// training picture. Pillow's limit.
inline constexpr int64_t kMostPixels = 178'956'970;

// A picture that is decoded later: reads its header alone. `source` names it in messages: a path, or shard and key.
// Throws silc::Error naming `source` where it is no JPEG, PNG or WebP, or its header is damaged, or it is too large.
SILC_EXPORT Image encoded_image(std::vector<uint8_t> file, std::string source);

// In pixels of the upright picture.
struct Region {
  int64_t x = 0, y = 0, width = 0, height = 0;
};

// Decoded pixels of a part of a picture, perhaps at a reduced size: pixel (u, v) of `pixels` covers the square of
// `reduction` pixels' side at (x + u · reduction, y + v · reduction) of the whole picture.
struct PicturePart {
  Image pixels;
  int64_t x = 0, y = 0;
  int64_t reduction = 1;  // 1, 2, 4 or 8
};

// At least `region` of the picture, which lies within it and is not empty; all of it where nothing is gained by less.
// At `reduction` 1 the pixels are those of decoded(). A JPEG is reduced while it is decoded, except for the rare one
// whose chroma is coarser in one direction than in the other; other pictures are not reduced.
// A picture whose pixels are there already is passed through. Throws silc::Error naming the picture where the part that
// is needed is cut short or damaged.
SILC_EXPORT PicturePart decode_part(Image image, const Region& region, int64_t reduction = 1);

// The whole picture, with pixels.
SILC_EXPORT Image decoded(Image image);

// Numbers of a label map: palette indices or grey levels as they stand in a PNG of one channel, never colours.
struct LabelMap {
  int64_t width = 0, height = 0;
  std::vector<uint16_t> values;  // [height, width]
};

// Throws silc::Error naming `source`.
SILC_EXPORT LabelMap decode_label_map(std::span<const uint8_t> file, std::string_view source);

}  // namespace silc
