#include "registry/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "registry/columns.h"
#include "registry/statistics.h"
#include "silc/error.h"
#include "text/names.h"

namespace silc {

namespace {

constexpr double kSignificance = 0.05;

// Values of one column: (row, seed) → value.
using ColumnValues = std::map<std::pair<std::string, int64_t>, double>;

std::string list(const std::vector<std::string>& names) { return names.empty() ? "none" : quoted_list(names, ""); }

// Everything that tables of one experiment are made from.
class Results {
 public:
  Results(const Registry& registry, const PlannedExperiment& experiment)
      : metrics_(registry.metrics(experiment.name)), not_applicable_(registry.not_applicable(experiment.name)) {
    std::set<std::pair<std::string, int64_t>> planned;
    for (const PlannedCell& cell : experiment.cells)
      if (planned.emplace(cell.row, cell.seed).second) ++planned_[cell.row];
    for (const CellRecord& cell : registry.cells(experiment.name)) {
      if (!cell.current || !planned.contains({cell.cell.row, cell.cell.seed})) continue;
      if (cell.state == CellState::failed) ++failed_[cell.cell.row];
      if (cell.state == CellState::finished) ++finished_[cell.cell.row];
    }
    const auto is_unplanned = [&](const auto& record) { return !planned.contains({record.row, record.seed}); };
    std::erase_if(metrics_, is_unplanned);
    std::erase_if(not_applicable_, is_unplanned);
    for (WarningRecord& warning : registry.warnings(experiment.name))
      if (planned.contains({warning.row, warning.seed})) warnings_[warning.row].push_back(std::move(warning));
    for (const MetricRecord& metric : metrics_) {
      for (const std::string& base : {column_of(metric), qualified_column_of(metric)}) {
        if (metric.primary) columns_[base][{metric.row, metric.seed}] = metric.value;
        columns_[base + "@" + metric.weights][{metric.row, metric.seed}] = metric.value;
      }
      datasets_[column_of(metric)].insert(metric.dataset);
      if (metric.phases > 1) phased_.insert(metric.row);
      if (metric.primary && metric.evaluator != "cost") weights_[metric.row] = metric.weights;
    }
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
    for (const char* cost : {"cost/examples", "cost/flops", "cost/core_seconds", "cost/peak_memory"})
      columns.emplace_back(cost);
    return columns;
  }

  // An entry without comparison.
  [[nodiscard]] TableEntry entry(const std::string& column, const std::string& row) const {
    TableEntry entry{.values = {},
                     .seeds = {},
                     .planned = count(planned_, row),
                     .failed = count(failed_, row),
                     .finished = count(finished_, row),
                     .spread = {},
                     .difference = {},
                     .p_value = {},
                     .not_applicable = {}};
    const auto found = columns_.find(column);
    if (found == columns_.end()) {
      entry.not_applicable = why_not_applicable(column, row);
      return entry;
    }
    for (auto value = found->second.lower_bound({row, std::numeric_limits<int64_t>::min()});
         value != found->second.end() && value->first.first == row; ++value) {
      entry.seeds.push_back(value->first.second);
      entry.values.push_back(value->second);
    }
    if (entry.values.empty())
      entry.not_applicable = why_not_applicable(column, row);
    else
      entry.mean = mean(entry.values);
    entry.spread = sample_standard_deviation(entry.values);
    return entry;
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

  std::vector<MetricRecord> metrics_;
  std::vector<NotApplicableRecord> not_applicable_;
  std::map<std::string, ColumnValues> columns_;
  std::map<std::string, std::set<std::string>> datasets_;  // of a column
  std::map<std::string, int64_t> planned_;                 // cells of a row
  std::map<std::string, int64_t> failed_;
  std::map<std::string, int64_t> finished_;
  std::map<std::string, std::string> weights_;
  std::set<std::string> phased_;
  std::map<std::string, std::vector<WarningRecord>> warnings_;
};

void compare(TableEntry& entry, const TableEntry& baseline, bool tested) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < entry.seeds.size(); ++i) {
    const auto other = std::ranges::find(baseline.seeds, entry.seeds[i]);
    if (other != baseline.seeds.end())
      differences.push_back(entry.values[i] -
                            baseline.values[static_cast<std::size_t>(other - baseline.seeds.begin())]);
  }
  entry.pairs = static_cast<int64_t>(differences.size());
  if (differences.empty()) return;
  entry.difference = mean(differences);
  if (tested) entry.p_value = paired_t_test(differences);
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
  const std::vector<bool> rejected = reject_by_holm(p_values, kSignificance);
  for (std::size_t i = 0; i < tested.size(); ++i) tested[i]->significant = rejected[i];
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

void note_statistics(Table& table) {
  std::size_t largest_n = 0;
  std::set<int64_t> pairs;
  for (const TableRow& row : table.rows)
    for (const TableEntry& entry : row.entries) {
      largest_n = std::max(largest_n, entry.values.size());
      if (entry.p_value) pairs.insert(entry.pairs);
    }
  if (largest_n == 0) return;
  if (largest_n == 1) {
    table.notes.emplace_back("One seed only: no spread and no test, and one seed tells nothing about noise.");
    return;
  }
  table.notes.emplace_back("Mean ± sample standard deviation over n seeds.");
  if (pairs.empty()) return;
  table.notes.back() +=
      fmt::format(" In brackets, where shown: difference to \"{}\" over common seeds.", table.baseline);
  table.notes.push_back(
      fmt::format("▲ above, ▼ below \"{}\": paired two-sided t-test over common seeds (n = {}), p < {} after Holm's "
                  "correction over "
                  "the comparisons of the column. Not marked: no difference shown by that test. Costs are not tested.",
                  table.baseline, fmt::join(pairs, ", "), kSignificance));
}

void note_gaps(Table& table) {
  for (const TableRow& row : table.rows) {
    const TableEntry any = row.entries.empty() ? TableEntry{} : row.entries.front();
    const int64_t planned = any.planned;
    const int64_t failed = any.failed;
    const int64_t missing = planned - failed - any.finished;
    if (planned == 0) table.notes.push_back(fmt::format("\"{}\": not part of the last run.", row.name));
    if (failed > 0) table.notes.push_back(fmt::format("\"{}\": {} of {} seeds failed.", row.name, failed, planned));
    if (missing > 0) table.notes.push_back(fmt::format("\"{}\": {} of {} seeds missing.", row.name, missing, planned));
  }
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    std::vector<std::string> rows;
    for (const TableRow& row : table.rows) {
      const TableEntry& entry = row.entries[column];
      if (entry.finished > 0 && entry.values.empty() && entry.not_applicable.empty()) rows.push_back(row.name);
    }
    if (!rows.empty()) table.notes.push_back(fmt::format("{}: no {} was recorded.", list(rows), table.columns[column]));
  }
}

// `all_metrics`: the table is to tell of every evaluation, of those too that apply to no row and have no column.
void note_not_applicable(Table& table, const Results& results, bool all_metrics) {
  std::vector<std::pair<std::string, std::vector<std::string>>> rows;  // by reason, in order of the rows
  const auto add = [&](const std::string& reason, const std::string& row) {
    auto found = std::ranges::find(rows, reason, [](const auto& each) { return each.first; });
    if (found == rows.end()) found = rows.insert(found, {reason, {}});
    if (std::ranges::find(found->second, row) == found->second.end()) found->second.push_back(row);
  };
  for (const TableRow& row : table.rows) {
    for (const TableEntry& entry : row.entries)
      if (!entry.not_applicable.empty()) add(entry.not_applicable, row.name);
    if (!all_metrics) continue;
    for (const std::string& reason : results.unseen_reasons(row.name, table.columns)) add(reason, row.name);
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

void note_phases(Table& table, const Results& results) {
  std::vector<std::string> rows;
  for (const TableRow& row : table.rows)
    if (results.is_phased(row.name)) rows.push_back(row.name);
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
          fmt::format("Warning: \"{}\"{} ({}): {}.", row.name, phase, fmt::join(places, ", "), group[0]->message));
    }
  }
}

