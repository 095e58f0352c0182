// silc run: plan, train, evaluate, record.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "cli/experiment_plan.h"
#include "cli/run.h"
#include "cli/run_view.h"
#include "cli/session.h"
#include "cli/slurm_launch.h"
#include "cli/text.h"
#include "cli/warnings.h"
#include "registry/report.h"
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
    case CellEnd::paused:
      return "paused";
    case CellEnd::failed:
      return "failed";
    case CellEnd::interrupted:
      return "interrupted";
    case CellEnd::left:
      return "left";
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
  // A row whose search goes on may come to the same cells again.
  const auto is_open = [&](const PlannedCell& cell) {
    if (!planned.search) return false;
    return std::ranges::any_of(planned.search->tuned, [&](const PlannedTuning& tuned) {
      const bool of_row = cell.row == tuned.row || cell.row.starts_with(tuned.row + " (");  // or a phase of it
      return of_row && !search_of(*planned.search, tuned.row)->chosen;
    });
  };
  const auto gone = std::count_if(before->cells.begin(), before->cells.end(),
                                  [&](const PlannedCell& cell) { return !ids.contains(cell.id) && !is_open(cell); });
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

// But for those with a job in a cluster's queue.
void remove_earlier_results(const Session& session, Registry& registry, const std::vector<CellTask>& all) {
  std::vector<CellTask> tasks;
  const std::set<std::size_t> queued = in_queue(all);
  for (std::size_t index = 0; index < all.size(); ++index) {
    if (!queued.contains(index))
      tasks.push_back(all[index]);
    else
      note(session, fmt::format("{}, seed {}: its job is in the queue, so --fresh leaves it alone", all[index].cell.row,
                                all[index].cell.seed));
  }
  const auto running = remove_results(tasks);
  // So that tables do not show what is gone, should this run be interrupted.
  for (const CellTask& task : tasks)
    if (std::filesystem::exists(task.folder.cell())) registry.ingest(task.folder.path);
  for (const size_t index : running)
    note(session, fmt::format("{}, seed {}: another silc is at work on it, so --fresh leaves it alone",
                              tasks[index].cell.row, tasks[index].cell.seed));
}

void remove_trials(const Session& session, Registry& registry, const PlacedSearch& search) {
  for (const auto& [number, trial] : search.tasks) remove_earlier_results(session, registry, trial);
}

