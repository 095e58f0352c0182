// From an experiment file to cells with identities: what `run` and `plan` have in common. No LibTorch.
#pragma once

#include <CLI/App.hpp>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cli/session.h"
#include "schedule/schedule.h"
#include "schedule/search.h"
#include "spec/experiment.h"

namespace silc {

// Rows to which an evaluation does not apply, by the nature of their models.
struct InapplicableRows {
  std::string evaluation;
  std::string reason;  // "the model has no caption decoder"
  std::vector<std::string> rows;
};

struct ExperimentPlan {
  Experiment experiment;          // the whole of it
  Engine engine;                  // with which its cells run
  std::vector<CellTask> tasks;    // all its cells
  std::vector<CellTask> chosen;   // those that --rows and --seeds leave, and the phases that they start from
  std::vector<std::string> rows;  // that --rows leaves
  std::vector<InapplicableRows> not_applicable;  // of those with cells left to train
  std::vector<Gpu> gpus;                         // on which cells may run

  // Of a [search]: its rows, and those of them that --rows needs.
  std::vector<PlacedSearch> searches;
  std::vector<std::string> searched;
  TrialCells trials;  // with fingerprints
  Choices choices;    // of the rows that have chosen
  // Cells of chosen rows whose search has not chosen yet, as its first trial would have them: to predict and to try.
  std::vector<CellTask> provisional;

  // Takes the choice of a search in, and gives the chosen cells that it makes known, and the needed searches that
  // waited for it.
  SearchRun::Known decide(const std::string& row, std::size_t trial);
  // The needed searches that cannot begin without the choice of this one.
  [[nodiscard]] std::vector<std::string> waiting_for(const std::string& row) const;
  // The needed searches that are not complete, and the trials of these that are.
  [[nodiscard]] std::vector<PlacedSearch> open_searches() const;
  [[nodiscard]] const PlacedSearch* find_search(const std::string& row) const;

  // The chosen ones without the cells of other rows, that are there for being a first phase.
  [[nodiscard]] std::vector<CellTask> asked_for() const;
  // With provisional ones, and trials.
  [[nodiscard]] std::vector<ResolvedCell> chosen_cells() const;
  // As the registry knows it.
  [[nodiscard]] PlannedExperiment planned() const;

  std::filesystem::path runs;
  std::set<std::pair<std::string, int64_t>> asked;  // rows and seeds that --rows and --seeds leave
};

// What a search's best trial came to, in words: "trial 3: optimizer.lr = 0.0021, optimizer.weight_decay = 0.1".
std::string describe_trial(const SearchedRow& row, std::size_t trial);

// EXPERIMENT.toml, --set, --rows, --seeds.
void add_experiment_flags(CLI::App& command, ExperimentRequest& request);

// --jobs and --threads, which run and plan share too.
void add_thread_flags(CLI::App& command, ThreadRequest& request);

// Reads and checks the experiment, asks the engine for the fingerprints of its data, and has it try what the chosen
// cells that are not finished are made of. --rows and --seeds choose among the cells of the file; seeds that it does
// not have are added to it. `fresh`: finished cells are to be trained again. `launcher`: --launcher; GPUs of this
// machine are of no interest where a cluster trains. Throws silc::Error; SpecError with every fault that can be known
// before training.
ExperimentPlan plan_experiment(const Session& session, const ExperimentRequest& request, bool fresh = false,
                               const std::string& launcher = "");

// `flag`: --launcher; empty: the file's choice.
LauncherKind chosen_launcher(const std::string& flag, const Experiment& experiment);

// '"CLIP", "SILC": captioning does not apply: the model has no caption decoder.'
std::string describe(const InapplicableRows& rows);

// What the registry knows of an experiment but for its cells, which need fingerprints.
PlannedExperiment describe(const Experiment& experiment);

int64_t count_finished(const std::vector<CellTask>& tasks);

}  // namespace silc
