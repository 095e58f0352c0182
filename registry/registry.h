// The registry: one SQLite file that knows every cell that silc has run. silc is its one writer, and it can be rebuilt
// from the run folders. It knows of run folders, not of engines. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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
  std::vector<PlannedCell> cells;
};

enum class CellState { planned, running, finished, failed, interrupted };

struct CellRecord {
  std::string experiment;
  PlannedCell cell;
  bool current = true;  // part of the experiment as it stands
  CellState state = CellState::planned;
  std::string message;  // why it failed
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
  // idempotent, cheap when nothing changed. Called while a cell runs, after it ends, and by rebuild().
  void ingest(const std::filesystem::path& folder);

  // Makes a new registry from the run folders alone and puts it in place of the old one. Returns the number of cells.
  int64_t rebuild();

  [[nodiscard]] std::vector<std::string> experiments() const;  // names, last planned first
  [[nodiscard]] std::optional<PlannedExperiment> experiment(const std::string& name) const;
  [[nodiscard]] std::vector<CellRecord> cells(const std::string& experiment) const;
  // By ID or an unambiguous start of it (git's manner), or "EXPERIMENT/ROW/SEED". Throws silc::Error.
  [[nodiscard]] CellRecord find_cell(const std::string& name) const;
  [[nodiscard]] std::vector<MetricRecord> metrics(const std::string& experiment) const;  // of current finished cells

 private:
  struct Impl;
  explicit Registry(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace silc
