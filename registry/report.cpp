#include "registry/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <list>
#include <map>
#include <set>
#include <utility>

#include "files/run_folder.h"
#include "registry/columns.h"
#include "registry/samples.h"
#include "registry/search_report.h"
#include "registry/settings.h"
#include "registry/statistics.h"
#include "silc/error.h"
#include "text/names.h"

namespace silc {

namespace {

// Metrics of one column: (row, seed) → metric.
using ColumnMetrics = std::map<std::pair<std::string, int64_t>, const MetricRecord*>;

std::string list(const std::vector<std::string>& names) { return names.empty() ? "none" : quoted_list(names, ""); }

// What drawing the test pictures anew makes of one value.
struct SampledValue {
  std::string data;  // what it was tested on
  int64_t pictures = 0;
  std::vector<double> deviations;
};

// Everything that tables of one experiment are made from.
class Results {
 public:
  Results(const Registry& registry, const PlannedExperiment& experiment)
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

  // The least that a finished cell of one of the rows has cost; nothing if none was evaluated along training.
  [[nodiscard]] std::optional<double> least_cost(const std::vector<std::string>& rows, CostUnit unit) const {
    std::optional<double> least;
    for (const Curve& curve : curves_) {
      if (!curve.ended || std::ranges::find(rows, curve.row) == rows.end()) continue;
      const double cost = curve.points.back().cost(unit);
      least = std::min(least.value_or(cost), cost);
    }
    return least;
  }

