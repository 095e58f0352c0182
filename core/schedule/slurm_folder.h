// What lies in the folder `slurm` of a run folder: which job was asked to train the cell, and what became of each of
// its starts. Written by silc, and on the nodes by the process that starts an engine (schedule/slurm_task.h). No
// LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "files/run_folder.h"
#include "schedule/slurm_text.h"

namespace silc {

// Written before sbatch is called, so that a job can be found by its name whatever becomes of silc.
struct Submission {
  std::string name = {};              // of the job
  std::optional<int64_t> index = {};  // in an array
  int64_t number = 1;                 // of submissions of this cell
  std::string job = {};               // its id: "12_3", "12"; empty: not known yet
  double time = 0;                    // seconds since 1970
  std::optional<double> until = {};   // CellTask::until
  int64_t fruitless = 0;              // submissions in a row that brought the cell no further
  int64_t step = 0;                   // of its last checkpoint when it was submitted
  std::string output = {};            // file of what the job's shell says
  double hang_seconds = 0;            // EngineSettings, for who watches the engine
  double memory_limit = 0;
  bool over = false;  // and what it came to is in attempts.jsonl

  friend bool operator==(const Submission&, const Submission&) = default;
};

struct SlurmFolder {
  explicit SlurmFolder(const RunFolder& folder) : path(folder.path / "slurm") {}

  std::filesystem::path path;
  [[nodiscard]] std::filesystem::path submission() const { return path / "submission.json"; }
  // Held by the silc that watches the cell's job.
  [[nodiscard]] std::filesystem::path lock() const { return path / "lock"; }
  // Of one rank in one start of a job, counted from 0.
  [[nodiscard]] std::filesystem::path start(const std::string& job, int64_t restart, int64_t rank) const;
};

// Empty: the cell was never submitted, or what is there is damaged.
std::optional<Submission> read_submission(const SlurmFolder& folder);
void write_submission(const SlurmFolder& folder, const Submission& submission);

// The step of the last checkpoint that the events tell of; 0: there is none.
int64_t last_checkpoint(const RunFolder& folder);

// Files of SlurmFolder::start():
//   {"job", "restart", "rank", "ranks", "host", "start", "threads", "cpus", "gpus", "nodes", "log" (bytes of the log
//   before)} when the engine is
//   started, and when it has ended besides what attempts.jsonl has of it.
// Puts those of a job's starts together to lines of attempts.jsonl (files/run_folder.h), in order, without those that
// are there already. Besides what engines of this machine leave they have "job", "restart", "nodes", "job_state"
// (Slurm's word), "allocated_core_seconds" and "allocated_gpu_seconds" (what the job had, used or not, times its
// seconds). `accounts`: what the accounting knows of the starts, by their number; may be empty. A start whose end
// nobody wrote is over if the job is, or if a later one began.
std::vector<Event> new_attempts(const RunFolder& folder, const Submission& submission,
                                const std::vector<JobAccount>& accounts, bool over);

}  // namespace silc
