// Regions of a picture, seen two ways: pooled from its patch tokens, and cut out of it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "silc/export.h"
#include "silc/random.h"

namespace silc {

// Part of a picture, as fractions of its height and width.
struct Region {
  double top = 0, bottom = 1;
  double left = 0, right = 1;
};

// Cells of a grid of m rows and n columns that covers a picture. The grid is drawn evenly from all with m and n in
// 1 … max_split and neither more than twice the other, cells are drawn from it in random order, `max_cells` at most
// (CLIPSelf, section 3.2, and training/data.py of its code).
SILC_EXPORT std::vector<Region> draw_cells(Random random, int64_t max_split, int64_t max_cells);

// RoIAlign (He 2017) with one bin a region, as the matrix [K, height · width] that pools the tokens of a grid, row by
// row. As torchvision's roi_align with output size 1, sampling_ratio −1 and aligned: the mean of bilinear samples less
// than a token apart.
SILC_EXPORT at::Tensor roi_align_matrix(const std::vector<Region>& regions, int64_t height, int64_t width);

// The regions of image [3, H, W], with borders rounded to pixels, resized to [K, 3, size, size] with antialiased
// bilinear interpolation. Not differentiable in a way that is the same to the bit on every device: give pictures.
SILC_EXPORT at::Tensor cut_regions(const at::Tensor& image, const std::vector<Region>& regions, int64_t size);

}  // namespace silc