  // From now on the values are those that rows had when they had cost `level`; costs are those until then.
  void match(CostUnit unit, double level) {
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

  // From now on the values are means over the last `count` evaluations along training.
  void average(int64_t count) {
    std::vector<MetricRecord> values;
    for (const Curve& curve : curves_)
      if (const auto value = mean_of_last(curve, count)) values.push_back(metric_of_curve(curve, *value));
    for (const MetricRecord& metric : metrics_)
      if (metric.evaluator == "cost") values.push_back(metric);
    use(std::move(values));
  }

  // Those of a column of a row, one a seed that has one.
  [[nodiscard]] std::vector<const Curve*> curves(const std::string& column, const std::string& row) const {
    std::vector<const Curve*> found;
    if (const auto of_column = curves_by_column_.find(column); of_column != curves_by_column_.end())
      for (const auto& [cell, curve] : of_column->second)
        if (cell.first == row) found.push_back(curve);
    return found;
  }

  // A column whose evaluator was run on several datasets becomes one column for each.
  [[nodiscard]] std::vector<std::string> expand(const std::string& column) const {
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

  // All metrics of the weights that plain columns mean, then the main costs.
  [[nodiscard]] std::vector<std::string> standard_columns() const {
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

  // Null: there is none.
  [[nodiscard]] const PlannedSearch* search() const { return search_ ? &*search_ : nullptr; }
  [[nodiscard]] const std::vector<TrialRecord>& trials() const { return trials_; }

  // An entry without comparison.
  [[nodiscard]] TableEntry entry(const std::string& column, const std::string& row) const {
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

  // How the bootstrap over pictures changes that entry's value of that seed; null where there are no scores of single
  // pictures that give the value.
  [[nodiscard]] const SampledValue* sampled(const std::string& column, const std::string& row, int64_t seed,
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

  // The seeds that were planned of a row.
  [[nodiscard]] std::set<int64_t> seeds(const std::string& row) const {
    const auto found = seeds_.find(row);
    return found == seeds_.end() ? std::set<int64_t>{} : found->second;
  }

  // The run folder of the row's first seed that has one with its settings; empty: none has.
  [[nodiscard]] std::filesystem::path folder(const std::string& row) const {
    for (auto cell = folders_.lower_bound({row, std::numeric_limits<int64_t>::min()});
         cell != folders_.end() && cell->first.first == row; ++cell)
      if (std::filesystem::exists(RunFolder{cell->second}.cell())) return cell->second;
    return {};
  }

  // Whether the row's costs are those of several phases.
  [[nodiscard]] bool is_phased(const std::string& row) const { return phased_.contains(row); }

  [[nodiscard]] std::string weights(const std::string& row) const {
    const auto found = weights_.find(row);
    return found == weights_.end() ? "" : found->second;
  }

  [[nodiscard]] std::vector<WarningRecord> warnings(const std::string& row) const {
    const auto found = warnings_.find(row);
    return found == warnings_.end() ? std::vector<WarningRecord>{} : found->second;
  }

  // Reasons why evaluations of which no column tells do not apply to the row.
  [[nodiscard]] std::vector<std::string> unseen_reasons(const std::string& row,
                                                        const std::vector<std::string>& columns) const {
    std::vector<std::string> reasons;
    for (const NotApplicableRecord& record : not_applicable_) {
      const bool seen = std::ranges::any_of(
          columns, [&](const std::string& column) { return column.starts_with(record.evaluator + "/"); });
      if (record.row == row && record.primary && !seen) reasons.push_back(reason_of(record));
    }
    return reasons;
  }

 private:
  // The names of the columns that a metric stands in.
  static std::vector<std::string> names_of_column(const MetricRecord& metric) {
    std::vector<std::string> names;
    for (const std::string& base : {column_of(metric), qualified_column_of(metric)}) {
      if (metric.primary) names.push_back(base);
      names.push_back(base + "@" + metric.weights);
    }
    return names;
  }

  static MetricRecord metric_of_curve(const Curve& curve, double value) {
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

  // What training had cost in each unit when it had cost `level` of this one.
  static void add_costs_at(const Curve& curve, CostUnit unit, double level, std::vector<MetricRecord>& values) {
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

  void use(std::vector<MetricRecord> values) {
    values_ = std::move(values);
    index(values_);
  }

  void index(const std::vector<MetricRecord>& metrics) {
    columns_.clear();
    sampled_.clear();
    for (const MetricRecord& metric : metrics)
      for (const std::string& column : names_of_column(metric)) columns_[column][{metric.row, metric.seed}] = &metric;
  }

  static std::string reason_of(const NotApplicableRecord& record) {
    return fmt::format("{} does not apply: {}", record.evaluator, record.reason);
  }

  // See TableEntry::not_applicable.
  [[nodiscard]] std::string why_not_applicable(const std::string& column, const std::string& row) const {
    const std::string weights = weights_of(column);
    for (const NotApplicableRecord& record : not_applicable_)
      if (record.row == row && column.starts_with(record.evaluator + "/") &&
          (weights.empty() ? record.primary : weights == record.weights))
        return reason_of(record);
    return {};
  }

  static int64_t count(const std::map<std::string, int64_t>& counts, const std::string& row) {
    const auto found = counts.find(row);
    return found == counts.end() ? 0 : found->second;
  }

  std::optional<PlannedSearch> search_;
  std::vector<TrialRecord> trials_;
  std::vector<MetricRecord> metrics_;  // results after training
  std::vector<MetricRecord> values_;   // what stands in the table in their place
  std::vector<Curve> curves_;
  std::vector<NotApplicableRecord> not_applicable_;
  std::map<std::string, ColumnMetrics> columns_;
  std::map<std::string, std::map<std::pair<std::string, int64_t>, const Curve*>> curves_by_column_;
  std::map<std::pair<std::string, int64_t>, std::filesystem::path> folders_;  // of rows' seeds
  mutable std::map<std::string, SampleFiles> samples_;                        // by folder
  mutable std::map<const MetricRecord*, SampledValue> sampled_;
  std::map<std::string, std::set<std::string>> datasets_;  // of a column
  std::map<std::string, int64_t> planned_;                 // cells of a row
  std::map<std::string, std::set<int64_t>> seeds_;         // planned of a row
  std::map<std::string, int64_t> failed_;
  std::map<std::string, int64_t> finished_;
  std::map<std::string, std::string> weights_;
  std::set<std::string> phased_;
  std::map<std::string, std::vector<WarningRecord>> warnings_;
};

// A row of a table, and where its values come from.
struct RowSource {
  std::string label;  // what the table calls it
  const Results* results = nullptr;
  std::string name;  // in its experiment
};

// Deviations of the row's value from the baseline's, with the same pictures drawn for both; empty where that is not
// known. `data` and `pictures` receive what they were tested on.
std::vector<double> difference_deviations(const std::string& column, const RowSource& row, const RowSource& baseline,
                                          int64_t seed, PictureBootstrap& bootstrap, TableEntry& entry) {
  const SampledValue* own = row.results->sampled(column, row.name, seed, bootstrap);
  const SampledValue* other = baseline.results->sampled(column, baseline.name, seed, bootstrap);
  if (own == nullptr || other == nullptr || own->data != other->data) return {};
  entry.pictures = own->pictures;
  std::vector<double> deviations(own->deviations.size());
  for (std::size_t i = 0; i < deviations.size(); ++i) deviations[i] = own->deviations[i] - other->deviations[i];
  return deviations;
}

void test_over_seeds(TableEntry& entry, const std::vector<double>& differences,
                     const std::vector<std::vector<double>>& deviations) {
  entry.p_value = paired_t_test(differences);
  if (!entry.p_value) return;
  entry.evidence = deviations.empty() ? Evidence::seeds : Evidence::seeds_and_pictures;
  entry.difference_spread = sample_standard_deviation(differences);
  entry.picture_error = deviations.empty() ? 0 : shared_error(deviations);
  const MeanNoise noise{.seeds = entry.pairs,
                        .seed_error = *entry.difference_spread / std::sqrt(static_cast<double>(entry.pairs)),
                        .picture_error = entry.picture_error};
  const double half = half_width(noise);
  entry.difference_interval = Interval{*entry.difference - half, *entry.difference + half};
  if (*entry.difference_spread > 0) entry.p_value = two_sided_p(*entry.difference, noise);
}

void test_over_pictures(TableEntry& entry, const std::vector<double>& deviations) {
  entry.picture_error = error_of(deviations);
  const MeanNoise noise{.seeds = 1, .seed_error = 0, .picture_error = entry.picture_error};
  entry.p_value = *entry.difference == 0 ? std::optional(1.0) : two_sided_p(*entry.difference, noise);
  if (!entry.p_value) return;
  entry.evidence = Evidence::pictures;
  const double half = half_width(noise);
  entry.difference_interval = Interval{*entry.difference - half, *entry.difference + half};
}

// `bootstrap`: null leaves the scores of single pictures out.
void compare(TableEntry& entry, const std::string& column, const RowSource& row, const RowSource& baseline,
             PictureBootstrap* bootstrap) {
  const TableEntry other = baseline.results->entry(column, baseline.name);
  std::vector<double> differences;
  std::vector<std::vector<double>> deviations;
  for (std::size_t i = 0; i < entry.seeds.size(); ++i) {
    const auto seed = std::ranges::find(other.seeds, entry.seeds[i]);
    if (seed == other.seeds.end()) continue;
    differences.push_back(entry.values[i] - other.values[static_cast<std::size_t>(seed - other.seeds.begin())]);
    if (bootstrap == nullptr || is_cost(column)) continue;
    auto deviation = difference_deviations(column, row, baseline, *seed, *bootstrap, entry);
    if (!deviation.empty()) deviations.push_back(std::move(deviation));
  }
  entry.pairs = static_cast<int64_t>(differences.size());
  if (differences.empty()) return;
  entry.difference = mean(differences);
  if (is_cost(column)) return;
  if (deviations.size() < differences.size()) {
    deviations.clear();
    entry.pictures = 0;
  }
  if (differences.size() > 1)
    test_over_seeds(entry, differences, deviations);
  else if (!deviations.empty())
    test_over_pictures(entry, deviations.front());
}

// Of one seed there is no spread, but the pictures tell something.
void add_picture_interval(TableEntry& entry, const std::string& column, const RowSource& row,
                          PictureBootstrap& bootstrap) {
  if (entry.seeds.size() != 1) return;
  const SampledValue* sampled = row.results->sampled(column, row.name, entry.seeds.front(), bootstrap);
  if (sampled == nullptr) return;
  entry.interval = percentile_interval(entry.mean, sampled->deviations);
  entry.interval_evidence = Evidence::pictures;
}

// The curves of a row's seeds, and what it takes the row to come to the baseline's score.
void add_curves(TableEntry& entry, const std::string& column, const RowSource& row,
                const std::optional<RowSource>& baseline) {
  const std::vector<const Curve*> curves = row.results->curves(column, row.name);
  for (const Curve* curve : curves) entry.curves.push_back(*curve);
  if (!baseline || !higher_is_better(column)) return;
  const auto ended = [](std::vector<const Curve*> all) {
    std::erase_if(all, [](const Curve* curve) { return !curve->ended; });
    return all;
  };
  const auto own = ended(curves), others = ended(baseline->results->curves(column, baseline->name));
  if (own.empty() || others.empty() || own.front()->n != others.front()->n) return;
  entry.has_goal = true;
  const Curve mean = mean_curve(own);
  const CurvePoint goal = mean_curve(others).points.back();
  const auto part = [&](CostUnit unit) { return cost_of(mean, unit, goal.value).value_or(0) / goal.cost(unit); };
  if (!cost_of(mean, CostUnit::flops, goal.value)) return;
  entry.reach = {.examples = part(CostUnit::examples),
                 .flops = part(CostUnit::flops),
                 .core_seconds = part(CostUnit::core_seconds),
                 .value = goal.value};
}

// The comparisons of one column are one family of hypotheses.
void mark_significant(std::vector<TableRow>& rows, std::size_t column) {
  std::vector<TableEntry*> tested;
  std::vector<double> p_values;
  for (TableRow& row : rows) {
    TableEntry& entry = row.entries[column];
    if (!entry.p_value) continue;
    tested.push_back(&entry);
    p_values.push_back(*entry.p_value);
  }
  const std::vector<double> adjusted = adjust_by_holm(p_values);
  for (std::size_t i = 0; i < tested.size(); ++i) {
    tested[i]->p_adjusted = adjusted[i];
    tested[i]->significant = adjusted[i] < kSignificance;
  }
}

void mark_best(std::vector<TableRow>& rows, std::size_t column) {
  std::vector<TableEntry*> entries;
  for (TableRow& row : rows)
    if (!row.entries[column].values.empty()) entries.push_back(&row.entries[column]);
  if (entries.size() < 2) return;
  const double best =
      (*std::ranges::max_element(entries, {}, [](const TableEntry* entry) { return entry->mean; }))->mean;
  for (TableEntry* entry : entries) entry->best = entry->mean == best;
}

std::vector<std::string> choose_columns(const PlannedTable& planned, const Results& results,
                                        const std::vector<std::string>& wanted) {
  std::vector<std::string> columns;
  for (const std::string& column : planned.columns.empty() ? results.standard_columns() : planned.columns)
    std::ranges::move(results.expand(column), std::back_inserter(columns));
  if (wanted.empty()) return columns;
  std::vector<std::string> chosen;
  for (const std::string& column : columns) {
    const auto matches = [&](const std::string& name) { return column == name || metric_of(column) == name; };
    if (std::ranges::any_of(wanted, matches)) chosen.push_back(column);
  }
  return chosen;
}

// " [optimizer.lr=0.001]", if the matrix gave it to the baseline and all rows.
std::string common_matrix(const std::vector<std::string>& rows, const std::string& baseline) {
  const std::string& any = baseline.empty() && !rows.empty() ? rows.front() : baseline;
  const std::size_t start = any.rfind(" [");
  if (start == std::string::npos || !any.ends_with("]")) return {};
  std::string matrix = any.substr(start);
  const auto has_it = [&](const std::string& row) { return row.ends_with(matrix); };
  return std::ranges::all_of(rows, has_it) ? matrix : "";
}

// A row's name without the matrix's values that the title has.
std::string shown_name(const Table& table, const std::string& row) {
  return !table.matrix.empty() && row.ends_with(table.matrix) ? row.substr(0, row.size() - table.matrix.size()) : row;
}

// The table's own, else the experiment's, else its name; with the matrix's values at the end.
std::string title_of(const PlannedExperiment& experiment, const PlannedTable& planned, const std::string& matrix) {
  std::string title = planned.title;
  if (!matrix.empty() && title.ends_with(matrix)) title.resize(title.size() - matrix.size());
  if (title.empty()) title = experiment.title;
  if (title.empty()) title = experiment.name;
  return title + matrix;
}

// What the tests of a table rest on.
struct TestSummary {
  std::size_t most_values = 0;          // of an entry
  std::set<int64_t> pairs;              // of tests over seeds
  std::set<int64_t> pictures;           // of tests over seeds and pictures
  std::set<int64_t> pictures_only;      // of tests over pictures alone
  std::set<std::size_t> families;       // sizes
  std::vector<std::string> seeds_only;  // columns tested over seeds alone
};

TestSummary summarize_tests(const Table& table) {
  TestSummary summary;
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    std::size_t family = 0;
    bool seeds_only = false;
    for (const TableRow& row : table.rows) {
      const TableEntry& entry = row.entries[column];
      summary.most_values = std::max(summary.most_values, entry.values.size());
      if (!entry.p_value) continue;
      ++family;
      if (entry.evidence == Evidence::pictures) {
        summary.pictures_only.insert(entry.pictures);
        continue;
      }
      summary.pairs.insert(entry.pairs);
      if (entry.evidence == Evidence::seeds_and_pictures) summary.pictures.insert(entry.pictures);
      seeds_only = seeds_only || entry.evidence == Evidence::seeds;
    }
    if (family > 0) summary.families.insert(family);
    if (seeds_only) summary.seeds_only.push_back(table.columns[column]);
  }
  return summary;
}

// "after Holm's correction over the comparisons of each column, a family of 3"
std::string family_text(const TestSummary& summary) {
  return fmt::format("after Holm's correction over the comparisons of each column, a family of {}{}",
                     summary.families.size() > 1 ? "up to " : "", *summary.families.rbegin());
}

void note_tests_over_seeds(Table& table, const TestSummary& summary) {
  std::string test = fmt::format("paired two-sided t-test over common seeds (n = {})", fmt::join(summary.pairs, ", "));
  if (!summary.pictures.empty())
    test = fmt::format(
        "two-sided test over common seeds (n = {}; Student's t) and test pictures (n = {}; bootstrap, the same "
        "pictures "
        "for both rows)",
        fmt::join(summary.pairs, ", "), fmt::join(summary.pictures, ", "));
  table.notes.push_back(
      fmt::format("▲ above, ▼ below \"{}\": {}, p < {} {}. Not marked: no difference shown by that test. Costs are not "
                  "tested.",
                  shown_name(table, table.baseline), test, kSignificance, family_text(summary)));
  if (!summary.pictures.empty() && !summary.seeds_only.empty())
    table.notes.push_back(
        fmt::format("{}: tested over seeds alone, as scores of single pictures are missing or of more than {} classes.",
                    list(summary.seeds_only), kMostSampledClasses));
}

void note_tests_over_pictures(Table& table, const TestSummary& summary) {
  table.notes.push_back(fmt::format(
      "△ above, ▽ below \"{}\" by more than the choice of test pictures explains: paired two-sided bootstrap over "
      "pictures (n = {}), p < {} {}. The noise of training is not in it: with another seed the difference may be "
      "another, and only two seeds or more can tell.",
      shown_name(table, table.baseline), fmt::join(summary.pictures_only, ", "), kSignificance, family_text(summary)));
}

void note_statistics(Table& table) {
  const TestSummary summary = summarize_tests(table);
  if (summary.most_values == 0) return;
  if (summary.most_values == 1) {
    table.notes.emplace_back(
        "One seed only: no spread and no test over seeds, and one seed tells nothing about the "
        "noise of training.");
  } else {
    table.notes.emplace_back(table.intervals
                                 ? "Mean over n seeds with its 95 % confidence interval (Student's t); costs: "
                                   "± sample standard deviation."
                                 : "Mean ± sample standard deviation over n seeds.");
    if (!summary.pairs.empty())
      table.notes.back() += fmt::format(" In brackets, where shown: difference to \"{}\" over common seeds.",
                                        shown_name(table, table.baseline));
  }
  if (!summary.pairs.empty()) note_tests_over_seeds(table, summary);
  if (!summary.pictures_only.empty()) note_tests_over_pictures(table, summary);
  if (table.intervals && !summary.families.empty())
    table.notes.emplace_back("Intervals of differences: 95 %, by the same test, each for itself and not corrected.");
}

// "a, b and c"
std::string enumeration(const std::vector<std::string>& items) {
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i)
    text += (i == 0 ? "" : i + 1 == items.size() ? " and " : ", ") + items[i];
  return text;
}

// What columns are called above the table, without their unit.
std::map<std::string, std::string> names_of(const std::vector<std::string>& columns) {
  constexpr std::string_view kPercent = " %";
  std::map<std::string, std::string> names;
  const std::vector<std::string> headers = column_headers(columns);
  for (std::size_t i = 0; i < columns.size(); ++i)
    names[columns[i]] =
        headers[i].ends_with(kPercent) ? headers[i].substr(0, headers[i].size() - kPercent.size()) : headers[i];
  return names;
}

// What the seeds could not have shown, where they showed nothing.
void note_power(Table& table) {
  constexpr int64_t kMore = 4;  // times the seeds: half the smallest difference, and less for few seeds
  constexpr std::size_t kSpelledOut = 2;
  const std::map<std::string, std::string> names = names_of(table.columns);
  std::map<int64_t, std::vector<ColumnNoise>> by_seeds;
  for (ColumnNoise& column : measured_noise(table))
    if (!column.marked) by_seeds[column.seeds].push_back(std::move(column));
  for (const auto& [few, columns] : by_seeds) {
    const int64_t many = kMore * few;
    std::vector<std::string> now, then, both;
    for (const ColumnNoise& column : columns) {
      // No two fractions differ by more than one.
      const double most = is_percent(column.column) ? 1 : std::numeric_limits<double>::infinity();
      const double with_few = std::min(most, detectable_difference(column.noise, few, column.alpha()));
      const double with_many = std::min(most, detectable_difference(column.noise, many, column.alpha()));
      now.push_back(amount_text(column.column, names.at(column.column), with_few));
      then.push_back(amount_text(column.column, names.at(column.column), with_many));
      both.push_back(fmt::format("{} ({})", now.back(), shown_amount(column.column, with_many)));
    }
    std::string text = fmt::format("Where nothing is marked: with {} seeds, differences below ", few);
    if (columns.size() <= kSpelledOut)
      text += fmt::format("{} cannot be seen; {} seeds would show {}.", enumeration(now), many, enumeration(then));
    else
      text += fmt::format("{} cannot be seen (in brackets: those that {} seeds would show).", enumeration(both), many);
    table.notes.push_back(text +
                          " Seen: marked in 8 of 10 such tables if there is a true difference of that size and the "
                          "spread is as here.");
  }
}

void note_gaps(Table& table) {
  for (const TableRow& row : table.rows) {
    const TableEntry any = row.entries.empty() ? TableEntry{} : row.entries.front();
    const int64_t planned = any.planned;
    const int64_t failed = any.failed;
    const int64_t missing = planned - failed - any.finished;
    if (planned == 0) table.notes.push_back(fmt::format("\"{}\": not part of the last run.", row.label));
    if (failed > 0) table.notes.push_back(fmt::format("\"{}\": {} of {} seeds failed.", row.label, failed, planned));
    if (missing > 0) table.notes.push_back(fmt::format("\"{}\": {} of {} seeds missing.", row.label, missing, planned));
  }
  // Every cell that was trained has recorded its costs.
  std::vector<std::string> untrained;
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    std::vector<std::string> rows;
    for (const TableRow& row : table.rows) {
      const TableEntry& entry = row.entries[column];
      if (entry.finished == 0 || !entry.values.empty() || !entry.not_applicable.empty()) continue;
      std::vector<std::string>& named = is_cost(table.columns[column]) ? untrained : rows;
      if (std::ranges::find(named, row.label) == named.end()) named.push_back(row.label);
    }
    if (!rows.empty()) table.notes.push_back(fmt::format("{}: no {} was recorded.", list(rows), table.columns[column]));
  }
  if (!untrained.empty())
    table.notes.push_back(
        fmt::format("{}: what training cost is not known; the weights came from files, and were evaluated as they are.",
                    list(untrained)));
}

// `all_metrics`: the table is to tell of every evaluation, of those too that apply to no row and have no column.
void note_not_applicable(Table& table, const std::vector<RowSource>& sources, bool all_metrics) {
  std::vector<std::pair<std::string, std::vector<std::string>>> rows;  // by reason, in order of the rows
  const auto add = [&](const std::string& reason, const std::string& row) {
    auto found = std::ranges::find(rows, reason, [](const auto& each) { return each.first; });
    if (found == rows.end()) found = rows.insert(found, {reason, {}});
    if (std::ranges::find(found->second, row) == found->second.end()) found->second.push_back(row);
  };
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const TableRow& row = table.rows[r];
    for (const TableEntry& entry : row.entries)
      if (!entry.not_applicable.empty()) add(entry.not_applicable, row.label);
    if (!all_metrics) continue;
    for (const std::string& reason : sources[r].results->unseen_reasons(sources[r].name, table.columns))
      add(reason, row.label);
  }
  for (const auto& [reason, names] : rows) table.notes.push_back(fmt::format("{}: {}.", list(names), reason));
}

void note_weights(Table& table) {
  std::set<std::string> weights;
  for (const TableRow& row : table.rows)
    if (!row.weights.empty()) weights.insert(row.weights);
  if (weights.size() > 1)
    table.notes.emplace_back("Rows differ in the weights that are evaluated: see column \"weights\".");
}

void note_phases(Table& table, const std::vector<RowSource>& sources) {
  std::vector<std::string> rows;
  for (std::size_t r = 0; r < table.rows.size(); ++r)
    if (sources[r].results->is_phased(sources[r].name)) rows.push_back(table.rows[r].label);
  if (!rows.empty() && std::ranges::any_of(table.columns, is_cost))
    table.notes.push_back(fmt::format("Costs of {}: of all phases of training together.", list(rows)));
}

// One note for what several seeds of a row warn of.
void note_warnings(Table& table) {
  for (const TableRow& row : table.rows) {
    std::vector<std::pair<std::string, std::vector<const WarningRecord*>>> groups;  // by phase and check
    for (const WarningRecord& warning : row.warnings) {
      const std::string key = warning.phase + "\n" + warning.check;
      auto group = std::ranges::find(groups, key, &decltype(groups)::value_type::first);
      if (group == groups.end()) group = groups.insert(groups.end(), {key, {}});
      group->second.push_back(&warning);
    }
    for (const auto& [key, group] : groups) {
      std::vector<std::string> places;
      for (const WarningRecord* warning : group)
        places.push_back(fmt::format("seed {} at step {}", warning->seed, warning->step));
      const std::string phase = group[0]->phase.empty() ? "" : fmt::format(", phase \"{}\"", group[0]->phase);
      table.notes.push_back(
          fmt::format("Warning: \"{}\"{} ({}): {}.", row.label, phase, fmt::join(places, ", "), group[0]->message));
    }
  }
}

int64_t count_cells(const Table& table) {
  int64_t cells = 0;
  for (const TableRow& row : table.rows)
    if (!row.entries.empty()) cells += row.entries.front().finished;
  return cells;
}

// Compares the rows of a table that has their values.
void add_comparisons(Table& table, const std::vector<RowSource>& rows, const std::optional<RowSource>& baseline,
                     PictureBootstrap* bootstrap) {
  for (std::size_t r = 0; r < rows.size(); ++r) {
    TableRow& row = table.rows[r];
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      TableEntry& entry = row.entries[column];
      if (bootstrap != nullptr) add_picture_interval(entry, table.columns[column], rows[r], *bootstrap);
      if (!row.baseline && baseline) compare(entry, table.columns[column], rows[r], *baseline, bootstrap);
      if (!is_cost(table.columns[column]))
        add_curves(entry, table.columns[column], rows[r], row.baseline ? std::nullopt : baseline);
    }
  }
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    mark_significant(table.rows, column);
    if (higher_is_better(table.columns[column])) mark_best(table.rows, column);
  }
}

// "FLOPs", "examples": as costs are called.
std::string unit_text(CostUnit unit) { return column_headers({fmt::format("cost/{}", unit_name(unit))}).front(); }

// What the values of the table are, where they are not the results after training.
void note_values(Table& table) {
  std::set<int64_t> samples;
  std::vector<std::string> without;
  for (const TableRow& row : table.rows) {
    bool has_values = false;
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      if (is_cost(table.columns[column]) || row.entries[column].values.empty()) continue;
      has_values = true;
      for (const Curve& curve : row.entries[column].curves) samples.insert(curve.n);
    }
    if (!has_values && !row.entries.empty() && row.entries.front().finished > 0) without.push_back(row.label);
  }
  if (table.match)
    table.notes.push_back(fmt::format(
        "Rows at equal {0}: values are those along training where it had cost {1} ({0}), the least that any of the "
        "rows "
        "cost in all, on the line between the evaluations (n = {2} samples) before and after. A row that went on from "
        "there had its learning rate still to lower; a run of that budget would end higher.",
        unit_text(*table.match), format_value(fmt::format("cost/{}", unit_name(*table.match)), table.level, {}),
        fmt::join(samples, ", ")));
  else
    table.notes.push_back(fmt::format("Values are means over the last {} evaluations along training (n = {} samples).",
                                      table.last, fmt::join(samples, ", ")));
  if (!without.empty())
    table.notes.push_back(
        fmt::format("{}: not evaluated along training, or not often enough; engine.evaluate_every = 0.1 and silc run "
                    "--fresh do so.",
                    list(without)));
}

// Whether averaging has done what it is for: the spreads with it in parts of those without.
void note_averaging(Table& table) {
  const std::map<std::string, std::string> names = names_of(table.columns);
  std::vector<std::string> lower, others;
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    double averaged = 0, last = 0;
    for (const TableRow& row : table.rows) {
      std::vector<double> ends, means;
      for (const Curve& curve : row.entries[column].curves) {
        const auto mean = mean_of_last(curve, table.last);
        if (!mean) continue;
        means.push_back(*mean);
        ends.push_back(curve.points.back().value);
      }
      const auto spread = sample_standard_deviation(means);
      if (!spread) continue;
      averaged += *spread * *spread;
      last += *sample_standard_deviation(ends) * *sample_standard_deviation(ends);
    }
    if (last == 0) continue;
    const double part = std::sqrt(averaged / last);
    (part < 1 ? lower : others).push_back(fmt::format("{} {:.2f}", names.at(table.columns[column]), part));
  }
  if (!lower.empty())
    table.notes.push_back(
        fmt::format("Averaging lowers the spread over seeds to this part of that of the last "
                    "evaluation: {}.",
                    enumeration(lower)));
  if (!others.empty())
    table.notes.push_back(
        fmt::format("Averaging does not lower the spread over seeds; parts of that of the last evaluation: {}.",
                    enumeration(others)));
}

// '"SILC" comes to the scores of "CLIP" with these parts of its FLOPs: acc1 0.62, mIoU 0.41 (not: recall@1)'.
void note_reach(Table& table) {
  const CostUnit unit = table.match.value_or(CostUnit::flops);
  const std::map<std::string, std::string> names = names_of(table.columns);
  for (const TableRow& row : table.rows) {
    if (row.baseline) continue;
    std::vector<std::string> reached, missed;
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      const TableEntry& entry = row.entries[column];
      const std::string& name = names.at(table.columns[column]);
      if (entry.reach)
        reached.push_back(fmt::format("{} {:.2f}", name, entry.reach->cost(unit)));
      else if (entry.has_goal)
        missed.push_back(name);
    }
    const std::string baseline = shown_name(table, table.baseline);
    if (!reached.empty())
      table.notes.push_back(
          fmt::format("\"{}\" comes to the last scores of \"{}\" along training with this part of its "
                      "{}: {}{}.",
                      row.label, baseline, unit_text(unit), enumeration(reached),
                      missed.empty() ? "" : "; not to those of " + enumeration(missed)));
    else if (!missed.empty())
      table.notes.push_back(
          fmt::format("\"{}\" does not come to the last scores of \"{}\" along training.", row.label, baseline));
  }
}

