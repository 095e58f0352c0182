// The registry: one SQLite file that knows every cell that silc has run. silc is its one writer, and it can be rebuilt
// from the run folders. It knows of run folders, not of engines. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/planned_search.h"

namespace silc {

struct PlannedCell {
  std::string row;
  int64_t seed = 0;
  std::string id;                // 12 hex digits
  std::filesystem::path folder;  // relative to the runs folder
};

struct PlannedTable {
  std::string name;
  std::string title;
  std::string baseline;
  std::vector<std::string> columns;
  std::vector<std::string> rows;
};

// What an experiment consists of as of the last `silc run`; cells of earlier versions stay in the registry but out of
// its tables.
struct PlannedExperiment {
  std::string name;
  std::string title;
  std::string source;  // the TOML
  std::vector<std::string> rows;
  std::vector<int64_t> seeds;
  std::vector<PlannedTable> tables;
  std::vector<PlannedCell> cells;  // without trials, and without those of rows whose search has not chosen
  std::optional<PlannedSearch> search = std::nullopt;
};

enum class CellState { planned, running, finished, failed, interrupted };

// "planned", "running", …: as it stands in the registry and in machine output.
std::string_view state_name(CellState state);

struct CellRecord {
  std::string experiment;
  PlannedCell cell;
  bool current = true;  // part of the experiment as it stands
  CellState state = CellState::planned;
  std::string message;                          // why it failed
  std::string plugin;                           // the one at fault, or empty
  std::filesystem::path start = {};             // folder of the cell, a phase before, that it starts from; empty: none
  std::optional<int64_t> trial = std::nullopt;  // of a search; then it is in no table, and `current` is false
};

// A trial of an experiment's search, and how it went.
struct TrialRecord {
  std::string row;
  PlannedTrial trial;
  bool repeated = false;  // an earlier trial has the same values, and this one its result
  CellState state = CellState::planned;
  std::string message = {};  // why it failed
  // Of the search's metric at the row's rungs. None: not there yet, failed, or not finite.
  std::vector<std::optional<double>> rungs = {};
  std::optional<double> score = std::nullopt;  // at the last of these that has one
  double fraction = 0;                         // of its budget that is trained
  // So far, with all its phases; 0 of a repeated one. What all trials of the row go on from is the first one's, and
  // nobody's if it is a trial of another row.
  double flops = 0;
  double core_seconds = 0;
};

// Where training stands: the figures of the last step event (files/run_folder.h).
struct ProgressRecord {
  int64_t step = 0;
  std::optional<int64_t> total_steps;
  double fraction = 0;  // of the budget, 0 to 1
  double rate = 0;      // pictures a second
  double examples = 0;
  double flops = 0;
  double core_seconds = 0;
  double seconds = 0;
  double last_event_time = 0;  // seconds since 1970; of the last event of any kind
};

// One engine process of a cell.
struct AttemptRecord {
  double start = 0;  // seconds since 1970
  double end = 0;
  std::optional<int64_t> exit_code;
  std::optional<int64_t> signal;
  double core_seconds = 0;
  double peak_memory = 0;  // bytes
  int64_t threads = 0;
  std::string host;
  // Of a job of a cluster; empty and 0: it was none.
  std::string job = {};
  std::string nodes = {};
  std::string job_state = {};         // by the cluster's word; empty: it never said
  double allocated_core_seconds = 0;  // cores that it had, whether it used them or not, times seconds
  double allocated_gpu_seconds = 0;
};

struct StepMetric {
  int64_t step = 0;
  std::string name;
  double value = 0;
};

// A score along training (files/run_folder.h, evaluated_along), with what training had cost until then.
struct AlongRecord {
  std::string row;
  int64_t seed = 0;
  int64_t step = 0;
  double fraction = 0;  // of the budget, of this phase
  double examples = 0;
  double flops = 0;
  double core_seconds = 0;
  double seconds = 0;
  std::string evaluator;
  std::string dataset;
  std::string weights;
  std::string name;
  double value = 0;
  int64_t n = 0;
  bool primary = true;  // of the weights that the row's plain columns mean
};

struct ArtifactRecord {
  std::filesystem::path path;  // relative to the run folder
  int64_t bytes = 0;
};

// A sign that training was sick (files/run_folder.h).
struct WarningRecord {
  std::string row;
  int64_t seed = 0;
  std::string phase;  // the row's, before its last one, that was sick; empty: the last or only one
  int64_t step = 0;
  std::string check;
  std::string metric;
  std::optional<double> value;  // empty: not finite
  std::string message;
};

struct MetricRecord {
  std::string row;
  int64_t seed = 0;
  std::string evaluator;  // "cost" for costs
  std::string dataset;
  std::string weights;  // "student", "teacher"; empty for costs
  std::string name;
  double value = 0;
  int64_t n = 0;
  bool primary = true;  // of the weights that the row's plain columns mean
  int64_t phases = 1;   // that a cost is the sum of
};

// An evaluation that does not apply to a cell, by the nature of its model: captioning without a decoder.
struct NotApplicableRecord {
  std::string row;
  int64_t seed = 0;
  std::string evaluator;
  std::string dataset;
  std::string weights;
  std::string reason;   // "the model has no caption decoder"
  bool primary = true;  // of the weights that the row's plain columns mean
};

class Registry {
 public:
  // Creates the file, or opens and migrates it. Throws silc::Error for a file that is not a registry, is newer than
  // this silc, or cannot be written, naming the file and the remedy.
  Registry(const std::filesystem::path& file, const std::filesystem::path& runs);
  // For readers: never creates, never migrates.
  static Registry open_existing(const std::filesystem::path& file, const std::filesystem::path& runs);
  ~Registry();
  Registry(Registry&&) noexcept;