nlohmann::ordered_json summary(const Session& session, const Experiment& experiment, const std::vector<CellTask>& tasks,
                               const std::vector<CellOutcome>& outcomes) {
  auto cells = nlohmann::ordered_json::array();
  for (size_t index = 0; index < tasks.size(); ++index) {
    const CellTask& task = tasks[index];
    const CellOutcome& outcome = outcomes[index];
    nlohmann::ordered_json cell = {{"row", task.cell.row}, {"seed", task.cell.seed}};
    if (task.cell.trial) cell["trial"] = *task.cell.trial;
    cell.update({
        {"id", task.id},
        {"folder", task.folder.path.string()},
        {"state", end_name(outcome.end)},
    });
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
  for (const CellEnd end : {CellEnd::reused, CellEnd::finished, CellEnd::paused, CellEnd::failed, CellEnd::interrupted,
                            CellEnd::not_started, CellEnd::left}) {
    if (end == CellEnd::paused && !experiment.search) continue;  // only trials pause
    if (end == CellEnd::left && count_of(outcomes, end) == 0) continue;
    result[end == CellEnd::not_started ? "not_started" : std::string(end_name(end))] = count_of(outcomes, end);
  }
  result["cells"] = cells;
  return result;
}

int64_t count_with_warnings(const std::vector<CellTask>& tasks) {
  return std::count_if(tasks.begin(), tasks.end(),
                       [](const CellTask& task) { return !inspect(task.folder).progress.warnings.empty(); });
}

// Of trials, or of the cells that tables are made of.
size_t count_failed(const std::vector<CellTask>& tasks, const std::vector<CellOutcome>& outcomes, bool trials) {
  size_t failed = 0;
  for (size_t index = 0; index < tasks.size(); ++index)
    if (outcomes[index].end == CellEnd::failed && tasks[index].cell.trial.has_value() == trials) ++failed;
  return failed;
}

void report_failures(const std::vector<CellTask>& tasks, const std::vector<CellOutcome>& outcomes) {
  const size_t cells = count_failed(tasks, outcomes, false);
  const size_t trials = count_failed(tasks, outcomes, true);
  if (cells + trials == 0) return;
  const auto trial_count =
      std::count_if(tasks.begin(), tasks.end(), [](const CellTask& task) { return task.cell.trial; });
  if (trials > 0)
    complain(fmt::format("{} of {} failed, which counts as effort and is never chosen; silc run tries them again{}",
                         trials, count(trial_count, "trial"), cells == 0 ? ":" : ""));
  if (cells > 0)
    complain(fmt::format("{} of {} failed; silc run tries them again:", cells,
                         count(static_cast<int64_t>(tasks.size()) - trial_count, "cell")));
  for (size_t index = 0; index < tasks.size(); ++index) {
    if (outcomes[index].end != CellEnd::failed) continue;
    const CellTask& task = tasks[index];
    std::string text = fmt::format("  {}, {} ({}): {}\n", row_label(task.cell), cell_label(task.cell), task.id,
                                   outcomes[index].message);
    if (std::filesystem::exists(task.folder.log())) text += "    log: " + task.folder.log().string() + "\n";
    std::fputs(text.c_str(), stderr);
  }
}

// What is left of the searches when a run ends.
struct SearchEnd {
  std::vector<std::string> open;                     // searched rows with trials that were not trained
  std::vector<std::string> hopeless;                 // those none of whose trials has a value
  std::map<std::string, std::string> without_start;  // those whose trials would go on from what a hopeless one chooses
};

// Of a row none of whose trials has a value, and those whose search needs its choice.
void give_up(const ExperimentPlan& plan, const std::string& row, SearchEnd& end) {
  std::erase(end.open, row);
  end.hopeless.push_back(row);
  std::vector<std::string> without = {row};
  for (std::size_t i = 0; i < without.size(); ++i)
    for (const std::string& waiting : plan.waiting_for(without[i])) {
      std::erase(end.open, waiting);
      if (end.without_start.emplace(waiting, without[i]).second) without.push_back(waiting);
    }
}

int conclude(const Session& session, const Experiment& experiment, const std::vector<CellTask>& tasks,
             const std::vector<CellOutcome>& outcomes, const SearchEnd& search) {
  report_failures(tasks, outcomes);
  for (const std::string& row : search.hopeless)
    complain(fmt::format("{}: none of its trials has a value of {}, so that there is nothing to choose", row,
                         experiment.search->settings.metric));
  if (session.json) print_json(summary(session, experiment, tasks, outcomes));
  for (const auto& [row, start] : search.without_start)
    complain(fmt::format("{}: its trials go on from what the search of {} chooses, which is nothing", row, start));
  const size_t failed = count_failed(tasks, outcomes, false);
  if (const std::size_t left = count_of(outcomes, CellEnd::left); left > 0) {
    note(session, fmt::format("{} in Slurm's hands; the same command watches again, scancel cancels",
                              count(static_cast<int64_t>(left), "cell") + (left == 1 ? " is" : " are")));
    return kInterrupted;
  }
  if (count_of(outcomes, CellEnd::interrupted) > 0 || !search.open.empty() ||
      (count_of(outcomes, CellEnd::not_started) > 0 && failed == 0)) {
    note(session, "interrupted; the same command goes on where this one stopped");
    return kInterrupted;
  }
  if (failed > 0 || !search.hopeless.empty()) return kFailed;
  if (session.json) return kDone;
  if (const int64_t sick = count_with_warnings(tasks); sick > 0)
    note(session,
         fmt::format("{} of {} {} warnings; silc status {} lists them", sick,
                     count(static_cast<int64_t>(tasks.size()), "cell"), sick == 1 ? "has" : "have", experiment.name));
  note(session, "see: silc report " + experiment.name);
  return kDone;
}

const SearchedRow& searched_row(const Experiment& experiment, const std::string& row) {
  return *std::find_if(experiment.search->searched.begin(), experiment.search->searched.end(),
                       [&](const SearchedRow& each) { return each.row == row; });
}

// "optimizer.lr of SigLIP is at the upper end of its range": what a better value may lie beyond.
void say_choice(const Session& session, const Experiment& experiment, const PlacedSearch& search, std::size_t trial) {
  std::string score;
  for (const CellMetric& metric : read_metrics(search.tasks.at(trial).back().folder))
    if (metric.evaluator == experiment.search->settings.evaluation && metric.name == experiment.search->settings.name)
      score = " (" + named_value(metric.name, metric.value) + ")";
  note(session, fmt::format("{}: chosen is {}{}", search.row,
                            describe_trial(searched_row(experiment, search.row), trial), score));
}

void say_what_is_searched(const Session& session, const ExperimentPlan& plan) {
  const std::vector<PlacedSearch> open = plan.open_searches();
  if (open.empty()) return;
  const SearchSettings& settings = plan.experiment.search->settings;
  std::size_t trials = 0, done = 0;
  for (const PlacedSearch& search : open) {
    trials += settings.flops > 0 ? 0 : search.tasks.size();
    done += results_of(settings, search).size();
  }
  note(session,
       fmt::format("search: {} rows to tune, {}{}, by {} on {}", open.size(),
                   settings.flops > 0 ? fmt::format("each with {}FLOP of trials", format_quantity(settings.flops))
                                      : count(static_cast<int64_t>(trials), "trial") + " altogether",
                   done == 0 ? "" : fmt::format(", {} finished before", done), settings.metric, settings.split));
}

// Trains the trials, and each row's cells as soon as its settings are chosen. `tasks` grows by them.
std::vector<CellOutcome> run_with_search(const Session& session, Registry& registry, const RunOptions& options,
                                         const RunRequest& request, ExperimentPlan& plan, std::vector<CellTask>& tasks,
                                         SearchEnd& end) {
  for (const PlacedSearch& search : plan.open_searches()) end.open.push_back(search.row);
  const auto decided = [&](const std::string& row, std::optional<std::size_t> trial) -> SearchRun::Known {
    std::erase(end.open, row);
    if (!trial) {
      give_up(plan, row, end);
      return {};
    }
    SearchRun::Known known = plan.decide(row, *trial);
    registry.plan(plan.planned());
    say_choice(session, plan.experiment, *plan.find_search(row), *trial);
    if (options.search_only) known.cells.clear();
    if (options.fresh) {
      remove_earlier_results(session, registry, known.cells);
      for (const PlacedSearch& search : known.searches) remove_trials(session, registry, search);
    }
    return known;
  };
  std::vector<PlacedSearch> ready = plan.open_searches();
  std::erase_if(ready, [](const PlacedSearch& search) { return !search.waits_for.empty(); });
  SearchRun source(plan.experiment.search->settings, std::move(ready), decided);
  for (const std::string& row : source.hopeless()) give_up(plan, row, end);
  RunView view(session, registry, tasks, table_columns(plan.experiment), request.threads.jobs,
               [&] { return source.trials_left(); });
  return run_cells(tasks, source, request, view);
}

// Each rank has a GPU of its own, where there are any.
void check_ranks(const ExperimentPlan& plan) {
  for (const ResolvedCell& cell : plan.chosen_cells()) {
    const EngineSettings& engine = cell.engine;
    if (plan.gpus.empty() || !wants_gpu(engine.device) || static_cast<std::size_t>(engine.ranks) <= plan.gpus.size())
      continue;
    throw Error(fmt::format(
        "row {} is to be trained by {} ranks (engine.ranks), a GPU each, and there {}; use fewer "
        "ranks, or engine.device = \"cpu\"",
        row_label(cell), engine.ranks, plan.gpus.size() == 1 ? "is one" : fmt::format("are {}", plan.gpus.size())));
  }
}

}  // namespace