// '128: "CLIP", "SILC"; 64: "SigLIP"': which rows have which value.
std::string values_text(const std::vector<std::string>& values, const std::vector<std::string>& rows) {
  std::vector<std::pair<std::string, std::vector<std::string>>> groups;
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto group = std::ranges::find(groups, values[i], &decltype(groups)::value_type::first);
    if (group == groups.end()) group = groups.insert(groups.end(), {values[i], {}});
    group->second.push_back(rows[i]);
  }
  std::string text;
  for (const auto& [value, names] : groups)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", value.empty() ? "none" : value, list(names));
  return text;
}

// Weights that are evaluated as they are: there is no training whose conditions could differ.
bool trains_nothing(const std::map<std::string, std::string>& settings) {
  const auto budget = settings.find("budget.examples");
  return budget != settings.end() && budget->second == "0";
}

// Rows that differ in data, batch or seeds are not compared in what the table is about alone. Where two rows differ in
// whole datasets, their options differ as well: the first few are said.
void note_conditions(Table& table, const std::vector<RowSource>& sources) {
  constexpr std::size_t kMostRows = 300;  // reading their settings takes 0.2 ms each
  constexpr std::size_t kMostSaid = 3;
  if (sources.size() < 2 || sources.size() > kMostRows) return;
  std::vector<std::string> names, seed_names, seeds;
  std::vector<std::map<std::string, std::string>> settings;
  for (std::size_t r = 0; r < sources.size(); ++r) {
    const std::filesystem::path folder = sources[r].results->folder(sources[r].name);
    if (!folder.empty()) try {
        std::map<std::string, std::string> own = settings_of_cell(folder);
        if (trains_nothing(own)) continue;
        settings.push_back(std::move(own));
        names.push_back(table.rows[r].label);
      } catch (const Error&) {
        // Damaged, or a phase is gone: nothing to compare.
      }
    const std::set<int64_t> planned = sources[r].results->seeds(sources[r].name);
    if (planned.empty()) continue;
    seed_names.push_back(table.rows[r].label);
    seeds.push_back(fmt::format("{}", fmt::join(planned, ", ")));
  }
  std::vector<std::string> said;
  if (std::ranges::adjacent_find(seeds, std::ranges::not_equal_to{}) != seeds.end())
    said.push_back("seeds (" + values_text(seeds, seed_names) + ")");
  std::size_t more = 0;
  std::vector<SettingDifference> found = differences(settings);
  std::erase_if(found, [](const SettingDifference& each) { return !is_condition(each); });
  std::ranges::stable_partition(found, [](const auto& each) { return each.setting.starts_with("optimizer."); });
  for (const SettingDifference& difference : found) {
    if (said.size() < kMostSaid)
      said.push_back(difference.setting + " (" + values_text(difference.values, names) + ")");
    else
      ++more;
  }
  if (said.empty()) return;
  table.notes.push_back(fmt::format("Rows differ in what the table does not name: {}{}.", fmt::join(said, ", "),
                                    more == 0 ? "" : fmt::format(" and {} settings more (silc diff ROW ROW)", more)));
}