  // Records what an experiment now consists of; also writes runs/EXPERIMENT/experiment.json, from which rebuild()
  // restores it.
  void plan(const PlannedExperiment& experiment);

  // Takes what a run folder holds (events, attempts, metrics, artifacts) into the registry, in one transaction;
  // idempotent, cheap when nothing changed. Called while a cell runs, after it ends, and by rebuild(). `folder`: its
  // path, or its path relative to the runs folder. A folder whose cell.toml can be read but whose other files are
  // damaged becomes a failed cell that says so; without a readable cell.toml this throws silc::Error.
  void ingest(const std::filesystem::path& folder);

  // Makes a new registry from the run folders alone and, once it is whole, puts its content in place of the old one in
  // one transaction, so that other processes may go on reading and writing. Returns the number of cells. `faults`
  // receives what was passed over, one message each.
  int64_t rebuild(std::vector<std::string>* faults = nullptr);

  // Takes a cell out of the registry, after its run folder was removed. A cell of the experiment as it stands becomes
  // planned again.
  void forget(const CellRecord& cell);

  // Gives back the space of what was deleted.
  void compact();

  [[nodiscard]] const std::filesystem::path& runs() const;
  // Another number each time that another process has written.
  [[nodiscard]] int64_t version() const;
  [[nodiscard]] std::vector<std::string> experiments() const;  // names, last planned first
  [[nodiscard]] std::optional<PlannedExperiment> experiment(const std::string& name) const;
  [[nodiscard]] std::vector<CellRecord> cells(const std::string& experiment) const;
  // By ID or an unambiguous start of it (git's manner), or "EXPERIMENT/ROW/SEED". Throws silc::Error.
  [[nodiscard]] CellRecord find_cell(const std::string& name) const;
  // Of current finished cells. Costs are those of the cell with all its earlier phases (memory: the greatest of them),
  // and not there if a phase is no longer known.
  [[nodiscard]] std::vector<MetricRecord> metrics(const std::string& experiment) const;

  // Of the search as it stands, row by row in order of the trials. Empty without a search.
  [[nodiscard]] std::vector<TrialRecord> trials(const std::string& experiment) const;

  // Of current cells in any state and of the phases that they start from: cell by cell, first phase first, by step.
  [[nodiscard]] std::vector<WarningRecord> warnings(const std::string& experiment) const;

  // Of current cells in any state: cell by cell, by step. Costs are those of the cell with all its earlier phases; a
  // cell of which one is not known has none.
  [[nodiscard]] std::vector<AlongRecord> metrics_along(const std::string& experiment) const;
  // Of one cell and the phases that it starts from.
  [[nodiscard]] std::vector<WarningRecord> warnings(const CellRecord& cell) const;

  // Of current finished cells.
  [[nodiscard]] std::vector<NotApplicableRecord> not_applicable(const std::string& experiment) const;

  // Of one cell, whether it is current or not; costs of this phase alone.
  [[nodiscard]] std::vector<MetricRecord> metrics(const CellRecord& cell) const;
  [[nodiscard]] std::optional<ProgressRecord> progress(const CellRecord& cell) const;  // nothing before the first step
  [[nodiscard]] std::vector<AttemptRecord> attempts(const CellRecord& cell) const;
  // By step, then name. `name`: only this one; empty: all.
  [[nodiscard]] std::vector<StepMetric> step_metrics(const CellRecord& cell, const std::string& name = "") const;
  // By step. Costs of this phase alone.
  [[nodiscard]] std::vector<AlongRecord> metrics_along(const CellRecord& cell) const;
  // The same, one after the other: there may be millions. `name` lives as long as the call.
  void each_step_metric(const CellRecord& cell,
                        const std::function<void(int64_t step, std::string_view name, double value)>& visit,
                        const std::string& name = "") const;
  [[nodiscard]] std::vector<NotApplicableRecord> not_applicable(const CellRecord& cell) const;
  [[nodiscard]] std::vector<ArtifactRecord> artifacts(const CellRecord& cell) const;

  // SQLite's own checks of the file (integrity_check, foreign_key_check): one message a fault, none if it is sound.
  [[nodiscard]] std::vector<std::string> check() const;

 private:
  struct Impl;
  explicit Registry(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace silc
