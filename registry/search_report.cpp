#include "registry/search_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "files/metrics.h"
#include "registry/columns.h"
#include "silc/error.h"
#include "text/display.h"
#include "text/names.h"

namespace silc {
namespace {

// How close to the end of a range a value is at its end.
constexpr double kAtTheEnd = 0.05;
constexpr std::size_t kBins = 4;

std::optional<double> number_of(const std::string& toml) {
  double value = 0;
  const auto [end, error] = std::from_chars(toml.data(), toml.data() + toml.size(), value);
  if (error != std::errc{} || end != toml.data() + toml.size()) return std::nullopt;
  return value;
}

bool are_numbers(const std::vector<std::string>& values) {
  return std::ranges::all_of(values, [](const std::string& value) { return number_of(value).has_value(); });
}

// In the range, 0 to 1; of a choice its number.
double position_of(const PlannedDimension& dimension, const std::string& value) {
  if (dimension.kind == "choice") {
    const auto found = std::ranges::find(dimension.choices, value);
    return static_cast<double>(found - dimension.choices.begin());
  }
  const double number = number_of(value).value_or(dimension.low);
  if (dimension.kind == "log") return std::log(number / dimension.low) / std::log(dimension.high / dimension.low);
  return (number - dimension.low) / (dimension.high - dimension.low);
}

std::string number_text(double value) { return fmt::format("{:.3g}", value); }

double value_at(const PlannedDimension& dimension, double position) {
  if (dimension.kind == "log") return dimension.low * std::pow(dimension.high / dimension.low, position);
  return dimension.low + position * (dimension.high - dimension.low);
}

std::string space_text(const PlannedDimension& dimension) {
  if (dimension.kind == "choice") return fmt::format("{}: {}", dimension.key, fmt::join(dimension.choices, ", "));
  return fmt::format("{}: {} to {}{}", dimension.key, dimension.low, dimension.high,
                     dimension.kind == "log" ? " (logarithmic)" : "");
}

std::vector<TrialRecord> trials_of(std::span<const TrialRecord> trials, const std::string& row) {
  std::vector<TrialRecord> own;
  std::ranges::copy_if(trials, std::back_inserter(own), [&](const TrialRecord& trial) { return trial.row == row; });
  return own;
}

// -1: the lower end, 1: the upper end, 0: neither.
int end_of_range(const PlannedDimension& dimension, std::size_t index, const PlannedRowSearch& row) {
  constexpr std::size_t kFew = 3;  // of which each has its chance to be the outermost
  const std::vector<std::string>& values = row.trials.at(static_cast<std::size_t>(*row.chosen)).values;
  if (dimension.kind == "choice") {
    if (dimension.choices.size() < kFew || !are_numbers(dimension.choices)) return 0;
    const auto number = [](const std::string& text) { return *number_of(text); };
    const auto [low, high] = std::ranges::minmax_element(dimension.choices, {}, number);
    return values[index] == *low ? -1 : values[index] == *high ? 1 : 0;
  }
  const double chosen = position_of(dimension, values[index]);
  bool lowest = row.trials.size() > kFew;
  bool highest = lowest;
  for (const PlannedTrial& trial : row.trials) {
    const double other = position_of(dimension, trial.values[index]);
    lowest = lowest && other >= chosen;
    highest = highest && other <= chosen;
  }
  if (chosen <= kAtTheEnd || lowest) return -1;
  return chosen >= 1 - kAtTheEnd || highest ? 1 : 0;
}

std::string chosen_text(const PlannedRowSearch& row) {
  const PlannedTrial& trial = row.trials.at(static_cast<std::size_t>(*row.chosen));
  std::string text;
  for (std::size_t i = 0; i < row.space.size(); ++i)
    text += fmt::format("{}{} = {}", i == 0 ? "" : ", ", row.space[i].key, trial.values[i]);
  return text;
}

using Labels = std::vector<std::pair<std::string, std::string>>;  // of rows, by name

std::string effort_of_a_row(const PlannedSearch& search) {
  if (search.flops > 0)
    return fmt::format("{}FLOPs of trials for each row", format_value("cost/flops", search.flops, {}));
  return search.trials > 0 ? fmt::format("{} trials for each row", search.trials) : "all points of a grid for each row";
}

std::string how_text(const PlannedSearch& search) {
  std::string text =
      fmt::format("Search ({}): {}, trained for {:g} % of the row's budget with a seed of their own ({})",
                  search.method, effort_of_a_row(search), 100 * search.budget, search.seed);
  if (search.rungs.size() > 1) {
    std::vector<std::string> rungs;
    for (std::size_t i = 0; i + 1 < search.rungs.size(); ++i)
      rungs.push_back(fmt::format("{:.3g} %", 100 * search.rungs[i]));
    text += fmt::format(" if they were among the best at {} of that", fmt::join(rungs, " and "));
  }
  return text + fmt::format(", and chosen by {} on split \"{}\"; test data took no part.", search.metric, search.split);
}

// Dimensions that all rows have, and those of some.
std::string space_note(const std::vector<const PlannedRowSearch*>& rows, const Labels& labels) {
  std::vector<std::pair<std::string, std::vector<std::string>>> dimensions;  // text → rows
  for (const PlannedRowSearch* row : rows)
    for (const PlannedDimension& dimension : row->space) {
      const std::string text = space_text(dimension);
      auto found = std::ranges::find(dimensions, text, [](const auto& each) { return each.first; });
      if (found == dimensions.end()) found = dimensions.insert(found, {text, {}});
      const auto label = std::ranges::find(labels, row->row, [](const auto& each) { return each.first; });
      found->second.push_back(label == labels.end() ? row->row : label->second);
    }
  std::string text;
  for (const auto& [dimension, names] : dimensions)
    text += fmt::format("{}{}{}", text.empty() ? "" : "; ", dimension,
                        names.size() == rows.size() ? "" : fmt::format(" ({})", quoted_list(names, "and")));
  return "Space: " + text + ".";
}

std::string flops_text(double flops) { return format_value("cost/flops", flops, std::nullopt) + " FLOPs"; }

// What the trials of a row go on from, and who has paid for it.
std::string start_note(const PlannedSearch& search, std::span<const TrialRecord> trials, const PlannedRowSearch& row,
                       const std::string& label) {
  const PlannedRowSearch* start = search_of(search, row.after);
  const std::string paid = start == nullptr ? "" : flops_text(search_cost(trials, start->row).flops);
  if (start != nullptr && start->row == row.after)
    return fmt::format(
        "Trials of \"{}\" go on from the trial that was chosen for \"{}\", whose {} come before its own "
        "effort.",
        label, row.after, paid);
  const std::string trained = fmt::format(
      "Trials of \"{}\" go on from \"{}\", trained once for them as trials are, which is part of its effort", label,
      row.after);
  if (start == nullptr) return trained + ".";
  return fmt::format("{}, with what the search of \"{}\" chose, whose {} come before it.", trained, start->row, paid);
}

std::string effort_text(const SearchCost& cost) {
  return fmt::format("{} trial{}, {}{}", cost.trials, cost.trials == 1 ? "" : "s", flops_text(cost.flops),
                     cost.failed == 0 ? "" : fmt::format(", {} of them failed", cost.failed));
}

}  // namespace

std::vector<ExpectedBest> expected_best(const std::vector<std::optional<double>>& scores, bool more_is_better) {
  std::vector<double> sorted;
  for (const auto& score : scores)
    if (score) sorted.push_back(more_is_better ? *score : -*score);
  if (sorted.empty()) return {};
  sorted.resize(scores.size(), *std::ranges::min_element(sorted));
  std::ranges::sort(sorted);
  const auto count = static_cast<double>(sorted.size());
  const double tail = kSignificance / 2;
  std::vector<ExpectedBest> curve;
  for (std::size_t n = 1; n <= sorted.size(); ++n) {
    // P(best ≤ sorted[i]) = ((i + 1) / N)ⁿ
    ExpectedBest best{.n = static_cast<int64_t>(n), .mean = 0, .interval = {sorted.front(), sorted.back()}};
    bool low_found = false;
    bool high_found = false;
    double below = 0;
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      const double up_to = std::pow(static_cast<double>(i + 1) / count, static_cast<double>(n));
      best.mean += sorted[i] * (up_to - below);
      if (!std::exchange(low_found, low_found || up_to >= tail) && low_found) best.interval.low = sorted[i];
      if (!std::exchange(high_found, high_found || up_to >= 1 - tail) && high_found) best.interval.high = sorted[i];
      below = up_to;
    }
    if (!more_is_better) best = {best.n, -best.mean, {-best.interval.high, -best.interval.low}};
    curve.push_back(best);
  }
  return curve;
}

