// Curves in a terminal, of braille and block characters. No LibTorch.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "plot/figure.h"

namespace silc::plot {

// "█▆▄▂▁": `width` characters at most, low to high, each the mean of its share of the values; what is not finite is
// left out. Empty for fewer than two values.
std::string sparkline(const std::vector<double>& values, std::size_t width);

// The points, in order of x, as a curve over axes: lines of at most `width` columns, `height` of them above the axis.
// Empty for fewer than two finite points.
std::string terminal_plot(const std::vector<Point>& points, const Axis& x, const Axis& y, std::size_t width,
                          std::size_t height);

}  // namespace silc::plot
