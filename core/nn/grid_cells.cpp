#include "nn/grid_cells.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace silc {

namespace {

std::vector<std::pair<int64_t, int64_t>> grids(int64_t max_split) {
  std::vector<std::pair<int64_t, int64_t>> shapes;
  for (int64_t rows = 1; rows <= max_split; ++rows)
    for (int64_t columns = (rows + 1) / 2; columns <= std::min(2 * rows, max_split); ++columns)
      shapes.emplace_back(rows, columns);
  return shapes;
}

// Weights of `length` tokens in the pooled value of the interval [low, high] of the line that they stand on: one
// dimension of RoIAlign. Token i has its centre at i + ½.
std::vector<float> interval_weights(double low, double high, int64_t length) {
  constexpr double kRounding = 1e-6;  // of borders such as ⅔ · 6: no reason for a sample more
  const double start = low * static_cast<double>(length) - 0.5;
  const double extent = (high - low) * static_cast<double>(length);
  const auto samples = std::max<int64_t>(1, static_cast<int64_t>(std::ceil(extent - kRounding)));
  std::vector<double> weights(static_cast<std::size_t>(length), 0.0);
  for (int64_t i = 0; i < samples; ++i) {
    const double at = std::clamp(start + (static_cast<double>(i) + 0.5) * extent / static_cast<double>(samples), 0.0,
                                 static_cast<double>(length - 1));
    const auto below = static_cast<std::size_t>(at);
    const double part = at - static_cast<double>(below);
    weights[below] += 1 - part;
    if (part > 0) weights[below + 1] += part;
  }
  std::vector<float> mean;
  for (const double weight : weights) mean.push_back(static_cast<float>(weight / static_cast<double>(samples)));
  return mean;
}

int64_t to_pixel(double fraction, int64_t length) { return std::lrint(fraction * static_cast<double>(length)); }

}  // namespace

std::vector<Region> draw_cells(Random random, int64_t max_split, int64_t max_cells) {
  const auto shapes = grids(max_split);
  const auto [rows, columns] = shapes[random.below(static_cast<uint32_t>(shapes.size()))];
  std::vector<Region> cells;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      cells.push_back({.top = static_cast<double>(row) / static_cast<double>(rows),
                       .bottom = static_cast<double>(row + 1) / static_cast<double>(rows),
                       .left = static_cast<double>(column) / static_cast<double>(columns),
                       .right = static_cast<double>(column + 1) / static_cast<double>(columns)});
  for (std::size_t i = cells.size(); i > 1; --i) std::swap(cells[i - 1], cells[random.below(static_cast<uint32_t>(i))]);
  cells.resize(std::min(cells.size(), static_cast<std::size_t>(max_cells)));
  return cells;
}

at::Tensor roi_align_matrix(const std::vector<Region>& regions, int64_t height, int64_t width) {
  std::vector<at::Tensor> rows;
  for (const Region& region : regions) {
    const auto down = at::tensor(interval_weights(region.top, region.bottom, height));   // [H]
    const auto across = at::tensor(interval_weights(region.left, region.right, width));  // [W]
    rows.push_back(at::outer(down, across).flatten());                                   // [H · W]
  }
  return at::stack(rows);
}

at::Tensor cut_regions(const at::Tensor& image, const std::vector<Region>& regions, int64_t size) {
  const auto height = image.size(1), width = image.size(2);
  std::vector<at::Tensor> cuts;
  for (const Region& region : regions) {
    const auto cut = image.slice(1, to_pixel(region.top, height), to_pixel(region.bottom, height))
                         .slice(2, to_pixel(region.left, width), to_pixel(region.right, width));
    cuts.push_back(at::_upsample_bilinear2d_aa(cut.unsqueeze(0), {size, size}, /*align_corners=*/false));
  }
  return at::cat(cuts);  // [K, 3, S, S]
}

}  // namespace silc