// Of each experiment that has a search, about its rows.
void note_search(Table& table, const std::vector<RowSource>& sources) {
  std::vector<const Results*> experiments;
  for (const RowSource& source : sources)
    if (std::ranges::find(experiments, source.results) == experiments.end()) experiments.push_back(source.results);
  for (const Results* results : experiments) {
    if (results->search() == nullptr) continue;
    std::vector<std::pair<std::string, std::string>> rows;
    for (std::size_t r = 0; r < table.rows.size(); ++r)
      if (sources[r].results == results) rows.emplace_back(sources[r].name, table.rows[r].label);
    std::ranges::move(search_notes(*results->search(), results->trials(), rows), std::back_inserter(table.notes));
  }
}

// A table whose head is filled in, of rows wherever they come from.
void fill_table(Table& table, const std::vector<RowSource>& rows, const std::optional<RowSource>& baseline,
                const ReportRequest& request, PictureBootstrap& bootstrap, bool all_metrics) {
  for (const RowSource& source : rows) {
    TableRow& row = table.rows.emplace_back();
    row.name = source.label;
    row.label = shown_name(table, row.name);
    row.weights = source.results->weights(source.name);
    row.baseline = row.name == table.baseline;
    row.warnings = source.results->warnings(source.name);
    for (const std::string& column : table.columns) row.entries.push_back(source.results->entry(column, source.name));
  }
  const bool too_many = count_cells(table) > kMostSampledCells && !request.all_pictures;
  const bool has_samples = !too_many && !table.match && table.last == 0;
  add_comparisons(table, rows, baseline, has_samples ? &bootstrap : nullptr);
  note_statistics(table);
  if (too_many && baseline)
    table.notes.push_back(
        fmt::format("More than {} cells: tested over seeds alone, without the scores of single "
                    "pictures; --pictures takes them in, and more time.",
                    kMostSampledCells));
  note_power(table);
  if (table.match || table.last > 0) note_values(table);
  if (table.last > 0) note_averaging(table);
  if (baseline) note_reach(table);
  note_search(table, rows);
  note_conditions(table, rows);
  note_weights(table);
  note_phases(table, rows);
  note_not_applicable(table, rows, all_metrics);
  note_gaps(table);
  note_warnings(table);
}

