// A value of each row: seeds as points under their mean, which stands on its confidence interval.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "plot/figure.h"
#include "plot/parts.h"
#include "text/markup.h"

namespace silc::plot {

namespace {

Range extent_of(const IntervalPlot& plot) {
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  const auto take = [&](double value) {
    if (!std::isfinite(value)) return;
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
  };
  for (const IntervalRow& row : plot.rows) {
    if (row.mean) take(*row.mean);
    std::ranges::for_each(row.values, take);
  }
  // Two seeds make intervals that would leave no room for anything else: what they exceed is cut off.
  const double room = 1.5 * (range.high - range.low);
  const Range most{range.low - room, range.high + room};
  for (const IntervalRow& row : plot.rows)
    if (row.interval && most.high > most.low) {
      take(std::max(row.interval->low, most.low));
      take(std::min(row.interval->high, most.high));
    } else if (row.interval) {
      take(row.interval->low);
      take(row.interval->high);
    }
  const double padding = 0.05 * (range.high - range.low);
  return {range.low - padding, range.high + padding};
}

struct Columns {
  double names;  // where names end
  double left;   // of the axis
  double right;
  double values;  // where values end
};

Columns columns_of(const IntervalPlot& plot, const Layout& layout) {
  const double font = layout.font;
  double names = 0;
  double values = 0;
  for (const IntervalRow& row : plot.rows) {
    names = std::max(names, text_width(row.name, font));
    values = std::max(values, text_width(row.text, font));
  }
  names = std::min(names, 0.34 * layout.width);
  values = std::min(values, 0.3 * layout.width);
  return {
      .names = names, .left = names + 1.2 * font, .right = layout.width - values - 1.2 * font, .values = layout.width};
}

std::string row_of(const IntervalRow& row, const Scale& scale, double y, const Layout& layout) {
  const double font = layout.font;
  const double stroke = 0.16 * font;
  std::string svg;
  if (row.interval) {
    const double low = std::max(scale(row.interval->low), scale.from());
    const double high = std::min(scale(row.interval->high), scale.to());
    svg +=
        fmt::format("<path stroke-width=\"{}\" stroke-linecap=\"{}\" d=\"M{} {}H{}\"/>", number(stroke),
                    low > scale.from() && high < scale.to() ? "round" : "butt", number(low), number(y), number(high));
    // Cut off: an arrow tells.
    const double tip = 0.35 * font;
    if (scale(row.interval->low) < scale.from() - 0.5)
      svg += fmt::format("<path stroke=\"none\" d=\"M{} {}l{} {}v{}z\"/>", number(low - tip), number(y), number(tip),
                         number(-0.8 * tip), number(1.6 * tip));
    if (scale(row.interval->high) > scale.to() + 0.5)
      svg += fmt::format("<path stroke=\"none\" d=\"M{} {}l{} {}v{}z\"/>", number(high + tip), number(y), number(-tip),
                         number(-0.8 * tip), number(1.6 * tip));
  }
  if (row.values.size() > 1)
    for (const double value : row.values)
      svg += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill-opacity=\".45\" stroke=\"none\"/>",
                         number(scale(value)), number(y + 0.55 * font), number(0.2 * font));
  if (row.mean) svg += marker(row.style, scale(*row.mean), y, 0.42 * font);
  return svg;
}

}  // namespace

std::string draw(const IntervalPlot& plot, const Layout& layout) {
  const double font = layout.font;
  const double line = 2.1 * font;
  const double top = 2.2 * font;
  const double bottom = top + line * static_cast<double>(plot.rows.size());
  const double height = bottom + 2.9 * font;
  const Range range = extent_of(plot);
  const Columns columns = columns_of(plot, layout);
  const bool empty = range.low > range.high;
  std::string svg = opening(layout, empty ? bottom + font : height, plot.title,
                            layout.measure.empty() ? " class=\"plot intervals\"" : "");
  const Scale scale(empty ? Range{0, 1} : range, false, columns.left, columns.right);
  svg += text_at(columns.left, font, plot.x.label, Anchor::start, kInk);
  if (!empty) {
    const Range shown{scale.range().low * plot.x.factor, scale.range().high * plot.x.factor};
    const std::vector<double> ticks =
        linear_ticks(shown, std::clamp(static_cast<int>((columns.right - columns.left) / (4.5 * font)), 2, 7));
    const std::vector<std::string> labels = tick_labels(ticks);
    for (std::size_t i = 0; i < ticks.size(); ++i) {
      const double x = scale(ticks[i] / plot.x.factor);
      svg += line_between(x, top - 0.4 * font, x, bottom, 0.06 * font);
      svg += text_at(x, bottom + 1.3 * font, labels[i], Anchor::middle);
    }
    if (plot.reference && std::isfinite(*plot.reference)) {
      const double x = scale(*plot.reference);
      svg += fmt::format(
          "<path class=\"plot-rule\" d=\"M{} {}V{}\" stroke=\"{}\" stroke-width=\"{}\" "
          "stroke-dasharray=\"{} {}\" fill=\"none\"/>",
          number(x), number(top - 0.4 * font), number(bottom), kMuted, number(0.09 * font), number(0.3 * font),
          number(0.3 * font));
    }
  }
  for (std::size_t i = 0; i < plot.rows.size(); ++i) {
    const IntervalRow& row = plot.rows[i];
    const double y = top + line * (static_cast<double>(i) + 0.4);
    svg += layout.measure.empty()
               ? fmt::format("<g class=\"row\" data-row=\"{}\"><title>{}</title>", escape_markup(row.key),
                             escape_markup(row.tip.empty() ? row.name : row.tip))
               : "<g>";
    svg +=
        text_at(columns.names, y + 0.35 * font, fitted(row.name, font, columns.names + 0.1 * font), Anchor::end, kInk);
    svg += fmt::format("<g{}>{}</g>", attributes_of(row.style), row_of(row, scale, y, layout));
    svg += text_at(columns.values, y + 0.35 * font, fitted(row.text, font, 0.3 * layout.width), Anchor::end,
                   row.mean ? kInk : kMuted);
    svg += "</g>";
  }
  return svg + "</svg>";
}

}  // namespace silc::plot
