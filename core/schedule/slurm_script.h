// What silc asks Slurm for: the options of sbatch and the script of a job, or of an array of jobs. Pure functions. No
// LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spec/launcher.h"

namespace silc {

// What the jobs of a submission have in common, and their cells.
struct SlurmSubmission {
  std::string name = {};                            // of the job: "silc-ablation-3f2a…"
  std::vector<std::filesystem::path> folders = {};  // run folders, absolute
  std::vector<int64_t> indices = {};                // of the folders in the array; empty: one job that is no array
  int64_t most_at_once = 0;                         // jobs of the array that run side by side; 0: any number
  std::string dependency = {};                      // as sbatch takes it: "afterok:12_3"; empty: none

  int64_t ranks = 1;
  int64_t threads = 0;  // of each rank; 0: what the job may use of its node

  std::filesystem::path silc = {};     // this program, absolute
  std::filesystem::path script = {};   // the file that holds the script
  std::filesystem::path outputs = {};  // folder of what the jobs' shells say
  std::filesystem::path working_folder = {};
  std::vector<std::filesystem::path> plugin_paths = {};
  std::vector<std::pair<std::string, std::string>> environment = {};  // that jobs get
};

// Nodes and tasks a node for so many ranks.
struct SlurmLayout {
  int64_t nodes = 1;
  int64_t tasks_per_node = 0;  // 0: as Slurm likes
};
SlurmLayout layout_of(int64_t ranks, const SlurmSettings& settings);

// "--partition=gpu", …: all that sbatch is told, the same on its command line and in the script. On the command line it
// wins over SBATCH_… variables of the login node.
std::vector<std::string> sbatch_options(const SlurmSubmission& submission, const SlurmSettings& settings);

// The script. It goes over to the run folder of its place in the array, tells ranks where to meet, starts them by srun,
// passes the warning on to them, and requeues its job when they have written a checkpoint that is newer than those that
// were there at its start. It exits with 0 when its cell is as far as it is to come.
std::string render_script(const SlurmSubmission& submission, const SlurmSettings& settings);

// "%x" of a file name as sbatch reads it: the file that the shell of a job writes to.
std::filesystem::path output_of(const SlurmSubmission& submission, int64_t index);

// A cell that is to be submitted.
struct SlurmCandidate {
  int64_t ranks = 1;
  int64_t threads = 0;
  std::string before = {};  // the job that trains what it starts from: "12_3"; empty: it need not wait

  [[nodiscard]] bool alike(const SlurmCandidate& other) const {
    return ranks == other.ranks && threads == other.threads;
  }
};

// Candidates that are submitted together.
struct SlurmGroup {
  std::vector<std::size_t> members = {};
  std::vector<int64_t> indices = {};  // in the array; empty: one job that is no array
  std::string dependency = {};
};

// The group of the first candidate: those alike that need not wait, or wait for the same job, or wait each for its own
// task of one array (and then have its index). At most `most`. There is a first.
SlurmGroup next_group(const std::vector<SlurmCandidate>& candidates, int64_t most);

// 'it'\''s': one word of a shell.
std::string shell_word(std::string_view text);

// An option of `extra` as arguments of a command line: "-p gpu" is two.
std::vector<std::string> arguments_of(const std::string& option);

}  // namespace silc
