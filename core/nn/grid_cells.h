// Regions of a picture, seen two ways: pooled from its patch tokens, and cut out of it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "silc/export.h"
#include "silc/random.h"

namespace silc {

// One of so many equal parts of a line.
struct LinePart {
  int64_t index = 0;
  int64_t parts = 1;

  // As fractions of the line.
  [[nodiscard]] double begin() const { return static_cast<double>(index) / static_cast<double>(parts); }
  [[nodiscard]] double end() const { return static_cast<double>(index + 1) / static_cast<double>(parts); }
};

// A cell of a grid that covers a picture.
struct GridCell {
  LinePart down, across;
};

// Cells of a grid of m rows and n columns that covers a picture. The grid is drawn evenly from all with m and n in
// 1 … max_split and neither more than twice the other, cells are drawn from it in random order, `max_cells` at most
// (CLIPSelf, section 3.2, and training/data.py of its code).
SILC_EXPORT std::vector<GridCell> draw_cells(Random random, int64_t max_split, int64_t max_cells);

// Cells as numbers, [2, K] int64 on the CPU, and back.
SILC_EXPORT at::Tensor cell_numbers(const std::vector<GridCell>& cells);
SILC_EXPORT std::vector<GridCell> numbered_cells(const at::Tensor& numbers);

// Pools the tokens of a grid by cells: RoIAlign (He 2017) with one bin a cell, as torchvision's roi_align with output
// size 1, sampling_ratio −1 and aligned, which is the mean of bilinear samples less than a token apart.
class SILC_EXPORT CellPooling {
 public:
  // For cells of grids of up to so many rows and columns.
  explicit CellPooling(int64_t max_split) : max_split_(max_split) {}

  // The matrix [K, height · width] that pools height × width tokens, row by row, on the device of `numbers`, which are
  // cell_numbers(): tables are made once, the first time.
  at::Tensor matrix(const at::Tensor& numbers, int64_t height, int64_t width);

 private:
  // The weights of `length` tokens in each part of the line that they stand on, [parts, length]: made once.
  const at::Tensor& along(int64_t length, const at::Device& device);

  int64_t max_split_;
  std::map<int64_t, at::Tensor> weights_;  // by length
};

// The cells of image [3, H, W], with borders rounded to pixels, resized to [K, 3, size, size] with antialiased
// bilinear interpolation. Not differentiable in a way that is the same to the bit on every device: give pictures.
SILC_EXPORT at::Tensor cut_cells(const at::Tensor& image, const std::vector<GridCell>& cells, int64_t size);

}  // namespace silc
