#include "cli/experiment_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <set>
#include <tuple>

#include "cli/option_arguments.h"
#include "schedule/fingerprints.h"
#include "schedule/preflight.h"
#include "text/names.h"

namespace silc {

namespace {

Experiment read_whole(const ExperimentRequest& request, const Catalogue& catalogue) {
  ExperimentRequest whole = request;
  whole.rows.clear();
  whole.seeds.clear();
  Experiment experiment = read_experiment(whole, catalogue);
  std::vector<int64_t> seeds = experiment.seeds;
  for (const int64_t seed : request.seeds)
    if (std::find(seeds.begin(), seeds.end(), seed) == seeds.end()) seeds.push_back(seed);
  if (seeds.size() == experiment.seeds.size()) return experiment;
  whole.seeds = seeds;
  return read_experiment(whole, catalogue);
}

// Those of `tasks` that are these cells, told by row and seed as two rows may be alike, and the phases that they start
// from.
std::vector<CellTask> tasks_of(const std::vector<CellTask>& tasks, const std::vector<ResolvedCell>& cells) {
  std::set<std::pair<std::string, int64_t>> names;
  for (const ResolvedCell& cell : cells) names.emplace(cell.row, cell.seed);
  const auto is_asked_for = [&](const CellTask& task) {
    return !task.cell.elsewhere && names.contains({task.cell.row, task.cell.seed});
  };
  std::map<std::string, std::string> before;  // id → id of the phase before
  std::set<std::string> ids;
  for (const CellTask& task : tasks) {
    before[task.id] = task.cell.start.cell;
    if (is_asked_for(task)) ids.insert(task.id);
  }
  std::set<std::string> earlier;
  for (const std::string& last : ids)
    for (std::string id = before[last]; !id.empty(); id = before[id])
      if (!ids.contains(id)) earlier.insert(id);
  std::vector<CellTask> chosen;
  for (const CellTask& task : tasks)
    if (is_asked_for(task) || earlier.erase(task.id) > 0) chosen.push_back(task);
  return chosen;
}

// Faults of cells as faults of the file: each once, with the rows that have it unless all have.
class CellFaults {
 public:
  explicit CellFaults(const Experiment& experiment) : experiment_(experiment) {}

  void add(const ResolvedCell& cell, const std::string& key, const std::string& message) {
    const std::string row = row_label(cell);
    std::vector<std::string>& rows = fault(cell, key, message).rows;
    if (std::find(rows.begin(), rows.end(), row) == rows.end()) rows.push_back(row);
  }

  // One that has nothing to do with the row.
  void add_general(const ResolvedCell& cell, const std::string& key, const std::string& message) {
    fault(cell, key, message);
  }

  // `rows`: of all cells that were looked at.
  void throw_if_any(const std::set<std::string>& rows) const {
    Faults faults;
    for (const auto& [place, message, own] : faults_)
      faults.add(place, own.empty() || own.size() == rows.size() || message.starts_with("row \"")
                            ? message
                            : fmt::format("row{} {}: {}", own.size() == 1 ? "" : "s", quoted_list(own, ""), message));
    faults.throw_if_any();
  }

 private:
  struct Fault {
    Place place;
    std::string message;
    std::vector<std::string> rows;
  };

  Fault& fault(const ResolvedCell& cell, const std::string& key, const std::string& message) {
    const Place place = place_of(experiment_, cell, key, message);
    const auto same = [&](const Fault& fault) { return fault.place == place && fault.message == message; };
    const auto found = std::find_if(faults_.begin(), faults_.end(), same);
    return found != faults_.end() ? *found : faults_.emplace_back(Fault{place, message, {}});
  }

  const Experiment& experiment_;
  std::vector<Fault> faults_;
};

// Says what is being tried where that takes long.
class SlowProgress {
 public:
  explicit SlowProgress(const Session& session) : session_(session) {}

  void operator()(const std::string& title) {
    constexpr std::chrono::seconds kQuiet{4};
    if (std::chrono::steady_clock::now() - start_ >= kQuiet) note(session_, "trying " + title);
  }

