// What figures are put together from. Inside core/plot only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "plot/figure.h"

namespace silc::plot {

inline constexpr std::string_view kInk = "#1f2328";
inline constexpr std::string_view kFaint = "#d5d9df";
inline constexpr std::string_view kMuted = "#59636e";

// "12.3", with no more digits than can be seen.
std::string number(double value);

std::string_view color_of(std::size_t style);
// ' class="s3" stroke="#009e73" fill="#009e73"'
std::string attributes_of(std::size_t style, std::string_view more_classes = "");
// "6 3", in the units of a line's width; empty: a whole line.
std::string dashes_of(std::size_t style, double width);
// The row's marker at (x, y), filled in its colour, about 2 `radius` across.
std::string marker(std::size_t style, double x, double y, double radius);

enum class Anchor { start, middle, end };
// `text` is escaped here.
std::string text_at(double x, double y, std::string_view text, Anchor anchor, std::string_view ink = kMuted);
std::string line_between(double x1, double y1, double x2, double y2, double width, std::string_view ink = kFaint);

// How wide letters are, about: of a sans-serif font, on the safe side.
double text_width(std::string_view text, double font);
// The beginning of `text` that is at most so wide.
std::string fitted(std::string_view text, double font, double width);

// The svg element with its attributes, `attributes` among them.
std::string opening(const Layout& layout, double height, std::string_view title, std::string_view attributes);

}  // namespace silc::plot
