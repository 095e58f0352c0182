#include "schedule/search.h"

#include <algorithm>
#include <utility>

#include "files/metrics.h"

namespace silc {
namespace {

TrialResult finished_result(const SearchSettings& settings, const std::vector<CellTask>& tasks) {
  TrialResult result;
  for (const CellTask& task : tasks) result.flops += spent_on(task.folder).flops;
  const CellTask& last = tasks.back();
  for (const CellMetric& metric : read_metrics(last.folder))
    if (metric.evaluator == settings.evaluation && metric.name == settings.name &&
        metric.weights == last.cell.weights.front())
      result.score = metric.value;
  return result;
}

// Of a trial that has come to a rung before the last; nothing if it has not.
std::optional<TrialResult> rung_result(const SearchSettings& settings, const CellTask& trial, double rung) {
  const auto along = paused_at(trial.folder, rung);
  if (!along) return std::nullopt;
  TrialResult result{std::nullopt, along->flops};
  for (const auto& metric : along->metrics)
    if (metric.value("evaluator", "") == settings.evaluation && metric.value("name", "") == settings.name &&
        metric.value("weights", "") == trial.cell.weights.front() && metric.contains("value") &&
        metric["value"].is_number())
      result.score = metric["value"].get<double>();
  return result;
}

// The parts of their budget at which trials are compared.
std::vector<double> rungs_of_any(const SearchSettings& settings) {
  return settings.method == SearchMethod::halving ? rungs_of(settings) : std::vector<double>{1};
}

TrialResult failed_result(const std::vector<CellTask>& tasks) {
  TrialResult result;
  for (const CellTask& task : tasks) result.flops += spent_on(task.folder).flops;
  return result;
}

}  // namespace

PlacedSearch place_search(const SearchedRow& row, const std::map<std::size_t, ResolvedCell>& cells,
                          const std::filesystem::path& runs) {
  PlacedSearch placed{row.row, row.alike, {}};
  std::vector<ResolvedCell> in_order;
  std::vector<std::size_t> numbers;
  for (const auto& [number, cell] : cells) {
    in_order.push_back(cell);
    numbers.push_back(number);
  }
  auto number = numbers.begin();
  for (CellTask& task : place_cells(in_order, runs)) {
    const bool last = task.cell.row == row.row;
    placed.tasks[*number].push_back(std::move(task));
    if (last) ++number;
  }
  return placed;
}

Spent spent_on(const RunFolder& folder) {
  const auto flops = read_cost(folder, "flops");
  const auto core_seconds = read_cost(folder, "core_seconds");
  if (flops && core_seconds) return {*flops, *core_seconds};
  Spent spent;
  uint64_t offset = 0;
  for (const Event& event : read_events(folder.events(), offset)) {
    if (event.value("event", "") != "step") continue;
    spent.flops = event.value("flops", spent.flops);
    spent.core_seconds = event.value("core_seconds", spent.core_seconds);
  }
  return spent;
}

TrialResults results_of(const SearchSettings& settings, const PlacedSearch& search) {
  TrialResults results;
  const std::vector<double> rungs = rungs_of_any(settings);
  for (const auto& [number, tasks] : search.tasks) {
    for (std::size_t rung = 0; rung + 1 < rungs.size(); ++rung)
      if (const auto result = rung_result(settings, tasks.back(), rungs[rung])) results[{number, rung}] = *result;
    if (is_finished(tasks.back().folder)) results[{number, rungs.size() - 1}] = finished_result(settings, tasks);
  }
  return results;
}

SearchDecision decide(const SearchSettings& settings, const PlacedSearch& search, const TrialResults& results) {
  TrialResults all = results;
  for (std::size_t trial = 0; trial < search.alike.size(); ++trial) {
    if (search.alike[trial] == trial) continue;
    for (const auto& [goal, result] : results)
      if (goal.trial == search.alike[trial]) all[{trial, goal.rung}] = {result.score, 0};
  }
  SearchDecision decision = decide(settings, search.alike.size(), all);
  for (TrialGoal& goal : decision.next) goal.trial = search.alike[goal.trial];
  std::vector<TrialGoal> once;
  for (const TrialGoal& goal : decision.next)
    if (std::find(once.begin(), once.end(), goal) == once.end()) once.push_back(goal);
  decision.next = std::move(once);
  if (decision.best) decision.best = search.alike[*decision.best];
  return decision;
}

SearchRun::SearchRun(const SearchSettings& settings, std::vector<PlacedSearch> rows, Decided decided)
    : settings_(settings), rungs_(rungs_of_any(settings)), decided_(std::move(decided)) {
  for (PlacedSearch& search : rows) {
    TrialResults results = results_of(settings_, search);
    SearchDecision decision = decide(settings_, search, results);
    if (decision.complete && !decision.best) hopeless_.push_back(search.row);
    if (!decision.complete) rows_.push_back({std::move(search), std::move(results), std::move(decision), {}});
  }
}

std::vector<CellTask> SearchRun::next() {
  if (!ready_.empty()) return std::exchange(ready_, {});
  Row* chosen = nullptr;
  const TrialGoal* goal = nullptr;
  const auto urgency = [](const TrialGoal& each) { return each.rung > 0 ? 0 : each.trial + 1; };
  for (Row& row : rows_)
    for (const TrialGoal& each : row.decision.next) {
      if (row.given.contains(each) || (goal != nullptr && urgency(each) >= urgency(*goal))) continue;
      chosen = &row;
      goal = &each;
    }
  if (goal == nullptr) return {};
  chosen->given.insert(*goal);
  std::vector<CellTask> tasks = chosen->search.tasks.at(goal->trial);
  if (goal->rung + 1 < rungs_.size()) tasks.back().until = rungs_[goal->rung];
  return tasks;
}

void SearchRun::ended(const CellTask& task, const CellOutcome& outcome) {
  if (!task.cell.trial) return;
  const bool done =
      outcome.end == CellEnd::finished || outcome.end == CellEnd::reused || outcome.end == CellEnd::paused;
  if (!done && outcome.end != CellEnd::failed) return;
  const auto rung =
      static_cast<std::size_t>(task.until ? std::find(rungs_.begin(), rungs_.end(), *task.until) - rungs_.begin()
                                          : static_cast<std::ptrdiff_t>(rungs_.size()) - 1);
  for (Row& row : rows_) {
    for (const auto& [number, tasks] : row.search.tasks) {
      if (tasks.back().id != task.id || tasks.back().folder.path != task.folder.path) continue;
      row.results[{number, rung}] = !done        ? failed_result(tasks)
                                    : task.until ? *rung_result(settings_, tasks.back(), *task.until)
                                                 : finished_result(settings_, tasks);
      look_again(row);
      return;
    }
  }
}

void SearchRun::look_again(Row& row) {
  const bool before = row.decision.complete;
  row.decision = decide(settings_, row.search, row.results);
  if (before || !row.decision.complete) return;
  for (CellTask& task : decided_(row.search.row, row.decision.best)) ready_.push_back(std::move(task));
}

std::vector<ResolvedCell> SearchRun::to_come() const {
  std::vector<ResolvedCell> cells;
  for (const Row& row : rows_)
    for (const auto& [number, tasks] : row.search.tasks) cells.push_back(tasks.back().cell);
  return cells;
}

std::size_t SearchRun::trials_left() const {
  std::size_t left = 0;
  for (const Row& row : rows_)
    for (const TrialGoal& goal : row.decision.next) left += row.given.contains(goal) ? 0 : 1;
  return left;
}

}  // namespace silc
