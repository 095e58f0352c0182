// From an experiment file to cells. No LibTorch.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "spec/cell.h"

namespace silc {

// A [[table]]: what `silc report` prints.
struct TableSpec {
  std::string name;
  std::string title;
  std::string baseline;              // a row's name
  std::vector<std::string> columns;  // "evaluator/metric", "evaluator/metric@teacher", "cost/flops", …
  std::vector<std::string> rows;     // empty: all
};

struct Experiment {
  std::string name;
  std::string title;
  std::filesystem::path file;
  std::string source;             // the file's text, with --set applied as comments at its end
  std::vector<std::string> rows;  // in order of the file, matrix expanded
  std::vector<int64_t> seeds;
  std::vector<TableSpec> tables;    // at least one: where the file has none, all metrics against the first row
  std::vector<ResolvedCell> cells;  // seed by seed, rows in order within a seed
};

struct ExperimentRequest {
  std::filesystem::path file;
  std::vector<std::string> sets;  // "KEY=VALUE" from --set, VALUE in TOML
  std::vector<std::string> rows;  // keep only these; empty: all
  std::vector<int64_t> seeds;     // replaces the file's; empty: the file's
};

// One fault of an experiment file.
struct Diagnostic {
  std::string file;
  uint32_t line = 0;    // from 1; 0: the file as a whole
  uint32_t column = 0;  // from 1
  std::string message;
};

// Carries every fault that was found; what() lists them, one a line, as "file:line:column: message".
class SpecError : public Error {
 public:
  explicit SpecError(std::vector<Diagnostic> diagnostics);
  [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

// Parses, resolves and checks everything against the catalogue. Data fingerprints are left empty.
// Throws SpecError.
Experiment read_experiment(const ExperimentRequest& request, const Catalogue& catalogue);

}  // namespace silc
