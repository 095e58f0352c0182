// Learning curves, one plot a step metric.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "registry/columns.h"
#include "registry/page/sections.h"
#include "text/markup.h"

namespace silc {

namespace {

// Points of all plots together, which decide how large a page is: 6 bytes each.
constexpr std::size_t kMostPoints = 300'000;
constexpr std::size_t kFewestPoints = 24;

int rank_of(const std::string& metric) {
  if (metric == "loss") return 0;
  if (metric.starts_with("loss/")) return 1;
  return metric == "lr" || metric == "rate" || metric == "data_wait" ? 3 : 2;
}

std::size_t count_lines(const PageContext& context) {
  std::size_t lines = 0;
  for (const auto& row : context.curves) {
    for (const auto& [metric, seeds] : row->seeds) lines += seeds.size();
    lines += row->means.size();
  }
  return lines;
}

// Positive figures over two powers of ten read best on a logarithmic axis.
bool wants_logarithm(const plot::CurvePlot& plot) {
  constexpr double kSpan = 100;
  double low = INFINITY;
  double high = 0;
  for (const plot::Series& series : plot.series)
    for (const auto& line : series.lines)
      for (const plot::Point& point : line) {
        if (!std::isfinite(point.y)) continue;
        low = std::min(low, point.y);
        high = std::max(high, point.y);
      }
  return low > 0 && high > kSpan * low;
}

Html legend_of(const PageContext& context) {
  Html html;
  for (std::size_t i = 0; i < context.curves.size(); ++i)
    html += fmt::format("<button type=\"button\" class=\"legend\" aria-pressed=\"true\"{}>{}{}</button>",
                        attribute("data-row", context.rows[i].name), plot::draw_key(context.rows[i].style),
                        element("span", context.rows[i].name));
  return fmt::format("<div class=\"legends\" role=\"group\" aria-label=\"Rows shown\">{}</div>", html);
}

}  // namespace

std::vector<std::string> ordered_step_metrics(const PageContext& context) {
  std::vector<std::string> metrics;
  for (const auto& row : context.curves)
    for (const auto& [metric, lines] : row->seeds)
      if (std::ranges::find(metrics, metric) == metrics.end()) metrics.push_back(metric);
  std::ranges::sort(metrics, [](const std::string& one, const std::string& other) {
    return rank_of(one) != rank_of(other) ? rank_of(one) < rank_of(other) : natural_order(one, other);
  });
  return metrics;
}

plot::CurvePlot learning_curves(const PageContext& context, const std::string& metric) {
  plot::CurvePlot plot;
  plot.title = metric + " along training";
  plot.x = {.label = "examples seen"};
  plot.y = {.label = metric};
  for (std::size_t i = 0; i < context.curves.size(); ++i) {
    const RowCurves& row = *context.curves[i];
    const auto lines = row.seeds.find(metric);
    if (lines == row.seeds.end()) continue;
    const auto mean = row.means.find(metric);
    plot.series.push_back({.name = context.rows[i].name,
                           .key = context.rows[i].name,
                           .style = context.rows[i].style,
                           .lines = lines->second,
                           .mean = mean == row.means.end() ? std::vector<plot::Point>{} : mean->second,
                           .marks = {}});
  }
  plot.y.logarithmic = wants_logarithm(plot);
  return plot;
}

PageSection curves_section(PageContext& context) {
  PageSection section{"curves", "Learning curves", {}};
  const std::vector<std::string> metrics = ordered_step_metrics(context);
  if (metrics.empty()) return section;
  plot::Layout layout;
  layout.points =
      std::clamp(kMostPoints / std::max<std::size_t>(count_lines(context), 1), kFewestPoints, layout.points);
  std::vector<Choice> choices;
  const std::size_t first = context.parts.size();
  for (const std::string& metric : metrics) {
    choices.push_back({"curves:" + metric, metric});
    context.parts.push_back({choices.back().part, [context = context.shared_from_this(), metric, layout] {
                               return plot::draw(learning_curves(*context, metric), layout);
                             }});
  }
  section.html = legend_of(context);
  if (context.rows.size() > context.curves.size())
    section.html += element("p", fmt::format("Curves of the first {} of {} rows; silc report --table NAME shows those "
                                             "of one table.",
                                             context.curves.size(), context.rows.size()));
  // Two side by side, where there is room: the loss, and what comes next.
  section.html += "<div class=\"charts\">";
  const bool phased = std::ranges::any_of(context.rows, [](const PageRow& row) { return !row.earlier.empty(); });
  const Html caption = fmt::format(
      "Thin lines are seeds, thick ones their mean; long curves are thinned.{} Point at the plot, or use the arrow "
      "keys "
      "in it, to read values.",
      phased ? " Rows in several phases have them one after the other." : "");
  for (std::size_t shown = 0; shown < std::min<std::size_t>(2, metrics.size()); ++shown) {
    std::vector<Choice> ordered = choices;
    std::ranges::rotate(ordered, ordered.begin() + static_cast<std::ptrdiff_t>(shown));
    section.html += choice_of_plots(fmt::format("curves-{}", shown + 1), "Metric", ordered,
                                    context.parts[first + shown].html(), shown == 0 ? caption : "");
  }
  section.html += "</div>";
  return section;
}

}  // namespace silc
