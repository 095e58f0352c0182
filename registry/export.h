// The registry for other programs: what cells were set to, what came of them, what they cost, and their curves, as CSV
// files, as TensorBoard's event files or as MLflow's store. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "registry/registry.h"

namespace silc {

// csv: one file a table (docs/reference/registry.md). tensorboard: one event file a cell, with its settings for the
// HPARAMS tab. mlflow: a SQLite store, `mlflow.db`.
enum class ExportTarget { csv, tensorboard, mlflow };

// Throws silc::Error for an unknown name, saying of formats that people ask for how they are had.
ExportTarget parse_export_target(const std::string& name);

struct RegistryExport {
  std::vector<std::string> experiments;  // names; none: all of them
  ExportTarget target = ExportTarget::csv;
  std::filesystem::path folder;
  // Also cells that are no part of their experiment as it stands. Without it, those that are, and the phases that they
  // start from.
  bool all = false;
  bool replace = false;  // an earlier export in the same place
};

struct ExportedCounts {
  int64_t experiments = 0;
  int64_t cells = 0;
  int64_t step_metrics = 0;
  std::vector<std::string> remarks;  // what could not be had: settings of run folders that are gone
};

// The folder is there whole or not at all, and the same registry gives the same bytes. Memory does not grow with the
// number of cells or steps. Throws silc::Error for a folder that holds something else than an earlier export, and for
// an experiment that does not exist.
ExportedCounts export_registry(const Registry& registry, const RegistryExport& request);

}  // namespace silc
