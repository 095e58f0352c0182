// One rank of a cell in a job: the process that srun starts on a node. It starts an engine with the environment of
// torchrun, watches it as silc watches engines of its own machine, passes on wishes to stop, and writes into the run
// folder what it came to. It never opens the registry. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "schedule/engine_process.h"

namespace silc {

// What Slurm says of a task in its environment.
struct SlurmPlace {
  std::string job = {};  // "12_3", "12"
  int64_t restart = 0;   // how often the job was started before
  int64_t rank = 0;
  int64_t ranks = 1;
  int64_t local_rank = 0;  // on its node
  std::string nodes = {};  // of the job: "n[1-2]"
  std::string node = {};   // this one
  int64_t cpus = 0;        // of the job, on all its nodes
  int64_t gpus = 0;
  std::string master = {};  // MASTER_ADDR and MASTER_PORT, which the job's script has set
  std::string port = {};
};

// `variable`: the value of an environment variable; null: it is not set. Throws silc::Error where this is no task of
// Slurm's, and where there are several ranks and no place to meet.
SlurmPlace slurm_place(const std::function<const char*(const char*)>& variable);

// The environment of torchrun.
Environment rank_variables(const SlurmPlace& place);

struct SlurmTask {
  Engine engine;
  std::filesystem::path folder = {};
  int64_t threads = 0;  // 0: the cores that this process may run on, divided among the ranks of the node
};

// Runs it to its end. Returns the exit code: 0 done or paused where it was asked to, 130 interrupted, 1 failed, 128 + N
// killed by signal N. Throws silc::Error.
int run_slurm_task(const SlurmTask& task, const SlurmPlace& place);

}  // namespace silc