struct ResultsOfRows {
  Results* results = nullptr;
  std::vector<std::string> rows;
};

// Lets the values of a table's rows be those that the request wants.
void choose_values(Table& table, const std::vector<ResultsOfRows>& sources, const ReportRequest& request) {
  table.match = request.match;
  table.last = request.match ? 0 : request.last;
  if (!table.match && table.last == 0) return;
  std::optional<double> least;
  for (const ResultsOfRows& source : sources)
    if (const auto own = source.results->least_cost(source.rows, request.match.value_or(CostUnit::flops)))
      least = std::min(least.value_or(*own), *own);
  if (!least)
    throw Error(
        fmt::format("no row of table \"{}\" that is finished was evaluated along training; set "
                    "engine.evaluate_every, as in --set engine.evaluate_every=0.1, and train with silc run --fresh",
                    table.name));
  table.level = *least;
  for (const ResultsOfRows& source : sources)
    if (table.match)
      source.results->match(*table.match, table.level);
    else
      source.results->average(table.last);
}

Table build_table(const PlannedExperiment& experiment, const PlannedTable& planned, Results& results,
                  std::vector<std::string> columns, const ReportRequest& request, PictureBootstrap& bootstrap) {
  const std::vector<std::string>& names = planned.rows.empty() ? experiment.rows : planned.rows;
  Table table;
  table.experiment = experiment.name;
  table.name = planned.name;
  table.matrix = common_matrix(names, planned.baseline);
  table.title = title_of(experiment, planned, table.matrix);
  table.baseline = planned.baseline;
  table.intervals = request.intervals;
  table.columns = std::move(columns);
  choose_values(table, {{&results, names}}, request);
  std::vector<RowSource> rows;
  for (const std::string& name : names) rows.push_back({name, &results, name});
  std::optional<RowSource> baseline;
  if (!planned.baseline.empty()) baseline = RowSource{planned.baseline, &results, planned.baseline};
  fill_table(table, rows, baseline, request, bootstrap, planned.columns.empty());
  return table;
}

