// What Slurm's programs print, as data: the one place that reads it. Pure functions. Whatever is odd is passed over: a
// column more, a state of a later version, a warning between the lines. No LibTorch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace silc {

enum class JobState {
  pending,    // waits, or waits again after it was requeued
  running,    // or about to, or about to have ended
  completed,  // with exit code 0
  failed,     // with another one
  cancelled,
  timeout,
  node_fail,  // or it could not be booted
  preempted,
  out_of_memory,
  deadline,
  unknown,  // a word that silc does not know
};

// "COMPLETING", "CANCELLED by 1000", "CANCELLED+", "NODE_FAIL": as squeue, scontrol and sacct have it.
JobState job_state(std::string_view word);
bool is_over(JobState state);

// squeue --format=...: see kSqueueFormat.
inline constexpr std::string_view kSqueueFormat = "%i|%T|%r|%N|%D|%C|%S|%j";

// A line of squeue.
struct QueuedJob {
  std::string id = {};  // "12", "12_3"
  std::string name = {};
  JobState state = JobState::unknown;
  std::string state_word = {};
  std::string reason = {};  // why it waits: "Priority"; empty: none
  std::string nodes = {};   // "n[1-2]"
};

std::vector<QueuedJob> parse_squeue(std::string_view output);

// What the accounting, or the controller's memory, says of one start of a job.
struct JobAccount {
  JobState state = JobState::unknown;
  std::string state_word = {};
  int exit_code = 0;
  int signal = 0;
  double start = 0;    // seconds since 1970; 0: it has not started
  double end = 0;      // 0: it has not ended
  double elapsed = 0;  // seconds
  int64_t cpus = 0;    // allocated
  int64_t gpus = 0;
  std::string nodes = {};
  int64_t restarts = 0;

  [[nodiscard]] double core_seconds() const { return elapsed * static_cast<double>(cpus); }
  [[nodiscard]] double gpu_seconds() const { return elapsed * static_cast<double>(gpus); }
};

// scontrol --oneliner show job ID, with SLURM_TIME_FORMAT=%s: its last start. Empty if it is none.
std::optional<JobAccount> parse_scontrol_job(std::string_view output);

// sacct --format=...: see kSacctFormat.
inline constexpr std::string_view kSacctFormat =
    "JobID,State,ExitCode,Start,End,ElapsedRaw,AllocCPUS,AllocTRES,NodeList";

// sacct --allocations --duplicates --noheader --parsable2, with SLURM_TIME_FORMAT=%s: all starts of the job, the first
// first.
std::vector<JobAccount> parse_sacct(std::string_view output, std::string_view id);

// sbatch --parsable: "12" of "12;cluster". Empty if there is no number.
std::string parse_sbatch(std::string_view output);

struct ClusterFacts {
  std::string version = {};
  int64_t most_in_array = 1001;  // MaxArraySize: the greatest index and one
  bool accounts = false;         // whether there is a database that sacct could ask
};

// scontrol show config
ClusterFacts parse_config(std::string_view output);

// sinfo --noheader --format=%P: names of partitions.
std::vector<std::string> parse_partitions(std::string_view output);

// Why one of Slurm's programs failed.
enum class SlurmRefusal {
  unreachable,  // the controller does not answer; trying again may help
  limit,        // too many jobs for now: again when some have ended
  wrong,        // it will not be otherwise next time
};
SlurmRefusal refusal_of(std::string_view errors);

// The line of `errors` that says most, without the program's name: "Invalid partition name specified".
std::string first_complaint(std::string_view errors);

// The number of GPUs of "cpu=4,mem=8G,node=1,billing=4,gres/gpu=2,gres/gpu:a100=2".
int64_t gpus_of_tres(std::string_view tres);

// CPUs of all nodes by SLURM_JOB_CPUS_PER_NODE: "72(x2),36".
int64_t cpus_of_nodes(std::string_view text);

}  // namespace silc
