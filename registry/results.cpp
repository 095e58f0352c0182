#include "registry/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "files/run_folder.h"
#include "registry/columns.h"
#include "registry/search_report.h"

namespace silc {

Results::Results(const Registry& registry, const PlannedExperiment& experiment)
    : trials_(registry.trials(experiment.name)),
      metrics_(registry.metrics(experiment.name)),
      curves_(read_curves(registry, experiment.name, metrics_)),
      not_applicable_(registry.not_applicable(experiment.name)) {
  std::set<std::pair<std::string, int64_t>> planned;
  for (const PlannedCell& cell : experiment.cells)
    if (planned.emplace(cell.row, cell.seed).second) {
      ++planned_[cell.row];
      seeds_[cell.row].insert(cell.seed);
    }
  if (const auto recorded = registry.experiment(experiment.name)) search_ = recorded->search;
  // Rows whose search has not chosen have no cells yet.
  if (search_)
    for (const PlannedTuning& tuned : search_->tuned)
      if (!planned_.contains(tuned.row) && std::ranges::find(experiment.rows, tuned.row) != experiment.rows.end())
        planned_[tuned.row] = static_cast<int64_t>(experiment.seeds.size());
  for (const CellRecord& cell : registry.cells(experiment.name)) {
    if (!cell.current || !planned.contains({cell.cell.row, cell.cell.seed})) continue;
    if (cell.state == CellState::failed) ++failed_[cell.cell.row];
    if (cell.state == CellState::finished) ++finished_[cell.cell.row];
    folders_[{cell.cell.row, cell.cell.seed}] = registry.runs() / cell.cell.folder;
  }
  const auto is_unplanned = [&](const auto& record) { return !planned.contains({record.row, record.seed}); };
  std::erase_if(metrics_, is_unplanned);
  std::erase_if(not_applicable_, is_unplanned);
  std::erase_if(curves_, is_unplanned);
  for (WarningRecord& warning : registry.warnings(experiment.name))
    if (planned.contains({warning.row, warning.seed})) warnings_[warning.row].push_back(std::move(warning));
  for (const MetricRecord& metric : metrics_) {
    datasets_[column_of(metric)].insert(metric.dataset);
    if (metric.phases > 1) phased_.insert(metric.row);
    if (metric.primary && metric.evaluator != "cost") weights_[metric.row] = metric.weights;
  }
  for (const Curve& curve : curves_)
    for (const std::string& column : names_of_column(metric_of_curve(curve, 0)))
      curves_by_column_[column][{curve.row, curve.seed}] = &curve;
  index(metrics_);
}

std::optional<double> Results::least_cost(const std::vector<std::string>& rows, CostUnit unit) const {
  std::optional<double> least;
  for (const Curve& curve : curves_) {
    if (!curve.ended || std::ranges::find(rows, curve.row) == rows.end()) continue;
    const double cost = curve.points.back().cost(unit);
    least = std::min(least.value_or(cost), cost);
  }
  return least;
}

void Results::match(CostUnit unit, double level) {
  std::vector<MetricRecord> values;
  std::set<std::pair<std::string, int64_t>> costed;
  for (const Curve& curve : curves_) {
    const auto value = curve.ended ? value_at(curve, unit, level) : std::nullopt;
    if (!value) continue;
    values.push_back(metric_of_curve(curve, *value));
    if (costed.emplace(curve.row, curve.seed).second) add_costs_at(curve, unit, level, values);
  }
  for (const MetricRecord& metric : metrics_)
    if (metric.evaluator == "cost" && (metric.name == "parameters" || metric.name == "peak_memory"))
      values.push_back(metric);
  use(std::move(values));
}

void Results::average(int64_t count) {
  std::vector<MetricRecord> values;
  for (const Curve& curve : curves_)
    if (const auto value = mean_of_last(curve, count)) values.push_back(metric_of_curve(curve, *value));
  for (const MetricRecord& metric : metrics_)
    if (metric.evaluator == "cost") values.push_back(metric);
  use(std::move(values));
}

std::vector<const Curve*> Results::curves(const std::string& column, const std::string& row) const {
  std::vector<const Curve*> found;
  if (const auto of_column = curves_by_column_.find(column); of_column != curves_by_column_.end())
    for (const auto& [cell, curve] : of_column->second)
      if (cell.first == row) found.push_back(curve);
  return found;
}

std::vector<std::string> Results::expand(const std::string& column) const {
  for (const MetricRecord& metric : metrics_) {
    const std::string base = column_of(metric);
    if (!column.starts_with(base) || datasets_.at(base).size() < 2) continue;
    const std::string rest = column.substr(base.size());
    if (!rest.empty() && rest != "@" + metric.weights) continue;
    std::vector<std::string> expanded;
    for (const std::string& dataset : datasets_.at(base))
      expanded.push_back(metric.evaluator + "/" + dataset + "/" + metric.name + rest);
    return expanded;
  }
  return {column};
}

std::vector<std::string> Results::standard_columns() const {
  std::vector<std::string> columns;
  for (const MetricRecord& metric : metrics_) {
    const std::string column = column_of(metric);
    if (metric.evaluator != "cost" && metric.primary && std::ranges::find(columns, column) == columns.end())
      columns.push_back(column);
  }
  std::ranges::stable_sort(columns, natural_order);
  for (const char* cost : {"cost/examples", "cost/flops", "cost/core_seconds", "cost/peak_memory"})
    columns.emplace_back(cost);
  if (search_)
    for (const char* cost : {"search/flops", "search/core_seconds"}) columns.emplace_back(cost);
  return columns;
}

TableEntry Results::entry(const std::string& column, const std::string& row) const {
  TableEntry entry;
  entry.planned = count(planned_, row);
  entry.failed = count(failed_, row);
  entry.finished = count(finished_, row);
  if (is_search(column)) {
    const SearchCost cost = search_cost(trials_, row);
    entry.of_row = true;
    entry.mean = metric_of(column) == "flops"    ? cost.flops
                 : metric_of(column) == "trials" ? static_cast<double>(cost.trials)
                                                 : cost.core_seconds;
    entry.values = {entry.mean};
    return entry;
  }
  const auto found = columns_.find(column);
  if (found == columns_.end()) {
    entry.not_applicable = why_not_applicable(column, row);
    return entry;
  }
  for (auto value = found->second.lower_bound({row, std::numeric_limits<int64_t>::min()});
       value != found->second.end() && value->first.first == row; ++value) {
    entry.seeds.push_back(value->first.second);
    entry.values.push_back(value->second->value);
  }
  if (entry.values.empty())
    entry.not_applicable = why_not_applicable(column, row);
  else
    entry.mean = mean(entry.values);
  entry.spread = sample_standard_deviation(entry.values);
  entry.interval = t_interval(entry.values);
  if (entry.interval) entry.interval_evidence = Evidence::seeds;
  return entry;
}

const SampledValue* Results::sampled(const std::string& column, const std::string& row, int64_t seed,
                                     PictureBootstrap& bootstrap) const {
  const auto metrics = columns_.find(column);
  if (metrics == columns_.end() || is_cost(column)) return nullptr;
  const auto metric = metrics->second.find({row, seed});
  if (metric == metrics->second.end()) return nullptr;
  const auto [sampled, is_new] = sampled_.try_emplace(metric->second);
  if (is_new) {
    const RunFolder folder{folders_.at({row, seed})};
    const SampleFiles& files = samples_.try_emplace(folder.path.string(), folder.samples()).first->second;
    const auto& [key, record] = *metric;
    if (const auto scores = files.find(record->evaluator, record->weights, record->name, record->value))
      sampled->second = {scores->data, scores->pictures, bootstrap.deviations(*scores)};
  }
  return sampled->second.deviations.empty() ? nullptr : &sampled->second;
}

std::set<int64_t> Results::seeds(const std::string& row) const {
  const auto found = seeds_.find(row);
  return found == seeds_.end() ? std::set<int64_t>{} : found->second;
}

std::filesystem::path Results::folder(const std::string& row) const {
  for (auto cell = folders_.lower_bound({row, std::numeric_limits<int64_t>::min()});
       cell != folders_.end() && cell->first.first == row; ++cell)
    if (std::filesystem::exists(RunFolder{cell->second}.cell())) return cell->second;
  return {};
}

std::string Results::weights(const std::string& row) const {
  const auto found = weights_.find(row);
  return found == weights_.end() ? "" : found->second;
}

std::vector<WarningRecord> Results::warnings(const std::string& row) const {
  const auto found = warnings_.find(row);
  return found == warnings_.end() ? std::vector<WarningRecord>{} : found->second;
}

std::vector<std::string> Results::unseen_reasons(const std::string& row,
                                                 const std::vector<std::string>& columns) const {
  std::vector<std::string> reasons;
  for (const NotApplicableRecord& record : not_applicable_) {
    const bool seen = std::ranges::any_of(
        columns, [&](const std::string& column) { return column.starts_with(record.evaluator + "/"); });
    if (record.row == row && record.primary && !seen) reasons.push_back(reason_of(record));
  }
  return reasons;
}

std::vector<std::string> Results::names_of_column(const MetricRecord& metric) {
  std::vector<std::string> names;
  for (const std::string& base : {column_of(metric), qualified_column_of(metric)}) {
    if (metric.primary) names.push_back(base);
    names.push_back(base + "@" + metric.weights);
  }
  return names;
}

MetricRecord Results::metric_of_curve(const Curve& curve, double value) {
  return {.row = curve.row,
          .seed = curve.seed,
          .evaluator = curve.evaluator,
          .dataset = curve.dataset,
          .weights = curve.weights,
          .name = curve.name,
          .value = value,
          .n = curve.n,
          .primary = curve.primary};
}

void Results::add_costs_at(const Curve& curve, CostUnit unit, double level, std::vector<MetricRecord>& values) {
  for (const CostUnit each : {CostUnit::examples, CostUnit::flops, CostUnit::core_seconds}) {
    Curve cost = curve;
    for (CurvePoint& point : cost.points) point.value = point.cost(each);
    if (const auto value = value_at(cost, unit, level))
      values.push_back({.row = curve.row,
                        .seed = curve.seed,
                        .evaluator = "cost",
                        .dataset = "",
                        .weights = "",
                        .name = std::string(unit_name(each)),
                        .value = *value,
                        .n = 1});
  }
}

void Results::use(std::vector<MetricRecord> values) {
  values_ = std::move(values);
  index(values_);
}

void Results::index(const std::vector<MetricRecord>& metrics) {
  columns_.clear();
  sampled_.clear();
  for (const MetricRecord& metric : metrics)
    for (const std::string& column : names_of_column(metric)) columns_[column][{metric.row, metric.seed}] = &metric;
}

std::string Results::reason_of(const NotApplicableRecord& record) {
  return fmt::format("{} does not apply: {}", record.evaluator, record.reason);
}

std::string Results::why_not_applicable(const std::string& column, const std::string& row) const {
  const std::string weights = weights_of(column);
  for (const NotApplicableRecord& record : not_applicable_)
    if (record.row == row && column.starts_with(record.evaluator + "/") &&
        (weights.empty() ? record.primary : weights == record.weights))
      return reason_of(record);
  return {};
}

int64_t Results::count(const std::map<std::string, int64_t>& counts, const std::string& row) {
  const auto found = counts.find(row);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace silc
