// Curves over axes: one line a seed, the mean over them, and values of their own.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "plot/figure.h"
#include "plot/parts.h"
#include "text/markup.h"

namespace silc::plot {

namespace {

// Coordinates of lines are whole tenths, one after the other as they differ: a page holds hundreds of thousands.
constexpr double kTenths = 10;

struct Extent {
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  void take(double value, bool logarithmic) {
    if (!std::isfinite(value) || (logarithmic && value <= 0)) return;
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
  }
  [[nodiscard]] bool is_empty() const { return range.low > range.high; }
};

Range padded(Range range, bool logarithmic) {
  constexpr double kPadding = 0.04;
  if (logarithmic) {
    const double factor = std::pow(range.high / range.low, kPadding);
    return {range.low / factor, range.high * factor};
  }
  const double room = kPadding * (range.high - range.low);
  // Figures that are never negative get no room below zero.
  return {range.low >= 0 && range.low < room ? 0 : range.low - room, range.high + room};
}

struct Frame {
  Scale x;
  Scale y;
};

struct Extents {
  Extent x;
  Extent y;
};

Extents extents_of(const CurvePlot& plot) {
  Extents extents;
  const auto take = [&](const Point& point) {
    if (!std::isfinite(point.x) || !std::isfinite(point.y)) return;
    extents.x.take(point.x, plot.x.logarithmic);
    extents.y.take(point.y, plot.y.logarithmic);
  };
  for (const Series& series : plot.series) {
    for (const auto& line : series.lines) std::ranges::for_each(line, take);
    std::ranges::for_each(series.mean, take);
    for (const Mark& mark : series.marks) {
      take(mark.at);
      if (!mark.interval) continue;
      extents.y.take(mark.interval->low, plot.y.logarithmic);
      extents.y.take(mark.interval->high, plot.y.logarithmic);
    }
  }
  return extents;
}

std::vector<double> ticks_of(const Scale& scale, const Axis& axis, int count) {
  const Range shown{scale.range().low * axis.factor, scale.range().high * axis.factor};
  return scale.is_logarithmic() ? logarithmic_ticks(shown, count) : linear_ticks(shown, count);
}

std::string path_of(const std::vector<Point>& points, const Frame& frame) {
  std::string path;
  long last_x = 0;
  long last_y = 0;
  for (const Point& point : points) {
    if (frame.y.is_logarithmic() && point.y <= 0) continue;
    if (frame.x.is_logarithmic() && point.x <= 0) continue;
    const long x = std::lround(kTenths * frame.x(point.x));
    const long y = std::lround(kTenths * frame.y(point.y));
    if (path.empty()) {
      path = fmt::format("M{} {}l", x, y);
    } else {
      const long dx = x - last_x;
      const long dy = y - last_y;
      path += fmt::format("{}{}{}{}", path.ends_with('l') || dx < 0 ? "" : " ", dx, dy < 0 ? "" : " ", dy);
    }
    last_x = x;
    last_y = y;
  }
  if (path.ends_with('l')) path += "0 0";
  return path;
}

std::string lines_of(const Series& series, const Frame& frame, const Layout& layout) {
  const double thin = 0.06 * layout.font;
  const double thick = 0.14 * layout.font;
  std::string svg;
  const bool alone = series.mean.empty();
  const auto add = [&](const std::vector<Point>& line, const std::string& kind, double width, std::size_t most) {
    const std::string path = path_of(thinned(line, most), frame);
    if (path.empty()) return;
    const std::string dashes = dashes_of(series.style, kTenths * width);
    svg += fmt::format("<path class=\"{}\" stroke-width=\"{}\"{}{} d=\"{}\"/>", kind, number(kTenths * width),
                       kind == "seed" ? " stroke-opacity=\".3\"" : "",
                       dashes.empty() || kind == "seed" ? "" : fmt::format(" stroke-dasharray=\"{}\"", dashes), path);
  };
  for (const auto& line : series.lines)
    add(line, alone ? "mean" : "seed", alone ? thick : thin, alone ? layout.points : layout.points / 2);
  if (!alone) add(series.mean, "mean", thick, layout.points);
  if (svg.empty()) return {};
  return fmt::format(
      "<g transform=\"scale(.1)\" fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"round\">{}</g>", svg);
}

// Markers along a curve and at its end, not at the same places as those of other rows.
std::string markers_of(const Series& series, const Frame& frame, const Layout& layout) {
  constexpr int kMarkers = 3;
  std::string svg;
  const double radius = 0.3 * layout.font;
  const auto at = [&](const Point& point) {
    if (frame.y.is_logarithmic() && point.y <= 0) return;
    svg += marker(series.style, frame.x(point.x), frame.y(point.y), radius);
  };
  const std::vector<Point>* curve = !series.mean.empty()    ? &series.mean
                                    : !series.lines.empty() ? &series.lines.front()
                                                            : nullptr;
  if (curve == nullptr || curve->empty() || !series.marks.empty()) return svg;
  const Range& reach = frame.x.range();
  const double shift = 0.13 * static_cast<double>(series.style % 7);
  for (int i = 0; i < kMarkers; ++i) {
    const double wanted = reach.low + (reach.high - reach.low) * (i + 0.1 + shift) / kMarkers;
    const auto nearest = std::ranges::lower_bound(*curve, wanted, {}, &Point::x);
    if (nearest != curve->end() && nearest + 1 != curve->end()) at(*nearest);
  }
  at(curve->back());
  return svg;
}

std::string marks_of(const Series& series, const Frame& frame, const Layout& layout) {
  std::string svg;
  for (const Mark& mark : series.marks) {
    if (!std::isfinite(mark.at.x) || !std::isfinite(mark.at.y)) continue;
    if ((frame.x.is_logarithmic() && mark.at.x <= 0) || (frame.y.is_logarithmic() && mark.at.y <= 0)) continue;
    const double x = frame.x(mark.at.x);
    svg += "<g>";
    if (!mark.text.empty()) svg += fmt::format("<title>{}</title>", escape_markup(mark.text));
    if (mark.interval)
      svg += fmt::format("<path stroke-width=\"{}\" d=\"M{} {}V{}\"/>", number(0.14 * layout.font), number(x),
                         number(frame.y(mark.interval->low)), number(frame.y(mark.interval->high)));
    svg += marker(series.style, x, frame.y(mark.at.y), 0.42 * layout.font) + "</g>";
  }
  return svg;
}

// Names of curves in lines of the width of the figure. `height` receives what they take up.
std::string legend_of(const CurvePlot& plot, const Layout& layout, double top, double& height) {
  if (!layout.legend || plot.series.size() < 2) return {};
  const double line = 1.5 * layout.font;
  const double key = 2 * layout.font;
  double x = 0;
  double y = top + layout.font;
  std::string svg;
  for (const Series& series : plot.series) {
    const std::string name = fitted(series.name, layout.font, layout.width - key - layout.font);
    const double width = key + 0.4 * layout.font + text_width(name, layout.font) + layout.font;
    if (x > 0 && x + width > layout.width) {
      x = 0;
      y += line;
    }
    const double middle = y - 0.34 * layout.font;
    const double stroke = 0.14 * layout.font;
    const std::string dashes = dashes_of(series.style, stroke);
    svg += fmt::format(
        "<g{}><path fill=\"none\" stroke-width=\"{}\"{} d=\"M{} {}H{}\"/>{}</g>", attributes_of(series.style),
        number(stroke), dashes.empty() ? "" : fmt::format(" stroke-dasharray=\"{}\"", dashes), number(x + 1),
        number(middle), number(x + key - 1), marker(series.style, x + key / 2, middle, 0.3 * layout.font));
    svg += text_at(x + key + 0.4 * layout.font, y, name, Anchor::start, kInk);
    x += width;
  }
  height = y + 0.5 * layout.font - top;
  return svg;
}

}  // namespace

std::string draw(const CurvePlot& plot, const Layout& layout) {
  const double font = layout.font;
  const Extents extents = extents_of(plot);
  const double plot_height = layout.aspect * layout.width;
  if (extents.x.is_empty() || extents.y.is_empty())
    return opening(layout, 3 * font, plot.title, " class=\"plot\"") +
           text_at(0, 1.5 * font, "No values yet.", Anchor::start) + "</svg>";

  const double top = 2 * font;
  const double bottom = plot_height - 2.9 * font;
  const Range y_range = padded(extents.y.range, plot.y.logarithmic);
  const Scale measured(y_range, plot.y.logarithmic, bottom, top);
  const std::vector<double> y_ticks =
      ticks_of(measured, plot.y, std::clamp(static_cast<int>((bottom - top) / (2.6 * font)), 2, 6));
  const std::vector<std::string> y_labels = tick_labels(y_ticks);
  double left = 2 * font;
  for (const std::string& label : y_labels) left = std::max(left, text_width(label, font) + 0.7 * font);
  const double right = layout.width - 0.8 * font;
  // Curves fill the width; values of their own stand off its edges.
  const bool any_marks = std::ranges::any_of(plot.series, [](const Series& series) { return !series.marks.empty(); });
  const Range x_range = any_marks ? padded(extents.x.range, plot.x.logarithmic) : extents.x.range;
  const Frame frame{Scale(x_range, plot.x.logarithmic, left, right), measured};

  double legend_height = 0;
  const std::string legend = legend_of(plot, layout, plot_height, legend_height);
  const auto ends = [](const Scale& scale) {
    return fmt::format("{:.6g} {:.6g} {} {} {}", scale.range().low, scale.range().high, number(scale.from()),
                       number(scale.to()), scale.is_logarithmic() ? "log" : "linear");
  };
  std::string svg =
      opening(layout, plot_height + legend_height, plot.title,
              layout.measure.empty()
                  ? fmt::format(" class=\"plot curves\" data-x=\"{} {:g}\" data-y=\"{} {:g}\" data-x-label=\"{}\"",
                                ends(frame.x), plot.x.factor, ends(frame.y), plot.y.factor, escape_markup(plot.x.label))
                  : "");
  for (std::size_t i = 0; i < y_ticks.size(); ++i) {
    const double y = frame.y(y_ticks[i] / plot.y.factor);
    svg += line_between(left, y, right, y, 0.06 * font);
    svg += text_at(left - 0.5 * font, y + 0.35 * font, y_labels[i], Anchor::end);
  }
  svg += line_between(left, bottom, right, bottom, 0.08 * font, kMuted);
  const std::vector<double> x_ticks =
      ticks_of(frame.x, plot.x, std::clamp(static_cast<int>((right - left) / (5.5 * font)), 2, 7));
  const std::vector<std::string> x_labels = tick_labels(x_ticks);
  for (std::size_t i = 0; i < x_ticks.size(); ++i) {
    const double x = frame.x(x_ticks[i] / plot.x.factor);
    svg += line_between(x, bottom, x, bottom + 0.3 * font, 0.08 * font, kMuted);
    const double half = text_width(x_labels[i], font) / 2;
    svg += x + half > layout.width ? text_at(layout.width, bottom + 1.4 * font, x_labels[i], Anchor::end)
                                   : text_at(x, bottom + 1.4 * font, x_labels[i], Anchor::middle);
  }
  svg += text_at(0, font, plot.y.label, Anchor::start, kInk);
  svg += text_at(right, plot_height - 0.35 * font, plot.x.label, Anchor::end, kInk);
  for (const Series& series : plot.series) {
    const std::string body =
        lines_of(series, frame, layout) + markers_of(series, frame, layout) + marks_of(series, frame, layout);
    if (body.empty()) continue;
    svg += layout.measure.empty() ? fmt::format("<g{} data-row=\"{}\">{}</g>", attributes_of(series.style, "series"),
                                                escape_markup(series.key), body)
                                  : fmt::format("<g{}>{}</g>", attributes_of(series.style), body);
  }
  return svg + legend + "</svg>";
}

}  // namespace silc::plot
