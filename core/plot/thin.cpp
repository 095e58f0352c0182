#include "plot/thin.h"

#include <algorithm>
#include <cmath>

namespace silc::plot {

namespace {

Point average(const std::vector<Point>& points, std::size_t begin, std::size_t end) {
  Point sum;
  for (std::size_t i = begin; i < end; ++i) {
    sum.x += points[i].x;
    sum.y += points[i].y;
  }
  const auto n = static_cast<double>(end - begin);
  return {sum.x / n, sum.y / n};
}

double triangle(const Point& a, const Point& b, const Point& c) {
  return std::abs((a.x - c.x) * (b.y - a.y) - (a.x - b.x) * (c.y - a.y));
}

}  // namespace

std::vector<Point> thinned(const std::vector<Point>& points, std::size_t most) {
  std::vector<Point> finite;
  for (const Point& point : points)
    if (std::isfinite(point.x) && std::isfinite(point.y)) finite.push_back(point);
  if (finite.size() <= most) return finite;
  if (most < 3) return {finite.front(), finite.back()};

  std::vector<Point> kept{finite.front()};
  const double bucket = static_cast<double>(finite.size() - 2) / static_cast<double>(most - 2);
  const auto start_of = [&](std::size_t i) {
    return 1 + std::min(finite.size() - 2, static_cast<std::size_t>(bucket * static_cast<double>(i)));
  };
  for (std::size_t i = 0; i + 2 < most; ++i) {
    const std::size_t end = start_of(i + 1);
    const Point next = i + 3 < most ? average(finite, end, start_of(i + 2)) : finite.back();
    const auto best =
        std::max_element(finite.begin() + static_cast<std::ptrdiff_t>(start_of(i)),
                         finite.begin() + static_cast<std::ptrdiff_t>(end), [&](const Point& a, const Point& b) {
                           return triangle(kept.back(), a, next) < triangle(kept.back(), b, next);
                         });
    kept.push_back(*best);
  }
  kept.push_back(finite.back());
  return kept;
}

}  // namespace silc::plot
