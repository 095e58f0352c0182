// Faults of cells that can be known before the first of them is trained: asked of silc-engine. No LibTorch.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "schedule/engine_process.h"
#include "schedule/schedule.h"

namespace silc {

struct PreflightFault {
  std::vector<std::size_t> tasks;  // that have it
  std::string key;                 // of their settings: "model.image", "evaluate.0.dataset"; empty: of none alone
  std::string message;
};

// An evaluation that does not apply to a cell, by the nature of its model.
struct InapplicableEvaluation {
  std::size_t task = 0;
  std::string evaluation;  // its name
  std::string reason;      // "the model has no caption decoder"
};

struct PreflightReport {
  std::vector<PreflightFault> faults;
  std::vector<InapplicableEvaluation> not_applicable;
  std::map<std::string, std::set<std::string>> metrics;  // names, by evaluation, of those that were tried
};

// Lets the engine build and try what `tasks` are made of (core/engine/preflight.h), each model, objective, evaluation
// and data source once, however many seeds and rows share it. A plugin that crashes, hangs for longer than
// engine.hang_seconds or ends the process is a fault too; the engine is then started again for the rest. `unreadable`:
// data sources that are known not to be usable (source_item), whose cells are passed over. `progress` is told what is
// looked at next. Throws silc::Error where the engine does not answer as it should.
PreflightReport preflight(const Engine& engine, std::span<const CellTask> tasks,
                          const std::set<std::string>& unreadable = {},
                          const std::function<void(const std::string& title)>& progress = {});

}  // namespace silc