// A matrix makes "components [optimizer.lr=0.001]" and its like of table "components".
bool is_asked_for(const std::string& table, const std::string& wanted) {
  return wanted.empty() || table == wanted || table.starts_with(wanted + " [");
}

}  // namespace

std::string_view evidence_name(Evidence evidence) {
  switch (evidence) {
    case Evidence::none:
      return "";
    case Evidence::seeds:
      return "seeds";
    case Evidence::pictures:
      return "pictures";
    case Evidence::seeds_and_pictures:
      return "seeds_and_pictures";
  }
  return "";
}

std::vector<ColumnNoise> measured_noise(const Table& table) {
  std::vector<ColumnNoise> columns;
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    ColumnNoise pooled;
    pooled.column = table.columns[column];
    double squares = 0;
    double freedom = 0;
    double picture_squares = 0;
    double tests = 0;
    for (const TableRow& row : table.rows) {
      const TableEntry& entry = row.entries[column];
      if (!row.baseline && !is_cost(pooled.column) && entry.not_applicable.empty()) ++pooled.comparisons;
      if (!entry.difference_spread) continue;
      const auto degrees = static_cast<double>(entry.pairs - 1);
      squares += degrees * *entry.difference_spread * *entry.difference_spread;
      freedom += degrees;
      picture_squares += entry.picture_error * entry.picture_error;
      ++tests;
      pooled.seeds = std::max(pooled.seeds, entry.pairs);
      pooled.marked = pooled.marked || entry.significant;
    }
    if (tests == 0 || squares == 0) continue;
    pooled.noise = {.spread = std::sqrt(squares / freedom), .picture_error = std::sqrt(picture_squares / tests)};
    columns.push_back(std::move(pooled));
  }
  return columns;
}

