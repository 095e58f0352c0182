#include "registry/report_notes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "registry/columns.h"
#include "registry/search_report.h"
#include "registry/settings.h"
#include "silc/error.h"
#include "text/names.h"

namespace silc {

namespace {

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
                    quoted_list(summary.seeds_only, ""), kMostSampledClasses));
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
    if (!rows.empty())
      table.notes.push_back(fmt::format("{}: no {} was recorded.", quoted_list(rows, ""), table.columns[column]));
  }
  if (!untrained.empty())
    table.notes.push_back(
        fmt::format("{}: what training cost is not known; the weights came from files, and were evaluated as they are.",
                    quoted_list(untrained, "")));
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
  for (const auto& [reason, names] : rows)
    table.notes.push_back(fmt::format("{}: {}.", quoted_list(names, ""), reason));
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
    table.notes.push_back(fmt::format("Costs of {}: of all phases of training together.", quoted_list(rows, "")));
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
                    quoted_list(without, "")));
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
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", value.empty() ? "none" : value, quoted_list(names, ""));
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
}  // namespace

void add_notes(Table& table, const std::vector<RowSource>& rows, const NotesRequest& request) {
  note_statistics(table);
  if (request.pictures_left_out)
    table.notes.push_back(
        fmt::format("More than {} cells: tested over seeds alone, without the scores of single "
                    "pictures; --pictures takes them in, and more time.",
                    kMostSampledCells));
  note_power(table);
  if (table.match || table.last > 0) note_values(table);
  if (table.last > 0) note_averaging(table);
  if (!table.baseline.empty()) note_reach(table);
  note_search(table, rows);
  note_conditions(table, rows);
  note_weights(table);
  note_phases(table, rows);
  note_not_applicable(table, rows, request.all_metrics);
  note_gaps(table);
  note_warnings(table);
}

}  // namespace silc