SearchCost search_cost(std::span<const TrialRecord> trials, const std::string& row) {
  SearchCost cost;
  for (const TrialRecord& trial : trials) {
    if (trial.row != row) continue;
    cost.trials += trial.state == CellState::planned ? 0 : 1;
    cost.failed += trial.state == CellState::failed ? 1 : 0;
    cost.flops += trial.flops;
    cost.core_seconds += trial.core_seconds;
  }
  return cost;
}

std::vector<std::string> search_notes(const PlannedSearch& search, std::span<const TrialRecord> trials,
                                      const Labels& rows) {
  std::vector<const PlannedRowSearch*> searched;  // that decide about rows of the table
  std::vector<std::string> fixed, chosen, efforts, open;
  std::vector<std::pair<std::string, std::string>> shared, starting;
  for (const auto& [name, label] : rows) {
    const PlannedRowSearch* own = search_of(search, name);
    if (own == nullptr) {
      fixed.push_back(label);
      continue;
    }
    if (std::ranges::find(searched, own) == searched.end()) searched.push_back(own);
    if (const auto tuned = std::ranges::find(search.tuned, name, &PlannedTuning::row); !tuned->after.empty()) {
      fixed.push_back(label);
      starting.emplace_back(label, tuned->after);
      continue;
    }
    if (own->row != name) {
      shared.emplace_back(label, own->row);
      continue;
    }
    const SearchCost cost = search_cost(trials, name);
    efforts.push_back(fmt::format("\"{}\" {}", label, effort_text(cost)));
    if (own->chosen) chosen.push_back(fmt::format("\"{}\" {}", label, chosen_text(*own)));
    if (!own->complete) open.push_back(fmt::format("\"{}\" ({} of {})", label, cost.trials, own->trials.size()));
  }
  if (searched.empty()) return {};
  std::vector<std::string> notes = {how_text(search), space_note(searched, rows)};
  if (!efforts.empty()) notes.push_back(fmt::format("Effort: {}.", fmt::join(efforts, "; ")));
  if (!chosen.empty()) notes.push_back(fmt::format("Chosen: {}.", fmt::join(chosen, "; ")));
  for (const auto& [label, by] : shared)
    notes.push_back(fmt::format("\"{}\": trained with the values that the search of \"{}\" chose.", label, by));
  for (const auto& [label, start] : starting)
    notes.push_back(fmt::format("\"{}\": starts from \"{}\", which was tuned.", label, start));
  for (const auto& [name, label] : rows)
    if (const PlannedRowSearch* own = search_of(search, name);
        own != nullptr && own->row == name && !own->after.empty())
      notes.push_back(start_note(search, trials, *own, label));
  for (const auto& [name, label] : rows) {
    const PlannedRowSearch* own = search_of(search, name);
    if (own == nullptr || own->row != name || !own->chosen) continue;
    for (std::size_t i = 0; i < own->space.size(); ++i)
      if (const int end = end_of_range(own->space[i], i, *own); end != 0)
        notes.push_back(fmt::format("{} of \"{}\" is at the {} end of what was searched: widen it.", own->space[i].key,
                                    label, end > 0 ? "upper" : "lower"));
  }
  if (!open.empty())
    notes.push_back(fmt::format("The search is not complete (trials begun): {}.", fmt::join(open, ", ")));
  std::vector<int64_t> counts;
  for (const PlannedRowSearch* row : searched) counts.push_back(search_cost(trials, row->row).trials);
  const bool unequal = search.flops == 0 && open.empty() &&
                       std::ranges::adjacent_find(counts, std::ranges::not_equal_to{}) != counts.end();
  if (!fixed.empty() || unequal)
    notes.push_back(
        fmt::format("Warning: rows differ in search effort{}{}.", unequal ? ": their numbers of trials differ" : "",
                    fixed.empty() ? ""
                                  : fmt::format("{}{} trained as written, not tuned", unequal ? "; " : ": ",
                                                quoted_list(fixed, "and") + (fixed.size() == 1 ? " was" : " were"))));
  return notes;
}

