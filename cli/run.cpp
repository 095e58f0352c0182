// silc run: plan, train, evaluate, record.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

#include "cli/experiment_plan.h"
#include "cli/run.h"
#include "cli/run_view.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/warnings.h"
#include "silc/error.h"

namespace silc {

namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kInterrupted = 130;

size_t count_of(const std::vector<CellOutcome>& outcomes, CellEnd end) {
  return static_cast<size_t>(
      std::count_if(outcomes.begin(), outcomes.end(), [&](const CellOutcome& outcome) { return outcome.end == end; }));
}

std::string_view end_name(CellEnd end) {
  switch (end) {
    case CellEnd::not_started:
      return "not started";
    case CellEnd::reused:
      return "reused";
    case CellEnd::finished:
      return "finished";
    case CellEnd::failed:
      return "failed";
    case CellEnd::interrupted:
      return "interrupted";
  }
  return "";
}

std::vector<std::string> table_columns(const Experiment& experiment) {
  std::vector<std::string> columns;
  for (const TableSpec& table : experiment.tables)
    columns.insert(columns.end(), table.columns.begin(), table.columns.end());
  return columns;
}

void warn_of_changes(const Registry& registry, const PlannedExperiment& planned) {
  const auto before = registry.experiment(planned.name);
  if (!before) return;
  std::set<std::string> ids;
  for (const PlannedCell& cell : planned.cells) ids.insert(cell.id);
  const auto gone = std::count_if(before->cells.begin(), before->cells.end(),
                                  [&](const PlannedCell& cell) { return !ids.contains(cell.id); });
  if (gone == 0) return;
  warn(
      fmt::format("\"{}\" has changed: {} of the {} that it had are no longer part of it; they stay in the registry, "
                  "but out of its tables",
                  planned.name, gone, count(static_cast<int64_t>(before->cells.size()), "cell")));
}

Registry open_for_writing(const Session& session) {
  const std::string fault = session.runs_fault();
  if (!fault.empty()) throw Error(fault + "; --runs names another place");
  return Registry(session.registry_file(), session.runs);
}

void remove_earlier_results(const Session& session, Registry& registry, const std::vector<CellTask>& tasks) {
  const auto running = remove_results(tasks);
  // So that tables do not show what is gone, should this run be interrupted.
  for (const CellTask& task : tasks)
    if (std::filesystem::exists(task.folder.cell())) registry.ingest(task.folder.path);
  for (const size_t index : running)
    note(session, fmt::format("{}, seed {}: another silc is at work on it, so --fresh leaves it alone",
                              tasks[index].cell.row, tasks[index].cell.seed));
}

nlohmann::ordered_json summary(const Session& session, const Experiment& experiment, const std::vector<CellTask>& tasks,
                               const std::vector<CellOutcome>& outcomes) {
  auto cells = nlohmann::ordered_json::array();
  for (size_t index = 0; index < tasks.size(); ++index) {
    const CellTask& task = tasks[index];
    const CellOutcome& outcome = outcomes[index];
    nlohmann::ordered_json cell = {{"row", task.cell.row},
                                   {"seed", task.cell.seed},
                                   {"id", task.id},
                                   {"folder", task.folder.path.string()},
                                   {"state", end_name(outcome.end)}};
    if (task.cell.elsewhere) cell["experiment"] = task.cell.experiment;
    if (!outcome.message.empty()) cell["message"] = outcome.message;
    auto metrics = nlohmann::ordered_json::array();
    for (const CellMetric& metric : read_metrics(task.folder))
      metrics.push_back({{"evaluator", metric.evaluator},
                         {"dataset", metric.dataset},
                         {"weights", metric.weights},
                         {"name", metric.name},
                         {"value", metric.value}});
    cell["metrics"] = metrics;
    cell["warnings"] = json_of(inspect(task.folder).progress.warnings);
    cells.push_back(cell);
  }
  nlohmann::ordered_json result = {{"experiment", experiment.name}, {"registry", session.registry_file().string()}};
  for (const CellEnd end :
       {CellEnd::reused, CellEnd::finished, CellEnd::failed, CellEnd::interrupted, CellEnd::not_started})
    result[end == CellEnd::not_started ? "not_started" : std::string(end_name(end))] = count_of(outcomes, end);
  result["cells"] = cells;
  return result;
}

int64_t count_with_warnings(const std::vector<CellTask>& tasks) {
  return std::count_if(tasks.begin(), tasks.end(),
                       [](const CellTask& task) { return !inspect(task.folder).progress.warnings.empty(); });
}

void report_failures(const std::vector<CellTask>& tasks, const std::vector<CellOutcome>& outcomes) {
  const size_t failed = count_of(outcomes, CellEnd::failed);
  if (failed == 0) return;
  complain(fmt::format("{} of {} failed; silc run tries them again:", failed,
                       count(static_cast<int64_t>(tasks.size()), "cell")));
  for (size_t index = 0; index < tasks.size(); ++index) {
    if (outcomes[index].end != CellEnd::failed) continue;
    const CellTask& task = tasks[index];
    std::string text =
        fmt::format("  {}, seed {} ({}): {}\n", row_label(task.cell), task.cell.seed, task.id, outcomes[index].message);
    if (std::filesystem::exists(task.folder.log())) text += "    log: " + task.folder.log().string() + "\n";
    std::fputs(text.c_str(), stderr);
  }
}

int conclude(const Session& session, const Experiment& experiment, const std::vector<CellTask>& tasks,
             const std::vector<CellOutcome>& outcomes) {
  report_failures(tasks, outcomes);
  if (session.json) print_json(summary(session, experiment, tasks, outcomes));
  if (count_of(outcomes, CellEnd::interrupted) > 0 ||
      (count_of(outcomes, CellEnd::not_started) > 0 && count_of(outcomes, CellEnd::failed) == 0)) {
    note(session, "interrupted; the same command goes on where this one stopped");
    return kInterrupted;
  }
  if (count_of(outcomes, CellEnd::failed) > 0) return kFailed;
  if (session.json) return kDone;
  if (const int64_t sick = count_with_warnings(tasks); sick > 0)
    note(session,
         fmt::format("{} of {} {} warnings; silc status {} lists them", sick,
                     count(static_cast<int64_t>(tasks.size()), "cell"), sick == 1 ? "has" : "have", experiment.name));
  note(session, "see: silc report " + experiment.name);
  return kDone;
}

}  // namespace

