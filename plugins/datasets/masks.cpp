#include "plugins/datasets/masks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>
#include <string>

#include "silc/error.h"

namespace silc::datasets {

// Five bits a character from '0' on, the sixth says that more follow; from the third run on, the difference to the one
// before the last.
RunLengths read_run_lengths(std::string_view text, std::string_view where) {
  RunLengths runs;
  for (std::size_t at = 0; at < text.size();) {
    int64_t value = 0;
    int shift = 0;
    bool more = true;
    while (more) {
      const int symbol = at < text.size() ? text[at++] - 48 : -1;
      if (symbol < 0 || symbol > 63 || shift > 30) throw Error(std::string(where) + ": its run lengths are damaged");
      value |= static_cast<int64_t>(symbol & 31) << shift;
      more = (symbol & 32) != 0;
      shift += 5;
      if (!more && (symbol & 16) != 0) value |= -1 * (int64_t{1} << shift);
    }
    if (runs.size() > 2) value += runs[runs.size() - 2];
    if (value < 0 || value > std::numeric_limits<uint32_t>::max())
      throw Error(std::string(where) + ": its run lengths are damaged");
    runs.push_back(static_cast<uint32_t>(value));
  }
  return runs;
}

namespace {

struct Point {
  int64_t x, y;
};

// The pixels of a five times finer grid that the polygon's edges pass, as Bresenham's algorithm has them.
std::vector<Point> fine_border(std::span<const double> polygon, double scale) {
  std::vector<Point> corners;
  for (std::size_t i = 0; i + 1 < polygon.size(); i += 2)
    corners.push_back(
        {static_cast<int64_t>(scale * polygon[i] + .5), static_cast<int64_t>(scale * polygon[i + 1] + .5)});
  corners.push_back(corners.front());
  std::vector<Point> border;
  for (std::size_t i = 0; i + 1 < corners.size(); ++i) {
    Point from = corners[i];
    Point to = corners[i + 1];
    const int64_t dx = std::abs(to.x - from.x);
    const int64_t dy = std::abs(from.y - to.y);
    const bool flip = (dx >= dy && from.x > to.x) || (dx < dy && from.y > to.y);
    if (flip) std::swap(from, to);
    const int64_t steps = std::max(dx, dy);
    const int64_t rise = dx >= dy ? to.y - from.y : to.x - from.x;
    const double slope = steps == 0 ? 0 : static_cast<double>(rise) / static_cast<double>(steps);
    for (int64_t d = 0; d <= steps; ++d) {
      const int64_t t = flip ? steps - d : d;
      const int64_t start = dx >= dy ? from.y : from.x;
      const auto across = static_cast<int64_t>(static_cast<double>(start) + slope * static_cast<double>(t) + .5);
      border.push_back(dx >= dy ? Point{t + from.x, across} : Point{across, t + from.y});
    }
  }
  return border;
}

}  // namespace

RunLengths polygon_run_lengths(std::span<const double> polygon, int64_t width, int64_t height) {
  constexpr double kScale = 5;
  if (polygon.size() < 6) return {static_cast<uint32_t>(width * height)};
  const std::vector<Point> border = fine_border(polygon, kScale);
  // Where a column of pixels is entered or left.
  std::vector<int64_t> crossings;
  for (std::size_t i = 1; i < border.size(); ++i) {
    if (border[i].x == border[i - 1].x) continue;
    const int64_t fine_x = border[i].x < border[i - 1].x ? border[i].x : border[i].x - 1;
    const double x = (static_cast<double>(fine_x) + .5) / kScale - .5;
    if (std::floor(x) != x || x < 0 || x > static_cast<double>(width - 1)) continue;
    const auto fine_y = static_cast<double>(std::min(border[i].y, border[i - 1].y));
    const double y = std::clamp((fine_y + .5) / kScale - .5, 0.0, static_cast<double>(height));
    crossings.push_back(static_cast<int64_t>(x) * height + static_cast<int64_t>(std::ceil(y)));
  }
  crossings.push_back(width * height);
  std::sort(crossings.begin(), crossings.end());
  RunLengths runs;
  int64_t before = 0;
  for (const int64_t crossing : crossings) {
    runs.push_back(static_cast<uint32_t>(crossing - before));
    before = crossing;
  }
  return runs;
}

void paint(const RunLengths& runs, uint8_t value, int64_t width, int64_t height, std::vector<uint8_t>& mask,
           std::string_view where) {
  if (std::accumulate(runs.begin(), runs.end(), int64_t{0}) != width * height)
    throw Error(
        fmt::format("{}: its run lengths do not add up to the {} × {} pixels of the picture", where, width, height));
  int64_t at = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (i % 2 == 1)
      for (int64_t k = at; k < at + runs[i]; ++k)
        mask[static_cast<std::size_t>(k % height * width + k / height)] = value;
    at += runs[i];
  }
}

}  // namespace silc::datasets