std::optional<double> compared_score(const PlannedSearch& search, const TrialRecord& trial) {
  return search.rungs.size() > 1 && !trial.rungs.empty() ? trial.rungs.front() : trial.score;
}

namespace {

bool is_halving(const PlannedSearch& search) { return search.rungs.size() > 1; }

// A range in quarters, a choice by its values.
Sensitivity sensitivity_of(const PlannedDimension& dimension, std::size_t index, const std::vector<TrialRecord>& trials,
                           const PlannedSearch& search) {
  const bool best_is_most = more_is_better(search.name);
  Sensitivity sensitivity{.dimension = dimension, .positions = {}, .bins = {}};
  const bool choice = dimension.kind == "choice";
  const std::size_t count = choice ? dimension.choices.size() : kBins;
  for (std::size_t bin = 0; bin < count; ++bin) {
    const auto edge = [&](std::size_t i) { return static_cast<double>(i) / static_cast<double>(count); };
    sensitivity.bins.push_back({.label = choice ? dimension.choices[bin]
                                                : number_text(value_at(dimension, edge(bin))) + " to " +
                                                      number_text(value_at(dimension, edge(bin + 1)))});
  }
  for (const TrialRecord& trial : trials) {
    const double position = position_of(dimension, trial.trial.values.at(index));
    sensitivity.positions.push_back(position);
    const double scaled = choice ? position : position * static_cast<double>(count);
    SensitivityBin& bin = sensitivity.bins[std::min(count - 1, static_cast<std::size_t>(std::max(0.0, scaled)))];
    ++bin.trials;
    const std::optional<double> score = compared_score(search, trial);
    if (!score) continue;
    bin.best = bin.scored == 0 ? *score : best_is_most ? std::max(bin.best, *score) : std::min(bin.best, *score);
    bin.mean += (*score - bin.mean) / static_cast<double>(++bin.scored);
  }
  return sensitivity;
}

std::string score_text(const PlannedSearch& search, double score) {
  return format_value(search.evaluation + "/" + search.name, score, std::nullopt);
}

std::string score_header(const PlannedSearch& search) {
  return column_headers({search.evaluation + "/" + search.name}).front();
}

// "11.1 %", of what a trial may train.
std::string rung_text(const PlannedSearch& search, std::size_t rung) {
  return fmt::format("{:.3g} %", 100 * search.rungs.at(rung));
}

// The rows that the searches order, best first, after n trials each; those without so many are left out.
std::vector<std::string> ranking_after(const SearchReport& report, std::size_t n) {
  std::vector<std::pair<double, std::string>> rows;
  for (const SearchedRowReport& row : report.rows)
    if (row.expected.size() >= n)
      rows.emplace_back(more_is_better(report.search.name) ? -row.expected[n - 1].mean : row.expected[n - 1].mean,
                        row.row);
  std::ranges::stable_sort(rows, {}, [](const auto& row) { return row.first; });
  std::vector<std::string> names;
  for (auto& [score, name] : rows) names.push_back(std::move(name));
  return names;
}

// Whether less effort would have told another story.
std::string ranking_note(const SearchReport& report) {
  std::size_t most = std::numeric_limits<std::size_t>::max();
  for (const SearchedRowReport& row : report.rows) most = std::min(most, row.expected.size());
  if (report.rows.size() < 2 || most < 2 || most == std::numeric_limits<std::size_t>::max()) return {};
  const std::vector<std::string> last = ranking_after(report, most);
  std::size_t same_from = most;
  while (same_from > 1 && ranking_after(report, same_from - 1) == last) --same_from;
  if (same_from == 1)
    return fmt::format("By expected best, rows are in the same order from 1 to {} trials: {}.", most,
                       quoted_list(last, ""));
  return fmt::format("By expected best, rows are in the order {} from {} trials on; with fewer the order is another.",
                     quoted_list(last, ""), same_from);
}

using Grid = std::vector<std::vector<std::string>>;  // the first line is the header

}  // namespace

