#include "registry/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <utility>

#include "registry/columns.h"
#include "registry/report_notes.h"
#include "registry/results.h"
#include "silc/error.h"
#include "text/names.h"

namespace silc {

namespace {

std::string list(const std::vector<std::string>& names) { return names.empty() ? "none" : quoted_list(names, ""); }

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

// The table's own, else the experiment's, else its name; with the matrix's values at the end.
std::string title_of(const PlannedExperiment& experiment, const PlannedTable& planned, const std::string& matrix) {
  std::string title = planned.title;
  if (!matrix.empty() && title.ends_with(matrix)) title.resize(title.size() - matrix.size());
  if (title.empty()) title = experiment.title;
  if (title.empty()) title = experiment.name;
  return title + matrix;
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
  add_notes(table, rows, {.pictures_left_out = too_many && baseline, .all_metrics = all_metrics});
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

std::string shown_name(const Table& table, const std::string& row) {
  return !table.matrix.empty() && row.ends_with(table.matrix) ? row.substr(0, row.size() - table.matrix.size()) : row;
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
