#include "schedule/slurm_task.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include "files/activity.h"
#include "schedule/attempt.h"
#include "schedule/local_launcher.h"
#include "schedule/signal_queue.h"
#include "schedule/slurm_folder.h"
#include "schedule/slurm_text.h"
#include "schedule/threads.h"
#include "schedule/watchdog.h"
#include "silc/error.h"

namespace silc {
namespace {

constexpr std::chrono::milliseconds kLook{200};
// A job that was ended a moment ago may still hold the run folder.
constexpr std::chrono::seconds kLockPatience{60};
// Until an engine that hangs is killed.
constexpr double kPatience = 10;
constexpr int kInterrupted = 130;

std::string text_of(const char* value) { return value == nullptr ? "" : value; }

int64_t number_of(const char* value, int64_t otherwise) {
  const std::string text = text_of(value);
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : otherwise;
}

// Of the folder for rank 0, which the engine inherits; of a file of its own for another rank. Null: it was asked to
// stop meanwhile.
std::unique_ptr<FileLock> take_lock(const RunFolder& folder, const SlurmPlace& place, SignalQueue& signals) {
  const std::filesystem::path file =
      place.rank == 0 ? folder.lock() : SlurmFolder(folder).path / fmt::format("rank-{}.lock", place.rank);
  const auto until = std::chrono::steady_clock::now() + kLockPatience;
  while (signals.stop_requests() == 0) {
    if (auto lock = FileLock::try_lock(file)) return lock;
    if (std::chrono::steady_clock::now() >= until)
      throw Error(folder.path.string() +
                  ": somebody else is at work on this cell (its file lock is held); silc status "
                  "shows where");
    signals.wait(kLook);
  }
  return nullptr;
}

std::uintmax_t size_of(const std::filesystem::path& file) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(file, missing);
  return missing ? 0 : size;
}

// Watches one engine until it has ended.
class Watch {
 public:
  Watch(const RunFolder& folder, const SlurmPlace& place, const EngineSettings& settings, EngineProcess& engine)
      : folder_(folder), settings_(settings), engine_(engine), is_first_(place.rank == 0), watchdog_(limits()) {}

  ProcessEnd wait(SignalQueue& signals) {
    while (true) {
      if (const auto end = engine_.poll()) return *end;
      if (signals.stop_requests() > 0) {
        if (!asked_) engine_.send(SIGTERM);
        asked_ = true;
      }
      look();
      signals.wait(kLook);
    }
  }

  [[nodiscard]] bool asked() const { return asked_; }
  [[nodiscard]] const std::string& stopped() const { return stopped_; }  // why, unasked

 private:
  // Rank 0 alone tells of its heartbeats; it notices itself when others are silent.
  [[nodiscard]] WatchLimits limits() const {
    WatchLimits limits = watch_limits(settings_);
    if (!is_first_) limits.hang_seconds = 0;
    return limits;
  }

  void look() {
    const double at = uptime();
    if (!stopped_.empty()) {
      if (at >= kill_at_) engine_.send(SIGKILL);
      return;
    }
    const Activity activity = is_first_ ? read_activity(folder_.activity()).value_or(Activity{}) : Activity{};
    const EngineSigns signs{activity.heartbeats, size_of(folder_.events()), process_memory(engine_.pid()),
                            activity.plugin};
    const Verdict verdict = watchdog_.look(signs, at);
    if (verdict.reason.empty()) return;
    stopped_ = verdict.reason;
    kill_at_ = at + (verdict.at_once ? 0 : std::min(settings_.hang_seconds, kPatience));
    engine_.send(verdict.at_once ? SIGKILL : SIGTERM);
  }

  RunFolder folder_;
  EngineSettings settings_;
  EngineProcess& engine_;
  bool is_first_;
  Watchdog watchdog_;
  bool asked_ = false;
  std::string stopped_;
  double kill_at_ = 0;
};

int exit_code_of(const ProcessEnd& end) {
  if (end.signal != 0) return 128 + end.signal;
  return end.exit_code == kPaused ? 0 : end.exit_code;
}

}  // namespace