std::vector<std::vector<std::string>> trial_grid(const SearchReport& report, const SearchedRowReport& row) {
  Grid grid(1);
  grid[0] = {"trial"};
  for (const PlannedDimension& dimension : row.search.space) grid[0].push_back(dimension.key);
  grid[0].push_back(score_header(report.search));
  grid[0].insert(grid[0].end(), {"trained", "FLOPs", "state"});
  for (const TrialRecord& trial : row.trials) {
    std::vector<std::string>& line = grid.emplace_back();
    const bool chosen = row.search.chosen == trial.trial.number;
    line.push_back(fmt::format("{}{}", trial.trial.number, chosen ? " *" : ""));
    line.insert(line.end(), trial.trial.values.begin(), trial.trial.values.end());
    line.push_back(trial.score ? score_text(report.search, *trial.score) : "–");
    line.push_back(fmt::format("{:.0f} %", 100 * trial.fraction));
    line.push_back(trial.repeated ? "–" : format_value("cost/flops", trial.flops, std::nullopt));
    const bool stopped = report.search.rungs.size() > 1 && row.search.complete && trial.state == CellState::interrupted;
    line.push_back(trial.repeated ? "as an earlier one" : stopped ? "stopped" : std::string(state_name(trial.state)));
  }
  return grid;
}

