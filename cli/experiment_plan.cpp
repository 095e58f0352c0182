#include "cli/experiment_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <set>
#include <tuple>

#include "cli/option_arguments.h"
#include "plugin/similar.h"
#include "schedule/fingerprints.h"
#include "schedule/preflight.h"
#include "schedule/shared_pictures.h"
#include "schedule/slurm_client.h"
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

// Those of `tasks` that are these rows' cells with these seeds, told by that as two rows may be alike, and the phases
// that they start from.
std::vector<CellTask> tasks_of(const std::vector<CellTask>& tasks,
                               const std::set<std::pair<std::string, int64_t>>& names) {
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

  void add_at(const Place& place, const std::string& message) {
    const auto same = [&](const Fault& fault) { return fault.place == place && fault.message == message; };
    if (std::none_of(faults_.begin(), faults_.end(), same)) faults_.push_back({place, message, {}});
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

// Rows and seeds that were asked for.
std::set<std::pair<std::string, int64_t>> names_of(const Experiment& chosen) {
  std::set<std::pair<std::string, int64_t>> names;
  for (const ResolvedCell& cell : chosen.cells) names.emplace(cell.row, cell.seed);
  if (!chosen.search) return names;
  for (const TunedRow& tuned : chosen.search->tuned)
    if (std::find(chosen.rows.begin(), chosen.rows.end(), tuned.row) != chosen.rows.end())
      for (const int64_t seed : chosen.seeds) names.emplace(tuned.row, seed);
  return names;
}

TrialCells trial_cells_of(const Experiment& experiment) {
  TrialCells trials;
  if (!experiment.search) return trials;
  for (const SearchedRow& row : experiment.search->searched) trials[row.row] = trial_cells(*experiment.search, row);
  return trials;
}

// Everything that an experiment may come to train, for which data are to be known.
template <class Visit>
void for_each_cell(Experiment& experiment, TrialCells& trials, const Visit& visit) {
  for (ResolvedCell& cell : experiment.cells) visit(cell);
  if (!experiment.search) return;
  for (TunedRow& tuned : experiment.search->tuned)
    for (ResolvedCell& cell : tuned.candidates) visit(cell);
  for (auto& [row, cells] : trials)
    for (auto& [number, cell] : cells) visit(cell);
}

// Trials that are worth trying before training: those that are the first to have a value that decides what is built.
std::vector<CellTask> trials_to_try(const ExperimentPlan& plan) {
  constexpr std::size_t kMostOfARow = 8;
  std::vector<CellTask> tasks;
  for (const PlacedSearch& search : plan.open_searches()) {
    const auto& rows = plan.experiment.search->searched;
    const auto row =
        std::find_if(rows.begin(), rows.end(), [&](const SearchedRow& each) { return each.row == search.row; });
    std::set<std::string> seen;
    std::size_t tried = 0;
    for (const auto& [number, cells] : search.tasks) {
      bool worth = tried == 0;
      for (std::size_t i = 0; i < row->space.size(); ++i) {
        const Dimension& dimension = row->space[i];
        const bool builds = !dimension.key.starts_with("optimizer.") || dimension.key == "optimizer.batch";
        if (builds && dimension.size() > 0)
          worth = seen.insert(dimension.key + " " + toml_text(row->points[number][i])).second || worth;
      }
      if (!worth || tried == kMostOfARow) continue;
      ++tried;
      tasks.insert(tasks.end(), cells.begin(), cells.end());
    }
  }
  return tasks;
}

// That the search's metric will be there.
void check_metric(const SearchSettings& settings, const PreflightReport& report, const std::vector<CellTask>& tasks,
                  CellFaults& faults) {
  const auto known = report.metrics.find(settings.evaluation);
  if (known != report.metrics.end() && !known->second.contains(settings.name))
    faults.add_at(settings.metric_place,
                  fmt::format("search.metric: {} gives no \"{}\"{}", settings.evaluation, settings.name,
                              suggestion(settings.name, std::vector(known->second.begin(), known->second.end()))));
  std::set<std::string> told;
  for (const InapplicableEvaluation& each : report.not_applicable)
    if (tasks[each.task].cell.trial && told.insert(tasks[each.task].cell.row).second)
      faults.add_at(settings.metric_place,
                    fmt::format("row \"{}\" cannot be tuned by {}: {} does not apply: {}. search = false leaves its "
                                "settings as they are",
                                tasks[each.task].cell.row, settings.metric, each.evaluation, each.reason));
}

std::vector<DataSource> sources_of(const DataSource& data) {
  return data.parts.empty() ? std::vector{data} : data.parts;
}

std::string name_of(const DataSource& data) {
  return fmt::format("split \"{}\" of dataset \"{}\"", data.split, data.dataset.name);
}

// That trials are evaluated on no picture that the chosen settings are measured on, or that is trained on, under
// whatever name.
void check_pictures(const ExperimentPlan& plan, const std::set<std::string>& unreadable, CellFaults& faults) {
  constexpr double kWorthAWord = 0.01;  // a few pictures are twice in most data that people have collected
  const Search& search = *plan.experiment.search;
  std::map<std::string, std::pair<DataSource, std::string>> others;  // by item: data, and what it is used for
  std::map<std::string, DataSource> own;
  double patience = 0;
  for (const PlacedSearch& placed : plan.open_searches()) {
    const ResolvedCell& trial = placed.tasks.begin()->second.back().cell;
    for (const Evaluation& evaluation : trial.evaluations)
      own.try_emplace(source_item(evaluation.data), evaluation.data);
    patience = std::max(patience, trial.engine.hang_seconds);
  }
  for (const TunedRow& tuned : search.tuned) {
    const ResolvedCell& row = tuned.candidates.front();
    for (const Evaluation& evaluation : row.evaluations)
      others.try_emplace(source_item(evaluation.data), evaluation.data,
                         fmt::format("evaluation \"{}\" measures the chosen settings on", evaluation.name));
    for (const ResolvedCell& phase : unchained(row))
      for (const DataSource& data : sources_of(phase.train))
        others.try_emplace(source_item(data), data, fmt::format("row \"{}\" trains on", row_label(phase)));
  }
  std::vector<DataSource> all;
  for (const auto& [item, data] : own) all.push_back(data);
  for (const auto& [item, data] : others) all.push_back(data.first);
  std::erase_if(all, [&](const DataSource& data) { return unreadable.contains(source_item(data)); });
  if (own.empty() || all.empty()) return;
  const auto samples = look_at_pictures(plan.engine, all, patience);
  for (const auto& [item, data] : own)
    for (const auto& [other_item, other] : others) {
      if (!samples.contains(item) || !samples.contains(other_item)) continue;
      const double part = shared_part(samples.at(item), samples.at(other_item));
      if (part < kWorthAWord) continue;
      faults.add_at(search.settings.split_place,
                    fmt::format("search.split: {} of the pictures of {} are in {}, too, which {}; trials must see "
                                "others",
                                part > 0.995 ? "all" : fmt::format("about {:.0f} %", 100 * part), name_of(data),
                                name_of(other.first), other.second));
    }
}

// What can be known before training: faults are thrown, all of them; evaluations that do not apply are noted in `plan`.
// `here`: cells run on this machine; else, on the login node of a cluster, they are tried on its CPU.
void try_before_training(const Session& session, ExperimentPlan& plan, const std::vector<UnreadableData>& unreadable,
                         bool fresh, bool here) {
  CellFaults faults(plan.experiment);
  std::set<std::string> items;
  std::set<std::string> told;
  for (const UnreadableData& data : unreadable) {
    items.insert(data.item);
    // Several splits may lack the same file.
    if (told.insert(data.message).second)
      for (const auto& [cell, key] : data.uses) {
        // A trial reads the evaluation's data, but the search's split of it.
        if (cell->trial && key.starts_with("evaluate.") && data.message.find(" has no split ") != std::string::npos)
          faults.add_at(plan.experiment.search->settings.split_place, "search.split: " + data.message);
        else
          faults.add_general(*cell, key, data.message);
      }
  }
  std::vector<CellTask> tasks;
  std::set<std::string> rows;
  std::vector<CellTask> candidates = plan.chosen;
  candidates.insert(candidates.end(), plan.provisional.begin(), plan.provisional.end());
  for (CellTask& task : trials_to_try(plan)) candidates.push_back(std::move(task));
  for (const CellTask& task : candidates) {
    if (!fresh && inspect(task.folder).state == FolderState::finished) continue;
    tasks.push_back(task);
    if (!here) tasks.back().cell.engine.device = "cpu";
    rows.insert(row_label(task.cell));
  }
  if (!plan.open_searches().empty()) check_pictures(plan, items, faults);
  const PreflightReport report = preflight(plan.engine, tasks, items, SlowProgress(session));
  for (const PreflightFault& fault : report.faults)
    for (const std::size_t task : fault.tasks) faults.add(tasks[task].cell, fault.key, fault.message);
  if (plan.experiment.search) check_metric(plan.experiment.search->settings, report, tasks, faults);
  faults.throw_if_any(rows);
  plan.not_applicable = by_evaluation(report.not_applicable, tasks);
}

}  // namespace

namespace {

PlannedRowSearch describe(const SearchedRow& row) {
  static constexpr std::array<const char*, 3> kKinds = {"choice", "range", "log"};
  PlannedRowSearch planned{.row = row.row, .space = {}, .trials = {}};
  for (const Dimension& dimension : row.space) {
    PlannedDimension& described = planned.space.emplace_back();
    described = {dimension.key, kKinds.at(static_cast<std::size_t>(dimension.kind)), dimension.low, dimension.high};
    for (const Setting& choice : dimension.choices) described.choices.push_back(toml_text(choice));
  }
  for (std::size_t number = 0; number < row.points.size(); ++number) {
    PlannedTrial& trial = planned.trials.emplace_back();
    trial.number = static_cast<int64_t>(number);
    for (const Setting& value : row.points[number]) trial.values.push_back(toml_text(value));
  }
  return planned;
}

// The row whose last phase a row's trials go on from; empty: they begin anew.
std::string start_label(const TunedRow& row) {
  if (!row.after.empty()) return row.after;
  return row.others == 0 ? "" : row_label(row.candidates.front().earlier[row.others - 1]);
}

// But for the trials' cells, which need fingerprints, and what was chosen.
PlannedSearch describe(const Search& search) {
  const SearchSettings& settings = search.settings;
  PlannedSearch planned{.method = std::string(method_name(settings.method)),
                        .metric = settings.metric,
                        .evaluation = settings.evaluation,
                        .name = settings.name,
                        .weights = settings.weights,
                        .split = settings.split,
                        .seed = tuning_seed(settings),
                        .budget = settings.budget,
                        .trials = settings.trials,
                        .flops = settings.flops,
                        .rows = {},
                        .tuned = {}};
  if (settings.method == SearchMethod::halving) planned.rungs = rungs_of(settings);
  for (const SearchedRow& row : search.searched) {
    PlannedRowSearch& described = planned.rows.emplace_back(describe(row));
    const TunedRow& tuned = *find_tuned(search, row.row);
    const std::vector<double> parts = parts_of(tuned.candidates.front(), tuned.others);
    described.phases = parts;
    described.rungs.clear();
    for (const RungPlace& rung : rung_places(settings, parts))
      described.rungs.push_back({static_cast<int64_t>(rung.phase), rung.fraction});
    described.after = start_label(tuned);
  }
  for (const TunedRow& row : search.tuned)
    planned.tuned.push_back({row.row, deciding(search, row).front(), row.by.empty() ? row.after : ""});
  return planned;
}

// Asks for the data of all cells, and places the trials.
std::vector<UnreadableData> prepare(ExperimentPlan& plan, std::vector<ResolvedCell>& cells) {
  plan.trials = trial_cells_of(plan.experiment);
  for_each_cell(plan.experiment, plan.trials, [&](const ResolvedCell& cell) { cells.push_back(cell); });
  std::vector<UnreadableData> unreadable = fill_fingerprints(plan.engine, cells);
  auto next = cells.begin();
  for_each_cell(plan.experiment, plan.trials, [&](ResolvedCell& cell) { cell = *next++; });
  return unreadable;
}

std::vector<std::string> without_choice(const Choices& choices, std::vector<std::string> rows) {
  std::erase_if(rows, [&](const std::string& row) { return choices.contains(row); });
  return rows;
}

// The choices, and the first trial of each row that has none.
Choices with_first(const ExperimentPlan& plan) {
  Choices choices = plan.choices;
  for (const SearchedRow& row : plan.experiment.search->searched) choices.try_emplace(row.row, 0);
  return choices;
}

PlacedSearch place(const ExperimentPlan& plan, const SearchedRow& row) {
  const Search& search = *plan.experiment.search;
  PlacedSearch placed = place_search(search.settings, row, plan.trials.at(row.row),
                                     start_of_trials(search, row.row, plan.trials, with_first(plan)),
                                     find_tuned(search, row.row)->others, plan.runs);
  placed.waits_for = without_choice(plan.choices, before_trials(search, row.row));
  return placed;
}

// Places the trials, and takes what searches have chosen before: a row's trials may go on from what another row's
// search has chosen.
void place_searches(ExperimentPlan& plan, bool fresh) {
  if (!plan.experiment.search) return;
  const SearchSettings& settings = plan.experiment.search->settings;
  for (bool chosen = true; chosen;) {
    chosen = false;
    plan.searches.clear();
    for (const SearchedRow& row : plan.experiment.search->searched) {
      const PlacedSearch& search = plan.searches.emplace_back(place(plan, row));
      if (fresh || !search.waits_for.empty() || plan.choices.contains(row.row)) continue;
      const SearchDecision decision = silc::decide(settings, search, results_of(settings, search));
      if (!decision.best) continue;
      plan.choices[row.row] = *decision.best;
      chosen = true;
    }
  }
  choose(plan.experiment, plan.choices);
}

// What stands in for rows whose search has not chosen.
void add_provisional(ExperimentPlan& plan) {
  if (!plan.experiment.search) return;
  const Search& search = *plan.experiment.search;
  std::vector<ResolvedCell> provisional;
  for (const TunedRow& tuned : search.tuned)
    for (const int64_t seed : plan.experiment.seeds) {
      if (!plan.asked.contains({tuned.row, seed}) || without_choice(plan.choices, deciding(search, tuned)).empty())
        continue;
      provisional.push_back(chosen_cell(search, tuned, with_first(plan)));
      provisional.back().seed = seed;
      for (ResolvedCell& phase : provisional.back().earlier) phase.seed = seed;
    }
  std::set<std::filesystem::path> known;
  for (const CellTask& task : plan.chosen) known.insert(task.folder.path);
  plan.provisional = place_cells(provisional, plan.runs);
  std::erase_if(plan.provisional, [&](const CellTask& task) { return known.contains(task.folder.path); });
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
  for (const CellTask& task : provisional) cells.push_back(task.cell);
  for (const PlacedSearch& search : open_searches())
    for (const auto& [number, tasks_of_trial] : search.tasks)
      for (const CellTask& task : tasks_of_trial) cells.push_back(task.cell);
  return cells;
}

SearchRun::Known ExperimentPlan::decide(const std::string& row, std::size_t trial) {
  choices[row] = trial;
  choose(experiment, choices);
  tasks = place_cells(experiment.cells, runs);
  std::set<std::filesystem::path> known;
  for (const CellTask& task : chosen) known.insert(task.folder.path);
  chosen = tasks_of(tasks, asked);
  SearchRun::Known added;
  for (const CellTask& task : chosen)
    if (!known.contains(task.folder.path)) added.cells.push_back(task);
  for (PlacedSearch& search : searches) {
    if (std::erase(search.waits_for, row) == 0) continue;
    const auto& rows = experiment.search->searched;
    search = place(*this, *std::ranges::find(rows, search.row, &SearchedRow::row));
    const bool needed = std::ranges::find(searched, search.row) != searched.end();
    if (needed && search.waits_for.empty()) added.searches.push_back(search);
  }
  return added;
}

std::vector<std::string> ExperimentPlan::waiting_for(const std::string& row) const {
  std::vector<std::string> waiting;
  for (const PlacedSearch& search : open_searches())
    if (std::ranges::find(search.waits_for, row) != search.waits_for.end()) waiting.push_back(search.row);
  return waiting;
}

std::vector<PlacedSearch> ExperimentPlan::open_searches() const {
  std::vector<PlacedSearch> open;
  for (const PlacedSearch& search : searches)
    if (std::find(searched.begin(), searched.end(), search.row) != searched.end() && !choices.contains(search.row))
      open.push_back(search);
  return open;
}

const PlacedSearch* ExperimentPlan::find_search(const std::string& row) const {
  const auto found =
      std::find_if(searches.begin(), searches.end(), [&](const PlacedSearch& each) { return each.row == row; });
  return found == searches.end() ? nullptr : &*found;
}

PlannedExperiment ExperimentPlan::planned() const {
  PlannedExperiment planned = describe(experiment);
  for (const CellTask& task : tasks)
    if (!task.cell.elsewhere) planned.cells.push_back({task.cell.row, task.cell.seed, task.id, run_folder(task.cell)});
  if (!planned.search) return planned;
  for (PlannedRowSearch& row : planned.search->rows) {
    const PlacedSearch& search = *find_search(row.row);
    if (!search.waits_for.empty()) {  // what its trials are is not known yet
      if (experiment.search->settings.flops > 0) row.trials.resize(1);
      continue;
    }
    const SearchDecision decision =
        silc::decide(experiment.search->settings, search, results_of(experiment.search->settings, search));
    const auto choice = choices.find(row.row);
    row.complete = choice != choices.end() || decision.complete;
    if (choice != choices.end()) row.chosen = static_cast<int64_t>(choice->second);
    // With an effort in FLOPs no more trials than have begun or will.
    if (experiment.search->settings.flops > 0) row.trials.resize(std::min(row.trials.size(), decision.trials));
    for (PlannedTrial& trial : row.trials) {
      const std::vector<CellTask>& own = search.tasks.at(search.alike.at(static_cast<std::size_t>(trial.number)));
      trial.id = own.back().id;
      trial.folder = run_folder(own.back().cell);
      for (std::size_t phase = own.size() - search.phases; phase + 1 < own.size(); ++phase)
        trial.earlier.push_back(run_folder(own[phase].cell));
    }
  }
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
  if (experiment.search) planned.search = describe(*experiment.search);
  return planned;
}

std::string describe_trial(const SearchedRow& row, std::size_t trial) {
  std::string text;
  for (std::size_t i = 0; i < row.space.size(); ++i)
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", row.space[i].key, toml_text(row.points.at(trial)[i]));
  return fmt::format("trial {}: {}", trial, text);
}

std::string describe(const InapplicableRows& rows) {
  return fmt::format("{}: {} does not apply: {}.", quoted_list(rows.rows, ""), rows.evaluation, rows.reason);
}

LauncherKind chosen_launcher(const std::string& flag, const Experiment& experiment) {
  if (flag.empty()) return experiment.launcher.kind;
  return flag == launcher_name(LauncherKind::slurm) ? LauncherKind::slurm : LauncherKind::local;
}

ExperimentPlan plan_experiment(const Session& given, const ExperimentRequest& request, bool fresh,
                               const std::string& launcher) {
  const Session session = given.with_plugins_of(request.file);
  const Catalogue catalogue = session.catalogue();
  ExperimentPlan plan;
  plan.experiment = read_whole(request, catalogue);
  const bool here = chosen_launcher(launcher, plan.experiment) == LauncherKind::local;
  if (!here) SlurmClient();  // refuses where there is none
  const Experiment chosen =
      request.rows.empty() && request.seeds.empty() ? plan.experiment : read_experiment(request, catalogue);

  plan.engine = {find_engine(), session.plugin_paths};
  plan.runs = session.runs;
  plan.asked = names_of(chosen);
  std::vector<ResolvedCell> to_run = chosen.cells;
  if (chosen.search)
    for (const TunedRow& tuned : chosen.search->tuned) to_run.push_back(tuned.candidates.front());
  // Two engines side by side: each takes a while to start.
  auto gpus = std::async(std::launch::async, find_gpus, std::cref(plan.engine),
                         here ? std::span(to_run) : std::span<const ResolvedCell>());
  std::vector<ResolvedCell> cells;  // what is unreadable names them
  const std::vector<UnreadableData> unreadable = prepare(plan, cells);
  plan.gpus = gpus.get();
  place_searches(plan, fresh);
  plan.tasks = place_cells(plan.experiment.cells, session.runs);

  plan.rows = chosen.rows;
  if (chosen.search)
    for (const SearchedRow& row : chosen.search->searched) plan.searched.push_back(row.row);
  plan.chosen = tasks_of(plan.tasks, plan.asked);
  add_provisional(plan);
  try_before_training(session, plan, unreadable, fresh, here);
  return plan;
}

int64_t count_finished(const std::vector<CellTask>& tasks) {
  return std::count_if(tasks.begin(), tasks.end(),
                       [](const CellTask& task) { return inspect(task.folder).state == FolderState::finished; });
}

}  // namespace silc