int run_experiment(const RunOptions& options, Session& session) {
  ExperimentRequest wanted = options.experiment;
  if (options.ranks > 0) wanted.sets.push_back(fmt::format("engine.ranks={}", options.ranks));
  ExperimentPlan plan = plan_experiment(session, wanted, options.fresh, options.launcher);
  const bool on_cluster = chosen_launcher(options.launcher, plan.experiment) == LauncherKind::slurm;
  if (options.cancel_on_interrupt && !on_cluster)
    throw Error("--cancel-on-interrupt is for --launcher slurm: cells of this machine stop with silc");
  SlurmOrder order;
  if (on_cluster) {
    order = slurm_order(plan, options.threads);
    order.settings.cancel_on_interrupt |= options.cancel_on_interrupt;
    check_slurm(session, plan, order);
  }
  check_ranks(plan);
  if (options.search_only && !plan.experiment.search)
    throw Error(plan.experiment.file.string() + " has no [search] that could be run alone");
  RunRequest request{plan.engine, plan_threads(options.threads, plan.chosen_cells(), plan.gpus.size()),
                     options.fail_fast, plan.gpus};
  if (on_cluster)
    request.launcher = [&](LaunchListener& listener) { return std::make_unique<SlurmLauncher>(order, listener); };

  Registry registry = open_for_writing(session);
  const PlannedExperiment planned = plan.planned();
  warn_of_changes(registry, planned);
  registry.plan(planned);
  if (options.fresh) {
    remove_earlier_results(session, registry, plan.asked_for());
    for (const PlacedSearch& search : plan.open_searches()) remove_trials(session, registry, search);
  }
  say_what_is_searched(session, plan);

  std::vector<CellTask> tasks = options.search_only ? std::vector<CellTask>{} : plan.chosen;
  const auto total = static_cast<int64_t>(tasks.size());
  const auto finished = count_finished(tasks);
  if (!plan.open_searches().empty()) {
    if (finished > 0) note(session, fmt::format("{} of {} finished before", finished, count(total, "cell")));
  } else if (finished == total) {
    note(session, options.search_only
                      ? "nothing to do: every row's search has chosen"
                      : fmt::format("nothing to do: {} finished",
                                    total == 1 ? "the one cell is" : fmt::format("all {} cells are", total)));
  } else {
    if (finished > 0) note(session, fmt::format("{} of {} finished before", finished, count(total, "cell")));
    if (on_cluster)
      note(session, count(total - finished, "cell") + " to run as jobs of Slurm");
    else
      note(session,
           fmt::format("{} to run, {} at a time, {}{} altogether", count(total - finished, "cell"),
                       request.threads.jobs, count(request.threads.threads, "thread"),
                       plan.gpus.empty() ? "" : " and " + count(static_cast<int64_t>(plan.gpus.size()), "GPU")));
  }

  for (const InapplicableRows& rows : plan.not_applicable) note(session, describe(rows));

  session.started = finished < total || !plan.open_searches().empty();
  std::vector<CellOutcome> outcomes;
  SearchEnd end;
  if (plan.searches.empty()) {
    RunView view(session, registry, tasks, table_columns(plan.experiment), request.threads.jobs);
    outcomes = run_cells(tasks, request, view);
  } else {
    outcomes = run_with_search(session, registry, options, request, plan, tasks, end);
  }
  return conclude(session, plan.experiment, tasks, outcomes, end);
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
  command
      ->add_option("--ranks", options->ranks,
                   "processes that train each cell together, on a GPU each where there are any, to the results of one "
                   "(default: what the experiment says, else 1); the same as --set engine.ranks=N")
      ->option_text("N")
      ->check(CLI::Range(1, 4096));
  add_launcher_flag(*command, options->launcher);
  command->add_flag("--cancel-on-interrupt", options->cancel_on_interrupt,
                    "with --launcher slurm: Ctrl-C cancels this run's jobs (default: they go on without silc unless "
                    "Ctrl-C is pressed twice)");
  command->add_flag(
      "--fresh", options->fresh,
      "removes what earlier runs of these cells left, and starts over; a row that another one starts from keeps "
      "what it has unless it is asked for too");
  command->add_flag("--search-only", options->search_only,
                    "trains the trials of the file's [search], and not the cells of what it chooses");
  command->add_flag("--fail-fast", options->fail_fast,
                    "stops everything at the first failure (default: the other cells go on)");
  command->callback(
      [options, &session] { session.command = [options, &session] { return run_experiment(*options, session); }; });
}

}  // namespace silc