std::vector<Table> build_tables(const Registry& registry, const ReportRequest& request) {
  const auto experiment = registry.experiment(request.experiment);
  if (!experiment)
    throw Error(fmt::format("no experiment \"{}\" in the registry; there is: {}", request.experiment,
                            list(registry.experiments())));
  return build_tables(registry, *experiment, request);
}

namespace {

// Those of the experiment's tables that are asked for; of one that has none, one of everything.
std::vector<PlannedTable> chosen_tables(const PlannedExperiment& experiment, const std::string& wanted) {
  std::vector<PlannedTable> planned = experiment.tables;
  if (planned.empty())
    planned.push_back({.name = "results",
                       .title = experiment.title,
                       .baseline = experiment.rows.empty() ? "" : experiment.rows.front(),
                       .columns = {},
                       .rows = {}});
  std::vector<std::string> names;
  for (const PlannedTable& table : planned) names.push_back(table.name);
  std::erase_if(planned, [&](const PlannedTable& table) { return !is_asked_for(table.name, wanted); });
  if (planned.empty())
    throw Error(
        fmt::format("experiment \"{}\" has no table \"{}\"; there is: {}", experiment.name, wanted, list(names)));
  return planned;
}

void add_once(std::vector<std::string>& items, const std::string& item) {
  if (std::ranges::find(items, item) == items.end()) items.push_back(item);
}

void require_metrics(const std::vector<std::string>& metrics, const std::vector<std::string>& known,
                     const std::string& experiment) {
  for (const std::string& metric : metrics)
    if (std::ranges::none_of(
            known, [&](const std::string& column) { return column == metric || metric_of(column) == metric; }))
      throw Error(fmt::format("no table of experiment \"{}\" has a column \"{}\"; there is: {}", experiment, metric,
                              list(known)));
}

}  // namespace

