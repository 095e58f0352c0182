#include "plot/figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "plot/parts.h"
#include "text/display.h"
#include "text/markup.h"

namespace silc::plot {

namespace {

// Okabe & Ito 2008, Color Universal Design, without its yellow, which cannot be seen on white; the first is ink.
constexpr std::array<std::string_view, 7> kColors{kInk,      "#0072b2", "#d55e00", "#009e73",
                                                  "#aa4499", "#e69f00", "#56b4e9"};
constexpr std::size_t kDashes = 3;
constexpr std::size_t kShapes = 8;

constexpr std::string_view kFonts = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";

constexpr double kMillimetresPerPoint = 25.4 / 72;

Layout column(double millimetres, double aspect) {
  Layout layout;
  layout.width = millimetres / kMillimetresPerPoint;
  layout.font = 7.5;
  layout.aspect = aspect;
  layout.measure = fmt::format("{}mm", millimetres);
  layout.legend = true;
  layout.points = 400;
  return layout;
}

// Styles 1, 2, … in the colours behind the first.
std::size_t color_index(std::size_t style) { return style == 0 ? 0 : 1 + (style - 1) % (kColors.size() - 1); }

std::string polygon(std::size_t corners, double x, double y, double radius, double turn) {
  std::string path;
  for (std::size_t i = 0; i < corners; ++i) {
    const double angle = turn + 2 * M_PI * static_cast<double>(i) / static_cast<double>(corners);
    path += fmt::format("{}{} {}", i == 0 ? "M" : "L", number(x + radius * std::sin(angle)),
                        number(y - radius * std::cos(angle)));
  }
  return fmt::format("<path d=\"{}Z\"/>", path);
}

// A cross of two bars.
std::string bars(double x, double y, double radius, bool upright) {
  const double reach = upright ? radius : 0.75 * radius;
  const std::string path = upright ? fmt::format("M{} {}H{}M{} {}V{}", number(x - reach), number(y), number(x + reach),
                                                 number(x), number(y - reach), number(y + reach))
                                   : fmt::format("M{} {}L{} {}M{} {}L{} {}", number(x - reach), number(y - reach),
                                                 number(x + reach), number(y + reach), number(x - reach),
                                                 number(y + reach), number(x + reach), number(y - reach));
  return fmt::format("<path fill=\"none\" stroke-width=\"{}\" d=\"{}\"/>", number(0.5 * radius), path);
}

}  // namespace

Layout one_column() { return column(84, 0.72); }
Layout two_columns() { return column(174, 0.45); }

std::string number(double value) {
  std::string text = fmt::format("{:.1f}", value);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

std::string_view color_of(std::size_t style) { return kColors[color_index(style)]; }

std::string attributes_of(std::size_t style, std::string_view more_classes) {
  return fmt::format(" class=\"s{}{}{}\" stroke=\"{}\" fill=\"{}\"", color_index(style),
                     more_classes.empty() ? "" : " ", more_classes, color_of(style), color_of(style));
}

std::string dashes_of(std::size_t style, double width) {
  constexpr std::array<std::array<double, 4>, kDashes> kPatterns{{{0, 0, 0, 0}, {5, 2.5, 5, 2.5}, {1.5, 2, 1.5, 2}}};
  const std::size_t index = style == 0 ? 0 : (style - 1) / (kColors.size() - 1) % kDashes;
  if (index == 0) return {};
  const auto& pattern = kPatterns[index];
  return fmt::format("{} {}", number(pattern[0] * width), number(pattern[1] * width));
}

std::string marker(std::size_t style, double x, double y, double radius) {
  switch (style % kShapes) {
    case 0:
      return fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\"/>", number(x), number(y), number(0.85 * radius));
    case 1:
      return polygon(4, x, y, radius, M_PI / 4);
    case 2:
      return polygon(3, x, y, 1.15 * radius, 0);
    case 3:
      return polygon(4, x, y, 1.1 * radius, 0);
    case 4:
      return polygon(3, x, y, 1.15 * radius, M_PI);
    case 5:
      return bars(x, y, radius, true);
    case 6:
      return polygon(5, x, y, radius, 0);
    default:
      return bars(x, y, radius, false);
  }
}

std::string text_at(double x, double y, std::string_view text, Anchor anchor, std::string_view ink) {
  constexpr std::array<std::string_view, 3> kAnchors{"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
  return fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\"{} fill=\"{}\">{}</text>",
                     ink == kInk ? "plot-ink" : "plot-muted", number(x), number(y),
                     kAnchors[static_cast<std::size_t>(anchor)], ink, escape_markup(text));
}

std::string line_between(double x1, double y1, double x2, double y2, double width, std::string_view ink) {
  return fmt::format("<path class=\"{}\" d=\"M{} {}L{} {}\" stroke=\"{}\" stroke-width=\"{}\" fill=\"none\"/>",
                     ink == kFaint ? "plot-faint" : "plot-rule", number(x1), number(y1), number(x2), number(y2), ink,
                     number(width));
}

double text_width(std::string_view text, double font) { return 0.57 * font * static_cast<double>(display_width(text)); }

std::string fitted(std::string_view text, double font, double width) {
  return cut(text, static_cast<std::size_t>(std::max(1.0, width / (0.57 * font))));
}

std::string opening(const Layout& layout, double height, std::string_view title, std::string_view attributes) {
  const bool file = !layout.measure.empty();
  std::string svg = "<svg";
  if (file) {
    const double millimetres = std::stod(layout.measure);
    svg += fmt::format(" xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}mm\"", layout.measure,
                       number(millimetres * height / layout.width));
  }
  svg +=
      fmt::format(" viewBox=\"0 0 {} {}\" font-family=\"{}\" font-size=\"{}\" role=\"img\" aria-label=\"{}\"{}>",
                  number(layout.width), number(height), kFonts, number(layout.font), escape_markup(title), attributes);
  if (file) svg += fmt::format("<title>{}</title>", escape_markup(title));
  return svg;
}

std::string draw_key(std::size_t style) {
  constexpr double kWidth = 26, kHeight = 12, kStroke = 2;
  const std::string dashes = dashes_of(style, kStroke);
  return fmt::format(
      "<svg class=\"key\" viewBox=\"0 0 {} {}\" width=\"{}\" height=\"{}\" aria-hidden=\"true\"><g{}><path "
      "fill=\"none\" "
      "stroke-width=\"{}\"{} d=\"M1 6H25\"/>{}</g></svg>",
      kWidth, kHeight, kWidth, kHeight, attributes_of(style), kStroke,
      dashes.empty() ? "" : fmt::format(" stroke-dasharray=\"{}\"", dashes), marker(style, kWidth / 2, kHeight / 2, 4));
}

std::string draw_sparkline(const std::vector<Point>& points, std::size_t style) {
  constexpr double kWidth = 84, kHeight = 20, kRoom = 2;
  constexpr std::size_t kMost = 40;
  const std::vector<Point> few = thinned(points, kMost);
  if (few.size() < 2) return {};
  Range values{few.front().y, few.front().y};
  for (const Point& point : few) {
    values.low = std::min(values.low, point.y);
    values.high = std::max(values.high, point.y);
  }
  const Scale x({few.front().x, few.back().x}, false, kRoom, kWidth - kRoom);
  const Scale y(values, false, kHeight - kRoom, kRoom);
  std::string path;
  for (const Point& point : few)
    path += fmt::format("{}{} {}", path.empty() ? "M" : "L", number(x(point.x)), number(y(point.y)));
  return fmt::format(
      "<svg class=\"sparkline\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" aria-hidden=\"true\"><g{2}><path "
      "fill=\"none\" stroke-width=\"1.5\" d=\"{3}\"/></g></svg>",
      kWidth, kHeight, attributes_of(style), path);
}

}  // namespace silc::plot
