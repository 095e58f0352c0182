// [launcher]: where the cells of an experiment are trained, and how a cluster is asked for it. No part of any cell. No
// LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spec/diagnostics.h"
#include "spec/setting.h"

namespace silc {

enum class LauncherKind { local, slurm };

std::string_view launcher_name(LauncherKind kind);

// [launcher.slurm]. Empty texts and zeros: what the cluster gives those who do not ask.
struct SlurmSettings {
  std::string partition;
  std::string account;
  std::string qos;
  std::string constraint;
  std::string gres;                      // of each node: "gpu:4"
  std::string time;                      // as sbatch takes it: "90", "12:00:00", "2-00:00:00"
  std::string mem;                       // of each node: "64G"
  int64_t nodes = 0;                     // 0: as many as ntasks_per_node makes it
  int64_t ntasks_per_node = 0;           // ranks on a node; 0: all of them on `nodes`
  int64_t cpus_per_task = 0;             // 0: engine.threads
  int64_t signal_seconds = 120;          // from the warning to the time limit
  int64_t max_jobs = 0;                  // of a run, that are in the queue or run at once; 0: all
  int64_t retries = 3;                   // in a row that bring a cell no further, after what is not its fault
  double poll_seconds = 10;              // between looks at the queue
  bool cancel_on_interrupt = false;      // the first Ctrl-C cancels the run's jobs
  std::vector<std::string> setup;        // lines of shell before an engine: "module load cuda"
  std::vector<std::string> environment;  // names of variables that jobs get from silc's own environment
  std::vector<std::string> extra;        // options of sbatch as they are: "--exclude=n7"

  Place place;            // of the table
  Place partition_place;  // of its value
  Place tasks_place;      // of ntasks_per_node, or else nodes

  // Ranks that its nodes hold; 0: any number.
  [[nodiscard]] int64_t room() const { return nodes > 0 && ntasks_per_node > 0 ? nodes * ntasks_per_node : 0; }
};

struct LauncherSettings {
  LauncherKind kind = LauncherKind::local;
  SlurmSettings slurm;
};

// launcher = "slurm", or [launcher] with a name and [launcher.slurm]. `setting`: null: there is none. What is wrong is
// added to `faults`.
LauncherSettings read_launcher(const Setting* setting, Faults& faults);

// Seconds of a time limit as sbatch takes it: "MM", "MM:SS", "HH:MM:SS", "D-HH", "D-HH:MM", "D-HH:MM:SS"; 0:
// "UNLIMITED" or "INFINITE"; negative: it is none.
int64_t slurm_seconds(std::string_view time);

}  // namespace silc