int run_experiment(const RunOptions& options, Session& session) {
  const ExperimentPlan plan = plan_experiment(session, options.experiment, options.fresh);
  const RunRequest request{plan.engine, plan_threads(options.threads, plan.chosen_cells(), plan.gpus.size()),
                           options.fail_fast, plan.gpus};

  Registry registry = open_for_writing(session);
  const PlannedExperiment planned = plan.planned();
  warn_of_changes(registry, planned);
  registry.plan(planned);
  if (options.fresh) remove_earlier_results(session, registry, plan.asked_for());

  const auto total = static_cast<int64_t>(plan.chosen.size());
  const auto finished = count_finished(plan.chosen);
  if (finished == total) {
    note(session, fmt::format("nothing to do: {} finished",
                              total == 1 ? "the one cell is" : fmt::format("all {} cells are", total)));
  } else {
    if (finished > 0) note(session, fmt::format("{} of {} finished before", finished, count(total, "cell")));
    note(session, fmt::format("{} to run, {} at a time, {}{} altogether", count(total - finished, "cell"),
                              request.threads.jobs, count(request.threads.threads, "thread"),
                              plan.gpus.empty() ? "" : " and " + count(static_cast<int64_t>(plan.gpus.size()), "GPU")));
  }

  for (const InapplicableRows& rows : plan.not_applicable) note(session, describe(rows));

  session.started = finished < total;
  std::vector<CellOutcome> outcomes;
  {
    RunView view(session, registry, plan.chosen, table_columns(plan.experiment), request.threads.jobs);
    outcomes = run_cells(plan.chosen, request, view);
  }
  return conclude(session, plan.experiment, plan.chosen, outcomes);
}

void add_run(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand(
      "run",
      "plans, trains, evaluates and records an experiment\n\nEvery cell (a row with a seed) runs in a process of its "
      "own. Finished cells are reused, interrupted ones resumed, failed ones tried again. Ctrl-C lets the engines "
      "write a checkpoint and ends with exit code 130; the same command then goes on. Exit code 1: a cell failed; 2: "
      "the request was wrong and nothing was started.");
  command->footer(
      "silc run experiments/ablation.toml --jobs 2\n"
      "silc run experiments/ablation.toml --rows CLIP,SILC --seeds 0 --set budget.examples=1000");
  const auto options = std::make_shared<RunOptions>();
  add_experiment_flags(*command, options->experiment);
  add_thread_flags(*command, options->threads);
  command->add_flag(
      "--fresh", options->fresh,
      "removes what earlier runs of these cells left, and starts over; a row that another one starts from keeps "
      "what it has unless it is asked for too");
  command->add_flag("--fail-fast", options->fail_fast,
                    "stops everything at the first failure (default: the other cells go on)");
  command->callback(
      [options, &session] { session.command = [options, &session] { return run_experiment(*options, session); }; });
}

}  // namespace silc