 private:
  const Session& session_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::vector<InapplicableRows> by_evaluation(std::vector<InapplicableEvaluation> evaluations,
                                            const std::vector<CellTask>& tasks) {
  std::ranges::stable_sort(evaluations, {}, &InapplicableEvaluation::task);
  std::vector<InapplicableRows> grouped;
  for (const InapplicableEvaluation& each : evaluations) {
    auto found = std::find_if(grouped.begin(), grouped.end(), [&](const InapplicableRows& rows) {
      return rows.evaluation == each.evaluation && rows.reason == each.reason;
    });
    if (found == grouped.end()) found = grouped.insert(found, {each.evaluation, each.reason, {}});
    const std::string row = row_label(tasks[each.task].cell);
    if (std::find(found->rows.begin(), found->rows.end(), row) == found->rows.end()) found->rows.push_back(row);
  }
  return grouped;
}

// What can be known before training: faults are thrown, all of them; evaluations that do not apply are noted in `plan`.
void try_before_training(const Session& session, ExperimentPlan& plan, const std::vector<UnreadableData>& unreadable,
                         bool fresh) {
  CellFaults faults(plan.experiment);
  std::set<std::string> items;
  std::set<std::string> told;
  for (const UnreadableData& data : unreadable) {
    items.insert(data.item);
    // Several splits may lack the same file.
    if (told.insert(data.message).second)
      for (const auto& [cell, key] : data.uses) faults.add_general(*cell, key, data.message);
  }
  std::vector<CellTask> tasks;
  std::set<std::string> rows;
  for (const CellTask& task : plan.chosen) {
    if (!fresh && inspect(task.folder).state == FolderState::finished) continue;
    tasks.push_back(task);
    rows.insert(row_label(task.cell));
  }
  const PreflightReport report = preflight(plan.engine, tasks, items, SlowProgress(session));
  for (const PreflightFault& fault : report.faults)
    for (const std::size_t task : fault.tasks) faults.add(tasks[task].cell, fault.key, fault.message);
  faults.throw_if_any(rows);
  plan.not_applicable = by_evaluation(report.not_applicable, tasks);
}

}  // namespace

std::vector<CellTask> ExperimentPlan::asked_for() const {
  const auto contains = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<CellTask> asked = chosen;
  std::erase_if(asked, [&](const CellTask& task) {
    return task.cell.elsewhere || (contains(experiment.rows, task.cell.row) && !contains(rows, task.cell.row));
  });
  return asked;
}

std::vector<ResolvedCell> ExperimentPlan::chosen_cells() const {
  std::vector<ResolvedCell> cells;
  cells.reserve(chosen.size());
  for (const CellTask& task : chosen) cells.push_back(task.cell);
  return cells;
}

PlannedExperiment ExperimentPlan::planned() const {
  PlannedExperiment planned = describe(experiment);
  for (const CellTask& task : tasks)
    if (!task.cell.elsewhere) planned.cells.push_back({task.cell.row, task.cell.seed, task.id, run_folder(task.cell)});
  return planned;
}

void add_experiment_flags(CLI::App& command, ExperimentRequest& request) {
  command.add_option("experiment", request.file, "the experiment file")->option_text("EXPERIMENT.toml")->required();
  add_set_flag(command, request.sets,
               "sets a key of the file, over what it and its rows say; VALUE is TOML; repeatable: "
               "--set optimizer.lr=1e-4");
  command.add_option("--rows", request.rows, "only these rows (default: all)")
      ->option_text("A,B")
      ->type_name("rows")
      ->delimiter(',')
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_option("--seeds", request.seeds, "only these seeds (default: those of the file)")
      ->option_text("0,1")
      ->delimiter(',')
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_thread_flags(CLI::App& command, ThreadRequest& request) {
  command
      .add_option("--jobs", request.jobs,
                  "cells side by side, spread over the GPUs that CUDA_VISIBLE_DEVICES leaves (default: one on each "
                  "GPU; without "
                  "GPUs as many as fit if the experiment fixes engine.threads, else 1)")
      ->option_text("N")
      ->check(CLI::Range(1, 100000));
  command
      .add_option("--threads", request.threads,
                  "threads altogether, divided among the cells that run side by side (default: the cores that this "
                  "process may use)")
      ->option_text("N")
      ->check(CLI::Range(1, 100000));
}

PlannedExperiment describe(const Experiment& experiment) {
  PlannedExperiment planned;
  planned.name = experiment.name;
  planned.title = experiment.title;
  planned.source = experiment.source;
  planned.rows = experiment.rows;
  planned.seeds = experiment.seeds;
  for (const TableSpec& table : experiment.tables)
    planned.tables.push_back({table.name, table.title, table.baseline, table.columns, table.rows});
  return planned;
}

std::string describe(const InapplicableRows& rows) {
  return fmt::format("{}: {} does not apply: {}.", quoted_list(rows.rows, ""), rows.evaluation, rows.reason);
}

ExperimentPlan plan_experiment(const Session& given, const ExperimentRequest& request, bool fresh) {
  const Session session = given.with_plugins_of(request.file);
  const Catalogue catalogue = session.catalogue();
  ExperimentPlan plan;
  plan.experiment = read_whole(request, catalogue);
  const Experiment chosen =
      request.rows.empty() && request.seeds.empty() ? plan.experiment : read_experiment(request, catalogue);

  plan.engine = {find_engine(), session.plugin_paths};
  // Two engines side by side: each takes a while to start.
  auto gpus = std::async(std::launch::async, find_gpus, std::cref(plan.engine), std::span(chosen.cells));
  const std::vector<UnreadableData> unreadable = fill_fingerprints(plan.engine, plan.experiment.cells);
  plan.gpus = gpus.get();
  plan.tasks = place_cells(plan.experiment.cells, session.runs);

  plan.rows = chosen.rows;
  plan.chosen = tasks_of(plan.tasks, chosen.cells);
  try_before_training(session, plan, unreadable, fresh);
  return plan;
}

int64_t count_finished(const std::vector<CellTask>& tasks) {
  return std::count_if(tasks.begin(), tasks.end(),
                       [](const CellTask& task) { return inspect(task.folder).state == FolderState::finished; });
}

}  // namespace silc