namespace {

// Expected best after 1, 2, 4, … trials, and after all.
Grid expected_grid(const SearchReport& report) {
  Grid grid(1);
  std::size_t most = 0;
  for (const SearchedRowReport& row : report.rows) most = std::max(most, row.expected.size());
  std::vector<std::size_t> columns;
  for (std::size_t n = 1; n < most; n *= 2) columns.push_back(n);
  if (most > 0) columns.push_back(most);
  grid[0] = {"row"};
  for (const std::size_t n : columns) grid[0].push_back(fmt::format("n = {}", n));
  for (const SearchedRowReport& row : report.rows) {
    std::vector<std::string>& line = grid.emplace_back();
    line.push_back(row.row);
    for (const std::size_t n : columns) {
      if (n > row.expected.size()) {
        line.emplace_back("–");
        continue;
      }
      const ExpectedBest& best = row.expected[n - 1];
      line.push_back(fmt::format("{} [{}, {}]", score_text(report.search, best.mean),
                                 score_text(report.search, best.interval.low),
                                 score_text(report.search, best.interval.high)));
    }
  }
  return grid;
}

// How many trials of each row came to each rung, and what they had there.
Grid rung_grid(const SearchReport& report) {
  Grid grid(1);
  grid[0] = {"row"};
  for (std::size_t rung = 0; rung < report.search.rungs.size(); ++rung)
    grid[0].push_back(rung_text(report.search, rung));
  for (const SearchedRowReport& row : report.rows) {
    std::vector<std::string>& line = grid.emplace_back();
    line.push_back(row.row);
    for (std::size_t rung = 0; rung < report.search.rungs.size(); ++rung) {
      std::vector<double> scores;
      for (const TrialRecord& trial : row.trials)
        if (rung < trial.rungs.size() && trial.rungs[rung] && !trial.repeated) scores.push_back(*trial.rungs[rung]);
      if (scores.empty()) {
        line.emplace_back("–");
        continue;
      }
      std::ranges::sort(scores);
      const double best = more_is_better(report.search.name) ? scores.back() : scores.front();
      const double median = (scores[(scores.size() - 1) / 2] + scores[scores.size() / 2]) / 2;
      line.push_back(
          fmt::format("{}: {}, {}", scores.size(), score_text(report.search, best), score_text(report.search, median)));
    }
  }
  return grid;
}

// A block for each bin, from the row's least score to its greatest; a dot where nothing was scored.
std::string plot_of(const Sensitivity& sensitivity, double low, double high) {
  static constexpr std::array<std::string_view, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string plot;
  for (const SensitivityBin& bin : sensitivity.bins) {
    if (bin.scored == 0) {
      plot += "·";
      continue;
    }
    const double part = high > low ? (bin.mean - low) / (high - low) : 1;
    plot += kBlocks[std::min<std::size_t>(7, static_cast<std::size_t>(part * 8))];
  }
  return plot;
}

Grid sensitivity_grid(const SearchReport& report, const SearchedRowReport& row) {
  Grid grid(1);
  grid[0] = {"setting", "mean",
             is_halving(report.search) ? fmt::format("by value, after {}", rung_text(report.search, 0)) : "by value"};
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const TrialRecord& trial : row.trials) {
    const std::optional<double> score = compared_score(report.search, trial);
    if (!score) continue;
    low = std::min(low, *score);
    high = std::max(high, *score);
  }
  for (const Sensitivity& each : row.sensitivity) {
    std::vector<std::string> bins;
    for (const SensitivityBin& bin : each.bins)
      bins.push_back(fmt::format("{}: {}", bin.label, bin.scored == 0 ? "–" : score_text(report.search, bin.mean)));
    grid.push_back({each.dimension.key, plot_of(each, low, high), fmt::format("{}", fmt::join(bins, "; "))});
  }
  return grid;
}