SlurmPlace slurm_place(const std::function<const char*(const char*)>& variable) {
  SlurmPlace place;
  const std::string array = text_of(variable("SLURM_ARRAY_JOB_ID"));
  place.job =
      array.empty() ? text_of(variable("SLURM_JOB_ID")) : array + "_" + text_of(variable("SLURM_ARRAY_TASK_ID"));
  if (place.job.empty() || variable("SLURM_PROCID") == nullptr)
    throw Error("silc slurm-task is started by srun, in a job that silc run --launcher slurm submits");
  place.restart = number_of(variable("SLURM_RESTART_COUNT"), 0);
  place.rank = number_of(variable("SLURM_PROCID"), 0);
  place.ranks = number_of(variable("SLURM_NTASKS"), 1);
  place.local_rank = number_of(variable("SLURM_LOCALID"), 0);
  place.nodes = text_of(variable("SLURM_JOB_NODELIST"));
  place.node = text_of(variable("SLURMD_NODENAME"));
  place.cpus = cpus_of_nodes(text_of(variable("SLURM_JOB_CPUS_PER_NODE")));
  place.gpus = number_of(variable("SLURM_GPUS_ON_NODE"), 0) * number_of(variable("SLURM_JOB_NUM_NODES"), 1);
  place.master = text_of(variable("MASTER_ADDR"));
  place.port = text_of(variable("MASTER_PORT"));
  if (place.ranks > 1 && (place.master.empty() || place.port.empty()))
    throw Error("the job's script sets no MASTER_ADDR and MASTER_PORT, where its ranks would meet");
  return place;
}

Environment rank_variables(const SlurmPlace& place) {
  Environment variables = {{"WORLD_SIZE", std::to_string(place.ranks)}};
  if (place.ranks > 1)
    variables.insert(variables.end(), {{"RANK", std::to_string(place.rank)},
                                       {"LOCAL_RANK", std::to_string(place.local_rank)},
                                       {"MASTER_ADDR", place.master},
                                       {"MASTER_PORT", place.port}});
  return variables;
}

int run_slurm_task(const SlurmTask& task, const SlurmPlace& place) {
  const RunFolder folder{task.folder};
  const SlurmFolder slurm(folder);
  const std::optional<Submission> submission = read_submission(slurm);
  EngineSettings settings;
  if (submission) {
    settings.hang_seconds = submission->hang_seconds;
    settings.memory_limit = submission->memory_limit;
  }
  SignalQueue signals({SIGUSR1});
  const auto lock = take_lock(folder, place, signals);
  if (lock == nullptr) return kInterrupted;
  int64_t threads = task.threads;
  if (threads == 0) threads = available_threads();
  if (place.rank == 0) std::filesystem::remove(folder.activity());

  const std::filesystem::path file = slurm.start(place.job, place.restart, place.rank);
  Event record = {{"job", place.job},
                  {"restart", place.restart},
                  {"rank", place.rank},
                  {"ranks", place.ranks},
                  {"nodes", place.nodes},
                  {"cpus", place.cpus},
                  {"gpus", place.gpus},
                  {"start", wall_clock()},
                  {"threads", threads},
                  {"log", size_of(folder.log())},
                  {"host", place.node.empty() ? host_name() : place.node}};
  write_file_durably(file, record.dump(2) + "\n");
  EngineProcess engine(task.engine, folder.path, threads, *lock, rank_variables(place),
                       submission ? submission->until : std::nullopt);
  Watch watch(folder, place, settings, engine);
  const ProcessEnd end = watch.wait(signals);

  Event attempt = describe_attempt({.start = record["start"], .end = wall_clock(), .threads = threads}, end);
  attempt.erase("host");
  if (!watch.stopped().empty() && exit_code_of(end) != 0)
    attempt["stopped"] = watch.stopped();
  else if (watch.asked() && end.signal != 0)
    attempt["interrupted"] = true;
  if (place.rank == 0) add_culprit(folder.activity(), attempt);
  record.update(attempt);
  write_file_durably(file, record.dump(2) + "\n");
  return exit_code_of(end);
}

}  // namespace silc