Table build_table(const PlannedExperiment& experiment, const PlannedTable& planned, const Results& results,
                  std::vector<std::string> columns) {
  Table table{.experiment = experiment.name,
              .name = planned.name,
              .title = planned.title.empty() ? experiment.title : planned.title,
              .baseline = planned.baseline,
              .columns = std::move(columns),
              .rows = {},
              .notes = {}};
  for (const std::string& name : planned.rows.empty() ? experiment.rows : planned.rows) {
    TableRow& row = table.rows.emplace_back();
    row.name = name;
    row.weights = results.weights(name);
    row.baseline = name == planned.baseline;
    row.warnings = results.warnings(name);
    for (const std::string& column : table.columns) {
      TableEntry& entry = row.entries.emplace_back(results.entry(column, name));
      if (!row.baseline && !planned.baseline.empty())
        compare(entry, results.entry(column, planned.baseline), !is_cost(column));
    }
  }
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    mark_significant(table.rows, column);
    if (higher_is_better(table.columns[column])) mark_best(table.rows, column);
  }
  note_statistics(table);
  note_weights(table);
  note_phases(table, results);
  note_not_applicable(table, results, planned.columns.empty());
  note_gaps(table);
  note_warnings(table);
  return table;
}

// A matrix makes "components [optimizer.lr=0.001]" and its like of table "components".
bool is_asked_for(const std::string& table, const std::string& wanted) {
  return wanted.empty() || table == wanted || table.starts_with(wanted + " [");
}

}  // namespace

std::vector<Table> build_tables(const Registry& registry, const ReportRequest& request) {
  const auto experiment = registry.experiment(request.experiment);
  if (!experiment)
    throw Error(fmt::format("no experiment \"{}\" in the registry; there is: {}", request.experiment,
                            list(registry.experiments())));
  return build_tables(registry, *experiment, request);
}

std::vector<Table> build_tables(const Registry& registry, const PlannedExperiment& experiment,
                                const ReportRequest& request) {
  std::vector<PlannedTable> planned = experiment.tables;
  if (planned.empty())
    planned.push_back({.name = "results",
                       .title = experiment.title,
                       .baseline = experiment.rows.empty() ? "" : experiment.rows.front(),
                       .columns = {},
                       .rows = {}});

  const Results results(registry, experiment);
  std::vector<Table> tables;
  std::vector<std::string> names;
  std::vector<std::string> known_columns;
  bool found = false;
  for (const PlannedTable& table : planned) {
    names.push_back(table.name);
    if (!is_asked_for(table.name, request.table)) continue;
    found = true;
    std::ranges::move(choose_columns(table, results, {}), std::back_inserter(known_columns));
    std::vector<std::string> columns = choose_columns(table, results, request.metrics);
    if (columns.empty() && !request.metrics.empty()) continue;
    tables.push_back(build_table(experiment, table, results, std::move(columns)));
  }
  if (!found)
    throw Error(fmt::format("experiment \"{}\" has no table \"{}\"; there is: {}", experiment.name, request.table,
                            list(names)));
  for (const std::string& metric : request.metrics)
    if (std::ranges::none_of(
            known_columns, [&](const std::string& column) { return column == metric || metric_of(column) == metric; }))
      throw Error(fmt::format("no table of experiment \"{}\" has a column \"{}\"; there is: {}", experiment.name,
                              metric, list(known_columns)));
  return tables;
}

}  // namespace silc