std::vector<Table> build_tables(const Registry& registry, const PlannedExperiment& experiment,
                                const ReportRequest& request) {
  Results results(registry, experiment);
  PictureBootstrap bootstrap;
  std::vector<Table> tables;
  std::vector<std::string> known_columns;
  for (const PlannedTable& table : chosen_tables(experiment, request.table)) {
    std::ranges::move(choose_columns(table, results, {}), std::back_inserter(known_columns));
    std::vector<std::string> columns = choose_columns(table, results, request.metrics);
    if (columns.empty() && !request.metrics.empty()) continue;
    tables.push_back(build_table(experiment, table, results, std::move(columns), request, bootstrap));
  }
  require_metrics(request.metrics, known_columns, experiment.name);
  return tables;
}

Table build_joint_table(const std::vector<ExperimentSource>& sources, const ReportRequest& request) {
  std::list<Results> results;
  PictureBootstrap bootstrap;
  Table table;
  table.name = "joint";
  table.joint = true;
  table.intervals = request.intervals;
  std::vector<std::string> known_columns, labels, titles;
  std::vector<RowSource> rows;
  std::optional<RowSource> baseline;
  bool all_metrics = false;
  std::vector<ResultsOfRows> results_of_rows;
  for (const ExperimentSource& source : sources) {
    Results& own = results.emplace_back(*source.registry, source.experiment);
    add_once(labels, source.label);
    add_once(titles, source.experiment.title);
    std::vector<std::string> names;
    for (const PlannedTable& planned : chosen_tables(source.experiment, request.table)) {
      all_metrics = all_metrics || planned.columns.empty();
      for (const std::string& column : choose_columns(planned, own, {})) add_once(known_columns, column);
      for (const std::string& column : choose_columns(planned, own, request.metrics)) add_once(table.columns, column);
      for (const std::string& name : planned.rows.empty() ? source.experiment.rows : planned.rows)
        add_once(names, name);
      if (!baseline && !planned.baseline.empty())
        baseline = RowSource{source.label + "/" + planned.baseline, &own, planned.baseline};
    }
    for (const std::string& name : names) rows.push_back({source.label + "/" + name, &own, name});
    results_of_rows.push_back({&own, names});
  }
  table.experiment = fmt::format("{}", fmt::join(labels, ", "));
  require_metrics(request.metrics, known_columns, table.experiment);
  // Costs behind all metrics, whichever experiment they come from.
  std::ranges::stable_partition(table.columns, [](const std::string& column) { return !is_cost(column); });
  table.title = titles.size() == 1 && !titles.front().empty() ? titles.front() : "Several experiments";
  if (baseline) table.baseline = baseline->label;
  choose_values(table, results_of_rows, request);
  fill_table(table, rows, baseline, request, bootstrap, all_metrics);
  return table;
}

}  // namespace silc
