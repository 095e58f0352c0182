// Long curves in few points. No LibTorch.
#pragma once

#include <cstddef>
#include <vector>

namespace silc::plot {

struct Point {
  double x = 0;
  double y = 0;
};

// At most `most` (2 or more) of the points, which are in order of x: the first, the last, and those that look most like
// the whole, peaks and steps among them (largest triangle, three buckets: Steinarsson 2013, Downsampling Time Series
// for Visual Representation). Points that are not finite are left out.
std::vector<Point> thinned(const std::vector<Point>& points, std::size_t most);

}  // namespace silc::plot
