// What a score costs: every metric of a table against every cost.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "registry/columns.h"
#include "registry/grid.h"
#include "registry/page/sections.h"

namespace silc {

namespace {

constexpr std::array<std::string_view, 3> kCosts{"cost/flops", "cost/core_seconds", "cost/device_seconds"};

std::span<const TableRow> plotted_rows(const Table& table) {
  return std::span(table.rows).first(std::min(table.rows.size(), kMostPlottedRows));
}

const TableEntry* find_cost(const std::vector<Table>& tables, const std::string& row, std::string_view cost) {
  for (const Table& table : tables)
    for (const TableRow& each : table.rows) {
      if (each.name != row) continue;
      const auto column = std::ranges::find(table.columns, cost);
      if (column == table.columns.end()) continue;
      const TableEntry& entry = each.entries[static_cast<std::size_t>(column - table.columns.begin())];
      if (!entry.values.empty()) return &entry;
    }
  return nullptr;
}

plot::CurvePlot plot_of(const PageContext& context, const Table& table, std::size_t column,
                        const std::vector<Table>& costs, std::string_view cost) {
  const std::string& metric = table.columns[column];
  const std::string cost_name = column_headers({std::string(cost)}).front();
  plot::CurvePlot plot;
  plot.y = {.label = column_headers(table.columns)[column], .factor = shown_scale(metric)};
  plot.x = {.label = cost.ends_with("seconds") ? cost_name + " (s)" : cost_name};
  plot.title = plot.y.label + " against " + cost_name;
  for (const TableRow& row : plotted_rows(table)) {
    const TableEntry& entry = row.entries[column];
    const TableEntry* spent = find_cost(costs, row.name, cost);
    if (entry.values.empty() || spent == nullptr) continue;
    plot::Series& series = plot.series.emplace_back();
    series.name = series.key = row.name;
    series.style = context.style_of(row.name);
    plot::Mark mark{.at = {spent->mean, entry.mean}, .interval = {}, .text = {}};
    if (entry.interval) mark.interval = plot::Range{entry.interval->low, entry.interval->high};
    mark.text =
        fmt::format("{}: {} {} for {}", label_of(row), plot.y.label, format_value(metric, entry.mean, entry.spread),
                    format_value(std::string(cost), spent->mean, spent->spread));
    series.marks.push_back(std::move(mark));
  }
  return plot;
}

// Scores along training, for rows that were evaluated there.
plot::CurvePlot plot_along(const PageContext& context, const Table& table, std::size_t column, CostUnit unit) {
  const std::string& metric = table.columns[column];
  const std::string cost = column_headers({fmt::format("cost/{}", unit_name(unit))}).front();
  plot::CurvePlot plot;
  plot.y = {.label = column_headers(table.columns)[column], .factor = shown_scale(metric)};
  plot.x = {.label = unit == CostUnit::core_seconds ? cost + " (s)" : cost};
  plot.title = fmt::format("{} along training, by {}", plot.y.label, cost);
  const auto points_of = [&](const Curve& curve) {
    std::vector<plot::Point> points;
    for (const CurvePoint& point : curve.points) points.push_back({point.cost(unit), point.value});
    return points;
  };
  for (const TableRow& row : plotted_rows(table)) {
    const std::vector<Curve>& curves = row.entries[column].curves;
    if (curves.empty()) continue;
    plot::Series& series = plot.series.emplace_back();
    series.name = series.key = row.name;
    series.style = context.style_of(row.name);
    std::vector<const Curve*> seeds;
    for (const Curve& curve : curves) {
      series.lines.push_back(points_of(curve));
      seeds.push_back(&curve);
    }
    if (seeds.size() > 1) series.mean = points_of(mean_curve(seeds));
  }
  return plot;
}

}  // namespace

std::vector<Table> cost_tables(const PageRequest& request) {
  std::vector<ExperimentSource> sources = request.sources;
  const std::vector<std::string> columns(kCosts.begin(), kCosts.end());
  for (ExperimentSource& source : sources) {
    if (source.experiment.tables.empty())
      source.experiment.tables.push_back(
          {.name = "results", .title = {}, .baseline = {}, .columns = columns, .rows = {}});
    for (PlannedTable& table : source.experiment.tables) table.columns = columns;
  }
  ReportRequest all;
  if (sources.size() > 1) return {build_joint_table(sources, all)};
  return build_tables(*sources.front().registry, sources.front().experiment, all);
}

std::vector<NamedCurves> cost_plots(const PageContext& context, const Table& table) {
  std::vector<NamedCurves> plots;
  for (const CostUnit unit : {CostUnit::flops, CostUnit::core_seconds, CostUnit::examples})
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      plot::CurvePlot plot = plot_along(context, table, column, unit);
      if (plot.series.empty()) continue;
      const std::string name = fmt::format("{}:along-{}", table.columns[column], unit_name(unit));
      plots.push_back({name, plot.title, std::move(plot)});
    }
  for (const std::string_view cost : kCosts)
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      const std::string& metric = table.columns[column];
      if (is_cost(metric)) continue;
      plot::CurvePlot plot = plot_of(context, table, column, context.costs, cost);
      if (plot.series.size() < 2) continue;
      const std::string name = fmt::format("{}:{}", metric, cost.substr(cost.find('/') + 1));
      plots.push_back({name, plot.title, std::move(plot)});
    }
  return plots;
}

}  // namespace silc
