#include "schedule/search.h"

#include <algorithm>
#include <utility>

#include "files/metrics.h"

namespace silc {
namespace {

TrialResult spent_on(const std::vector<CellTask>& tasks) {
  TrialResult result;
  for (const CellTask& task : tasks) result.flops += spent_on(task.folder).flops;
  return result;
}

TrialResult finished_result(const SearchSettings& settings, const std::vector<CellTask>& tasks) {
  TrialResult result = spent_on(tasks);
  const CellTask& last = tasks.back();
  for (const CellMetric& metric : read_metrics(last.folder))
    if (metric.evaluator == settings.evaluation && metric.name == settings.name &&
        metric.weights == last.cell.weights.front())
      result.score = metric.value;
  return result;
}

// Of a trial that has come to a rung, by its tasks to there; nothing if it has not. One that was trained whole before,
// by another method, has never paused: it has its last score there, too.
std::optional<TrialResult> rung_result(const SearchSettings& settings, const std::vector<CellTask>& tasks) {
  const CellTask& last = tasks.back();
  const auto along = last.until ? paused_at(last.folder, *last.until) : std::nullopt;
  if (!along) return is_finished(last.folder) ? std::optional(finished_result(settings, tasks)) : std::nullopt;
  TrialResult result = spent_on({tasks.begin(), tasks.end() - 1});
  result.flops += along->flops;
  for (const auto& metric : along->metrics)
    if (metric.value("evaluator", "") == settings.evaluation && metric.value("name", "") == settings.name &&
        metric.value("weights", "") == last.cell.weights.front() && metric.contains("value") &&
        metric["value"].is_number())
      result.score = metric["value"].get<double>();
  return result;
}

// Which of a trial's tasks is the last to a rung.
std::size_t last_to(const PlacedSearch& search, const TrialGoal& goal) {
  return search.tasks.at(goal.trial).size() - search.phases + search.rungs.at(goal.rung).phase;
}

std::optional<double> until(const RungPlace& rung) {
  return rung.fraction < 1 ? std::optional(rung.fraction) : std::nullopt;
}

}  // namespace

PlacedSearch place_search(const SearchSettings& settings, const SearchedRow& row,
                          const std::map<std::size_t, ResolvedCell>& cells, const std::vector<ResolvedCell>& start,
                          std::size_t others, const std::filesystem::path& runs) {
  PlacedSearch placed{.row = row.row, .alike = row.alike, .rungs = {}};
  std::vector<ResolvedCell> in_order;
  std::vector<std::size_t> numbers;
  for (const auto& [number, cell] : cells) {
    const std::vector<double> parts = parts_of(cell, others);
    placed.phases = parts.size();
    placed.rungs = rung_places(settings, parts);
    in_order.push_back(cell);
    in_order.back().earlier.insert(in_order.back().earlier.begin(), start.begin(), start.end());
    numbers.push_back(number);
  }
  auto number = numbers.begin();
  for (CellTask& task : place_cells(in_order, runs)) {
    const bool last =
        task.id == cell_id(phases_of(in_order[static_cast<std::size_t>(number - numbers.begin())]).back());
    (placed.start.size() < start.size() ? placed.start : placed.tasks[*number]).push_back(std::move(task));
    if (last) ++number;
  }
  return placed;
}

std::vector<CellTask> tasks_to(const PlacedSearch& search, const TrialGoal& goal) {
  const std::vector<CellTask>& all = search.tasks.at(goal.trial);
  std::vector<CellTask> tasks(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(last_to(search, goal)) + 1);
  tasks.back().until = until(search.rungs.at(goal.rung));
  return tasks;
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
  for (const auto& [number, tasks] : search.tasks)
    for (std::size_t rung = 0; rung < search.rungs.size(); ++rung)
      if (const auto result = rung_result(settings, tasks_to(search, {number, rung})))
        results[{number, rung}] = *result;
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
    : settings_(settings), decided_(std::move(decided)) {
  for (PlacedSearch& search : rows) add(std::move(search));
}

void SearchRun::add(PlacedSearch search) {
  TrialResults results = results_of(settings_, search);
  SearchDecision decision = decide(settings_, search, results);
  if (decision.complete && !decision.best) hopeless_.push_back(search.row);
  if (!decision.complete) rows_.push_back({std::move(search), std::move(results), std::move(decision), {}});
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
  std::vector<CellTask> tasks = chosen->search.start;
  for (CellTask& task : tasks_to(chosen->search, *goal)) tasks.push_back(std::move(task));
  const CellTask last = tasks.back();
  tasks.pop_back();
  // What several trials start from, or has been trained to come to an earlier rung, runs once.
  std::erase_if(tasks, [&](const CellTask& task) {
    return is_finished(task.folder) || !handed_out_.insert(task.folder.path).second;
  });
  if (!last.until) handed_out_.insert(last.folder.path);
  tasks.push_back(last);
  return tasks;
}

void SearchRun::ended(const CellTask& task, const CellOutcome& outcome) {
  if (!task.cell.trial) return;
  const bool done =
      outcome.end == CellEnd::finished || outcome.end == CellEnd::reused || outcome.end == CellEnd::paused;
  if (!done && outcome.end != CellEnd::failed) return;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const PlacedSearch& search = rows_[row].search;
    for (const TrialGoal& goal : rows_[row].given) {
      const RungPlace& rung = search.rungs.at(goal.rung);
      const std::vector<CellTask>& trial = search.tasks.at(goal.trial);
      if (trial[last_to(search, goal)].folder.path != task.folder.path || until(rung) != task.until) continue;
      const std::vector<CellTask> tasks = tasks_to(search, goal);
      rows_[row].results[goal] = done ? *rung_result(settings_, tasks) : spent_on(tasks);
      look_again(row);
      return;
    }
  }
}

void SearchRun::look_again(std::size_t row) {
  const bool before = rows_[row].decision.complete;
  rows_[row].decision = decide(settings_, rows_[row].search, rows_[row].results);
  if (before || !rows_[row].decision.complete) return;
  take_in(decided_(rows_[row].search.row, rows_[row].decision.best));
}

void SearchRun::take_in(Known known) {
  for (CellTask& task : known.cells) ready_.push_back(std::move(task));
  for (PlacedSearch& search : known.searches) {
    const SearchDecision decision = decide(settings_, search, results_of(settings_, search));
    // Its trials may have been trained before.
    if (decision.complete)
      take_in(decided_(search.row, decision.best));
    else
      add(std::move(search));
  }
}

std::vector<ResolvedCell> SearchRun::to_come() const {
  std::vector<ResolvedCell> cells;
  for (const Row& row : rows_)
    for (const auto& [number, tasks] : row.search.tasks)
      for (const CellTask& task : tasks) cells.push_back(task.cell);
  return cells;
}

std::size_t SearchRun::trials_left() const {
  std::size_t left = 0;
  for (const Row& row : rows_)
    for (const TrialGoal& goal : row.decision.next) left += row.given.contains(goal) ? 0 : 1;
  return left;
}

}  // namespace silc
