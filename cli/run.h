// What `silc run` does, for commands that make an experiment of their own. No LibTorch.
#pragma once

#include "cli/experiment_plan.h"
#include "cli/session.h"

namespace silc {

struct RunOptions {
  ExperimentRequest experiment;
  ThreadRequest threads;
  bool search_only = false;  // trains the trials of the search, and nothing else
  bool fresh = false;
  bool fail_fast = false;
  int64_t ranks = 0;                 // of each cell; 0: what the experiment says
  std::string launcher = {};         // "local", "slurm"; empty: what the experiment says
  bool cancel_on_interrupt = false;  // of --launcher slurm
};

// Plans, trains, evaluates and records. Returns the exit code.
int run_experiment(const RunOptions& options, Session& session);

}  // namespace silc
