// Views of a picture: where to cut, and cutting. No LibTorch in the pixels' way.
#pragma once

#include <cstdint>
#include <vector>

#include "silc/dataset.h"
#include "silc/objective.h"
#include "silc/random.h"

namespace silc {

struct Crop {
  int64_t x = 0;  // left edge, pixels
  int64_t y = 0;  // upper edge
  int64_t width = 0;
  int64_t height = 0;
  bool flip = false;  // mirrored left to right
};

// A random resized crop of a picture of width × height pixels, as torchvision's RandomResizedCrop draws it: ten
// attempts at an area and an aspect ratio that fit, then the greatest central crop within the range of aspect ratios.
// The whole picture where the area is {1, 1}.
Crop random_crop(const ViewSpec& view, int64_t width, int64_t height, Random& random);

// The whole picture.
Crop whole_picture(const Image& image);

// Cuts and resizes to size × size, bilinear with antialiasing (a triangle filter as wide as the reduction, as Pillow
// and at::_upsample_bilinear2d_aa have it), into [3, size, size] floats in [-1, 1].
void cut_view(const Image& image, const Crop& crop, int64_t size, float* into);

// The same crop of `mask`, [height, width] pixel classes of a picture that is `width` pixels wide, into [size, size]:
// the class at the centre of each new pixel (nearest neighbour, as Pillow and at::upsample_nearest_exact have it).
void cut_mask(const std::vector<uint8_t>& mask, int64_t width, const Crop& crop, int64_t size, uint8_t* into);

}  // namespace silc