std::string terminal_grid(const Grid& grid) {
  std::vector<std::size_t> widths(grid.front().size());
  for (const auto& line : grid)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], display_width(line[i]));
  std::string text;
  for (std::size_t r = 0; r < grid.size(); ++r) {
    std::string line;
    for (std::size_t i = 0; i < grid[r].size(); ++i) {
      if (i > 0) line += "  ";
      line += grid[r][i];
      if (i + 1 < grid[r].size()) line.append(widths[i] - display_width(grid[r][i]), ' ');
    }
    text += line + "\n";
    if (r > 0) continue;
    std::size_t width = 2 * (widths.size() - 1);
    for (const std::size_t each : widths) width += each;
    for (std::size_t i = 0; i < width; ++i) text += "─";
    text += "\n";
  }
  return text;
}

std::string markdown_grid(const Grid& grid) {
  std::string text;
  for (std::size_t r = 0; r < grid.size(); ++r) {
    text += "|";
    for (std::string field : grid[r]) {
      for (std::size_t at = field.find('|'); at != std::string::npos; at = field.find('|', at + 2))
        field.insert(at, "\\");
      text += " " + field + " |";
    }
    text += "\n";
    if (r > 0) continue;
    text += "|";
    for (std::size_t i = 0; i < grid[r].size(); ++i) text += "---|";
    text += "\n";
  }
  return text;
}

std::string format_for_people(const SearchReport& report, bool markdown, std::size_t width) {
  const auto heading = [&](const std::string& text) { return markdown ? "### " + text + "\n\n" : text + "\n\n"; };
  const auto table = [&](const Grid& grid) { return (markdown ? markdown_grid(grid) : terminal_grid(grid)) + "\n"; };
  std::string text = heading(fmt::format("{}: what the search found", report.title));
  if (const Grid expected = expected_grid(report); expected.front().size() > 1) {
    text += heading(fmt::format("Expected best {} of n trials{}", score_header(report.search),
                                is_halving(report.search)
                                    ? fmt::format(", each after {} of a trial's budget", rung_text(report.search, 0))
                                    : ""));
    text += table(expected);
  }
  if (is_halving(report.search)) {
    text += heading(
        fmt::format("Trials that came to each rung, and their best and median {}", score_header(report.search)));
    text += table(rung_grid(report));
  }
  for (const SearchedRowReport& row : report.rows) {
    text += heading(fmt::format("{}", row.row));
    text += table(trial_grid(report, row));
    if (!row.sensitivity.empty()) text += table(sensitivity_grid(report, row));
  }
  for (const std::string& note : report.notes) text += markdown ? "- " + note + "\n" : paragraph(note, width, 0);
  return text;
}

std::string csv_number(const std::optional<double>& value) { return value ? fmt::format("{}", *value) : ""; }

