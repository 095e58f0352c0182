#include "cli/experiment_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include "schedule/fingerprints.h"

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

// Ids of the tasks that are these cells, told by row and seed, and of the phases that they start from.
std::set<std::string> with_earlier_phases(const std::vector<CellTask>& tasks, const std::vector<ResolvedCell>& cells) {
  std::set<std::pair<std::string, int64_t>> names;
  for (const ResolvedCell& cell : cells) names.emplace(cell.row, cell.seed);
  std::map<std::string, std::string> before;  // id → id of the phase before
  std::set<std::string> ids;
  for (const CellTask& task : tasks) {
    before[task.id] = task.cell.start.cell;
    if (!task.cell.elsewhere && names.contains({task.cell.row, task.cell.seed})) ids.insert(task.id);
  }
  for (const std::string& last : std::set(ids))
    for (std::string id = before[last]; !id.empty(); id = before[id]) ids.insert(id);
  return ids;
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
  command
      .add_option("--set", request.sets,
                  "sets a key of the file, over what it and its rows say; VALUE is TOML; repeatable: "
                  "--set optimizer.lr=1e-4")
      ->option_text("KEY=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
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
                  "cells side by side (default: as many as fit if the experiment fixes engine.threads, else 1)")
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

ExperimentPlan plan_experiment(const Session& given, const ExperimentRequest& request) {
  const Session session = given.with_plugins_of(request.file);
  const Catalogue catalogue = session.catalogue();
  ExperimentPlan plan;
  plan.experiment = read_whole(request, catalogue);
  const Experiment chosen =
      request.rows.empty() && request.seeds.empty() ? plan.experiment : read_experiment(request, catalogue);

  plan.engine = {find_engine(), session.plugin_paths};
  fill_fingerprints(plan.engine, plan.experiment.cells);
  plan.tasks = place_cells(plan.experiment.cells, session.runs);

  plan.rows = chosen.rows;
  const std::set<std::string> ids = with_earlier_phases(plan.tasks, chosen.cells);
  for (const CellTask& task : plan.tasks)
    if (ids.contains(task.id)) plan.chosen.push_back(task);
  return plan;
}

int64_t count_finished(const std::vector<CellTask>& tasks) {
  return std::count_if(tasks.begin(), tasks.end(),
                       [](const CellTask& task) { return inspect(task.folder).state == FolderState::finished; });
}

}  // namespace silc
