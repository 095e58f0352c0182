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

// Where a part's weights stand among those of all parts of 1, 2, … equal ones.
int64_t number_of(const LinePart& part) { return part.parts * (part.parts - 1) / 2 + part.index; }

LinePart numbered(int64_t number) {
  int64_t parts = 1;
  while (number_of({.index = 0, .parts = parts + 1}) <= number) ++parts;
  return {.index = number - number_of({.index = 0, .parts = parts}), .parts = parts};
}

// Weights of `length` tokens in the pooled value of a part of the line that they stand on: one dimension of RoIAlign.
// Token i has its centre at i + ½.
std::vector<float> part_weights(const LinePart& part, int64_t length) {
  constexpr double kRounding = 1e-6;  // of borders such as ⅔ · 6: no reason for a sample more
  const double start = part.begin() * static_cast<double>(length) - 0.5;
  const double extent = (part.end() - part.begin()) * static_cast<double>(length);
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

std::vector<GridCell> draw_cells(Random random, int64_t max_split, int64_t max_cells) {
  const auto shapes = grids(max_split);
  const auto [rows, columns] = shapes[random.below(static_cast<uint32_t>(shapes.size()))];
  std::vector<GridCell> cells;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      cells.push_back({.down = {.index = row, .parts = rows}, .across = {.index = column, .parts = columns}});
  for (std::size_t i = cells.size(); i > 1; --i) std::swap(cells[i - 1], cells[random.below(static_cast<uint32_t>(i))]);
  cells.resize(std::min(cells.size(), static_cast<std::size_t>(max_cells)));
  return cells;
}

at::Tensor cell_numbers(const std::vector<GridCell>& cells) {
  auto numbers = at::empty({2, static_cast<int64_t>(cells.size())}, at::kLong);
  auto* number = numbers.mutable_data_ptr<int64_t>();
  for (const GridCell& cell : cells) *number++ = number_of(cell.down);
  for (const GridCell& cell : cells) *number++ = number_of(cell.across);
  return numbers;
}

std::vector<GridCell> numbered_cells(const at::Tensor& numbers) {
  const auto rows = numbers.accessor<int64_t, 2>();
  std::vector<GridCell> cells;
  for (int64_t k = 0; k < numbers.size(1); ++k)
    cells.push_back({.down = numbered(rows[0][k]), .across = numbered(rows[1][k])});
  return cells;
}

at::Tensor CellPooling::matrix(const at::Tensor& numbers, int64_t height, int64_t width) {
  const auto down = along(height, numbers.device()).index_select(0, numbers[0]);   // [K, H]
  const auto across = along(width, numbers.device()).index_select(0, numbers[1]);  // [K, W]
  return (down.unsqueeze(2) * across.unsqueeze(1)).flatten(1);
}

const at::Tensor& CellPooling::along(int64_t length, const at::Device& device) {
  auto& weights = weights_[length];
  if (weights.defined() && weights.device() == device) return weights;
  std::vector<float> of_all;
  for (int64_t parts = 1; parts <= max_split_; ++parts)
    for (int64_t index = 0; index < parts; ++index) {
      const auto of_part = part_weights({.index = index, .parts = parts}, length);
      of_all.insert(of_all.end(), of_part.begin(), of_part.end());
    }
  return weights = at::tensor(of_all).view({-1, length}).to(device);
}

at::Tensor cut_cells(const at::Tensor& image, const std::vector<GridCell>& cells, int64_t size) {
  const auto height = image.size(1), width = image.size(2);
  std::vector<at::Tensor> cuts;
  for (const GridCell& cell : cells) {
    const auto cut = image.slice(1, to_pixel(cell.down.begin(), height), to_pixel(cell.down.end(), height))
                         .slice(2, to_pixel(cell.across.begin(), width), to_pixel(cell.across.end(), width));
    cuts.push_back(at::_upsample_bilinear2d_aa(cut.unsqueeze(0), {size, size}, /*align_corners=*/false));
  }
  return at::cat(cuts);  // [K, 3, S, S]
}

}  // namespace silc