std::string format_search_csv(const SearchReport& report) {
  std::string text = "experiment,row,trial,chosen,state,metric,score,fraction,flops,core_seconds,settings,id";
  for (std::size_t rung = 0; is_halving(report.search) && rung < report.search.rungs.size(); ++rung)
    text += fmt::format(",score at {}", rung_text(report.search, rung));
  std::vector<std::string> keys;  // of the settings that are tuned
  for (const SearchedRowReport& row : report.rows)
    for (const PlannedDimension& dimension : row.search.space)
      if (std::ranges::find(keys, dimension.key) == keys.end()) keys.push_back(dimension.key);
  for (const std::string& key : keys) text += "," + csv_field(key);
  text += "\r\n";
  for (const SearchedRowReport& row : report.rows)
    for (const TrialRecord& trial : row.trials) {
      std::string settings;
      for (std::size_t i = 0; i < row.search.space.size(); ++i)
        settings += fmt::format("{}{} = {}", i == 0 ? "" : "; ", row.search.space[i].key, trial.trial.values[i]);
      text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}", csv_field(report.experiment), csv_field(row.row),
                          trial.trial.number, row.search.chosen == trial.trial.number ? "yes" : "no",
                          state_name(trial.state), csv_field(report.search.metric), csv_number(trial.score),
                          trial.fraction, trial.flops, trial.core_seconds, csv_field(settings), trial.trial.id);
      if (is_halving(report.search))
        for (const auto& score : trial.rungs) text += "," + csv_number(score);
      for (const std::string& key : keys) {
        const auto dimension = std::ranges::find(row.search.space, key, &PlannedDimension::key);
        text += ",";
        if (dimension == row.search.space.end()) continue;
        const auto index = static_cast<std::size_t>(dimension - row.search.space.begin());
        text += csv_field(trial.trial.values[index]);
      }
      text += "\r\n";
    }
  return text;
}

using Json = nlohmann::ordered_json;

Json json_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json json_of(const SearchReport& report, const SearchedRowReport& row) {
  Json space = Json::array();
  for (std::size_t i = 0; i < row.search.space.size(); ++i) {
    const PlannedDimension& dimension = row.search.space[i];
    Json bins = Json::array();
    for (const SensitivityBin& bin : row.sensitivity[i].bins)
      bins.push_back({{"label", bin.label},
                      {"trials", bin.trials},
                      {"mean", bin.scored > 0 ? Json(bin.mean) : Json(nullptr)},
                      {"best", bin.scored > 0 ? Json(bin.best) : Json(nullptr)}});
    const bool choice = dimension.kind == "choice";
    const int end = row.search.chosen ? end_of_range(dimension, i, row.search) : 0;
    space.push_back({{"key", dimension.key},
                     {"kind", dimension.kind},
                     {"low", choice ? Json(nullptr) : Json(dimension.low)},
                     {"high", choice ? Json(nullptr) : Json(dimension.high)},
                     {"choices", dimension.choices},
                     {"chosen_at_end", end == 0 ? Json(nullptr) : Json(end > 0 ? "upper" : "lower")},
                     {"bins", std::move(bins)}});
  }
  Json trials = Json::array();
  for (std::size_t t = 0; t < row.trials.size(); ++t) {
    const TrialRecord& trial = row.trials[t];
    Json rungs = Json::array();
    for (const auto& score : trial.rungs) rungs.push_back(json_or_null(score));
    Json positions = Json::array();
    for (const Sensitivity& each : row.sensitivity) positions.push_back(each.positions[t]);
    trials.push_back({{"trial", trial.trial.number},
                      {"values", trial.trial.values},
                      {"positions", std::move(positions)},
                      {"score", json_or_null(trial.score)},
                      {"rungs", std::move(rungs)},
                      {"fraction", trial.fraction},
                      {"flops", trial.flops},
                      {"core_seconds", trial.core_seconds},
                      {"state", state_name(trial.state)},
                      {"message", trial.message},
                      {"repeated", trial.repeated},
                      {"id", trial.trial.id}});
  }
  Json expected = Json::array();
  for (const ExpectedBest& best : row.expected)
    expected.push_back({{"n", best.n}, {"mean", best.mean}, {"low", best.interval.low}, {"high", best.interval.high}});
  Json rows = Json::array();
  for (const PlannedTuning& tuned : report.search.tuned)
    if (tuned.by == row.row) rows.push_back(tuned.row);
  return {{"row", row.row},
          {"decides", std::move(rows)},
          {"complete", row.search.complete},
          {"chosen", row.search.chosen ? Json(*row.search.chosen) : Json(nullptr)},
          {"after", row.search.after.empty() ? Json(nullptr) : Json(row.search.after)},
          {"flops", row.flops},
          {"core_seconds", row.core_seconds},
          {"space", std::move(space)},
          {"trials", std::move(trials)},
          {"expected_best", std::move(expected)}};
}

std::string format_search_json(const SearchReport& report) {
  const PlannedSearch& search = report.search;
  Json rows = Json::array();
  for (const SearchedRowReport& row : report.rows) rows.push_back(json_of(report, row));
  return Json{{"experiment", report.experiment},
              {"title", report.title},
              {"method", search.method},
              {"metric", search.metric},
              {"more_is_better", more_is_better(search.name)},
              {"split", search.split},
              {"seed", search.seed},
              {"budget", search.budget},
              {"trials", search.trials > 0 ? Json(search.trials) : Json(nullptr)},
              {"flops", search.flops > 0 ? Json(search.flops) : Json(nullptr)},
              {"rungs", search.rungs},
              {"rows", std::move(rows)},
              {"notes", report.notes}}
             .dump(2, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

}  // namespace

SearchReport build_search_report(const Registry& registry, const PlannedExperiment& experiment) {
  const auto recorded = registry.experiment(experiment.name);
  if (!recorded || !recorded->search)
    throw Error(
        fmt::format("experiment \"{}\" has no [search]; docs/how-to.md says how rows are tuned", experiment.name));
  SearchReport report{.experiment = experiment.name,
                      .title = experiment.title.empty() ? experiment.name : experiment.title,
                      .search = *recorded->search,
                      .rows = {},
                      .notes = {}};
  const std::vector<TrialRecord> trials = registry.trials(experiment.name);
  const bool more = more_is_better(report.search.name);
  Labels labels;
  for (const std::string& row : recorded->rows) labels.emplace_back(row, row);
  for (const PlannedRowSearch& search : report.search.rows) {
    SearchedRowReport row{.row = search.row,
                          .search = search,
                          .trials = trials_of(trials, search.row),
                          .expected = {},
                          .sensitivity = {}};
    std::vector<std::optional<double>> scores;
    for (const TrialRecord& trial : row.trials) {
      const std::optional<double> score = compared_score(report.search, trial);
      if (score || trial.state == CellState::failed || trial.state == CellState::finished) scores.push_back(score);
    }
    row.expected = expected_best(scores, more);
    for (std::size_t i = 0; i < search.space.size(); ++i)
      row.sensitivity.push_back(sensitivity_of(search.space[i], i, row.trials, report.search));
    const SearchCost cost = search_cost(trials, search.row);
    row.flops = cost.flops;
    row.core_seconds = cost.core_seconds;
    report.rows.push_back(std::move(row));
  }
  report.notes.push_back(fmt::format(
      "Expected best: of n trials drawn from those above (Dodge et al. 2019), in brackets what 95 of 100 such searches "
      "would find; a trial that failed counts as the worst. On validation data, with one seed.{}",
      is_halving(report.search)
          ? fmt::format(" It is that of random search with n trials of {} each, where all trials can be compared: "
                        "further rungs were reached by the best alone, so what halving would have found with fewer "
                        "cannot be told.",
                        rung_text(report.search, 0))
          : ""));
  if (const std::string note = ranking_note(report); !note.empty()) report.notes.push_back(note);
  std::ranges::move(search_notes(report.search, trials, labels), std::back_inserter(report.notes));
  return report;
}

std::string format_search_report(const SearchReport& report, TableFormat format, const FormatOptions& options) {
  switch (format) {
    case TableFormat::terminal:
      return format_for_people(report, false, options.width);
    case TableFormat::markdown:
      return format_for_people(report, true, options.width);
    case TableFormat::csv:
      return format_search_csv(report);
    case TableFormat::json:
      return format_search_json(report);
    default:
      throw Error("--search has no such format; it has terminal, markdown, csv and json");
  }
}

}  // namespace silc
