#include "schedule/local_launcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include "files/activity.h"
#include "schedule/attempt.h"
#include "schedule/slurm_folder.h"
#include "silc/error.h"

namespace silc {

namespace {

// Seconds from a request to stop until an engine that does not heed it is killed.
constexpr double kPatience = 10;
// Part of the machine's memory that all engines together may take.
constexpr double kMemoryShare = 0.95;

// "0,1": as CUDA_VISIBLE_DEVICES would name the GPUs of all ranks; empty: they have none.
std::string visible_names(const std::vector<GpuPlace>& gpus) {
  std::string names;
  for (const GpuPlace& gpu : gpus)
    if (!gpu.visible().empty()) names += (names.empty() ? "" : ",") + gpu.visible();
  return names;
}

uint64_t size_of(const std::filesystem::path& file) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(file, missing);
  return missing ? 0 : size;
}

}  // namespace

WatchLimits watch_limits(const EngineSettings& engine) {
  return {.hang_seconds = engine.hang_seconds, .memory = static_cast<int64_t>(engine.memory_limit * 1e9)};
}

std::unique_ptr<FileLock> lock_folder(const RunFolder& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder.path, error);
  if (error) throw Error(folder.path.string() + ": cannot be made: " + error.message());
  // The cell's job may be waiting for its turn yet.
  if (FileLock::is_locked(SlurmFolder(folder).lock())) return nullptr;
  return FileLock::try_lock(folder.lock());
}

class LocalLauncher::Work : public CellWork {
 public:
  Work(LocalLauncher& launcher, const CellTask& task, std::unique_ptr<FileLock> lock, std::vector<GpuPlace> gpus)
      : launcher_(launcher),
        folder_(task.folder),
        task_(task),
        lock_(std::move(lock)),
        gpus_(std::move(gpus)),
        threads_(launcher.threads_.of(task.cell)),
        log_offset_(static_cast<std::streamoff>(size_of(folder_.log()))),
        events_offset_(size_of(folder_.events())),
        start_(wall_clock()),  // before the engine can write an event
        engines_(launcher.engine_, folder_.path, threads_, *lock_, environments(), task.until),
        watchdog_(watch_limits(task.cell.engine)) {
    launcher_.works_.push_back(this);
  }
  ~Work() override { std::erase(launcher_.works_, this); }

  std::optional<WorkEnd> poll() override {
    const auto end = engines_.poll();
    if (!end) return std::nullopt;
    Event attempt = describe_attempt({start_, wall_clock(), threads_, visible_names(gpus_), gpus_.size()}, *end);
    const bool well = end->signal == 0 && (end->exit_code == 0 || end->exit_code == kPaused) && is_done(task_);
    // A signal that silc itself sent on request is no failure.
    if (!stopped_.empty() && !well)
      attempt["stopped"] = stopped_;
    else if (launcher_.stopping_ && (end->signal == SIGTERM || end->signal == SIGINT || end->signal == SIGKILL))
      attempt["interrupted"] = true;
    add_culprit(folder_.activity(), attempt);
    // Rank 0 alone writes events: what another rank died of, where rank 0 was in no state to say it, is in the log.
    if (end->rank.value_or(0) > 0 && end->exit_code != 0 && !has_failed_event())
      if (const std::string words = last_error(folder_.log(), log_offset_); !words.empty()) attempt["words"] = words;
    try {
      LineAppender(folder_.attempts()).append(attempt.dump(), true);
    } catch (const Error& error) {
      launcher_.listener_.warning(error.what());
    }
    return WorkEnd{.kind = WorkEnd::Kind::ended, .attempt = attempt};
  }

  void note_news() override { ++events_; }
  [[nodiscard]] std::string gpus() const override { return visible_names(gpus_); }

  void send(int signal) const { engines_.send(signal); }
  [[nodiscard]] bool is_being_stopped() const { return !stopped_.empty(); }
  [[nodiscard]] int64_t memory() const { return memory_; }             // bytes, at the last look
  [[nodiscard]] const std::string& plugin() const { return plugin_; }  // that it was in then

  void look(double at) {
    if (!stopped_.empty()) {
      if (at >= kill_at_) engines_.send(SIGKILL);
      return;
    }
    const Activity activity = read_activity(folder_.activity()).value_or(Activity{});
    memory_ = 0;
    for (const pid_t pid : engines_.pids()) memory_ += process_memory(pid);
    plugin_ = activity.plugin;
    const EngineSigns signs{activity.heartbeats, events_, memory_, plugin_};
    if (const Verdict verdict = watchdog_.look(signs, at); !verdict.reason.empty())
      stop(verdict.reason, verdict.at_once);
  }

  void stop(const std::string& reason, bool at_once) {
    const double hang_seconds = task_.cell.engine.hang_seconds;
    const double patience = hang_seconds > 0 ? std::min(hang_seconds, kPatience) : kPatience;
    stopped_ = reason;
    kill_at_ = uptime() + (at_once ? 0 : patience);
    engines_.send(at_once ? SIGKILL : SIGTERM);
  }

 private:
  [[nodiscard]] std::vector<Environment> environments() const {
    std::vector<Environment> environments;
    for (const GpuPlace& gpu : gpus_) environments.push_back(gpu.environment());
    return environments;
  }

  // In this attempt.
  [[nodiscard]] bool has_failed_event() const {
    uint64_t offset = events_offset_;
    const std::vector<Event> events = read_events(folder_.events(), offset);
    return std::any_of(events.begin(), events.end(), [](const Event& event) { return event["event"] == "failed"; });
  }

  LocalLauncher& launcher_;
  RunFolder folder_;
  CellTask task_;
  std::unique_ptr<FileLock> lock_;
  std::vector<GpuPlace> gpus_;  // of the ranks
  int64_t threads_;
  std::streamoff log_offset_;
  uint64_t events_offset_;
  double start_;
  EngineTeam engines_;
  Watchdog watchdog_;
  uint64_t events_ = 0;  // how often there were new ones
  int64_t memory_ = 0;
  std::string plugin_;
  std::string stopped_;  // why silc stopped it unasked
  double kill_at_ = 0;   // uptime() from which on it is killed, if it was stopped
};

LocalLauncher::LocalLauncher(Engine engine, ThreadPlan threads, std::vector<Gpu> gpus, LaunchListener& listener)
    : engine_(std::move(engine)), threads_(threads), all_gpus_(std::move(gpus)), listener_(listener) {}

void LocalLauncher::begin(std::span<const ResolvedCell> left) { gpus_.emplace(all_gpus_, left, threads_.jobs); }

bool LocalLauncher::has_room(std::size_t running) const { return running < static_cast<std::size_t>(threads_.jobs); }

std::unique_ptr<FileLock> LocalLauncher::lock(const RunFolder& folder) { return lock_folder(folder); }

std::unique_ptr<CellWork> LocalLauncher::start(const CellTask& task, std::unique_ptr<FileLock> lock) {
  std::vector<GpuPlace> gpus;
  for (int64_t rank = 0; rank < ranks_of(task.cell); ++rank) gpus.push_back(gpus_->take(task.cell.engine.device));
  std::filesystem::remove(task.folder.activity());
  return std::make_unique<Work>(*this, task, std::move(lock), std::move(gpus));
}

void LocalLauncher::look() {
  const double at = uptime();
  for (Work* work : works_) work->look(at);
  watch_memory();
}

// Better that one cell is lost than that the system chooses what to end.
void LocalLauncher::watch_memory() {
  int64_t together = 0;
  Work* greatest = nullptr;
  for (Work* work : works_) {
    if (work->is_being_stopped()) return;  // what it gives back is not seen yet
    together += work->memory();
    if (greatest == nullptr || work->memory() > greatest->memory()) greatest = work;
  }
  const double limit = kMemoryShare * static_cast<double>(machine_memory_);
  if (greatest == nullptr || limit == 0 || static_cast<double>(together) <= limit) return;
  greatest->stop(fmt::format("stopped by silc: it took {:.3g} GB of memory{}, and the machine has {:.3g} GB; a smaller "
                             "optimizer.batch or model needs less, and so do fewer --jobs",
                             1e-9 * static_cast<double>(greatest->memory()),
                             greatest->plugin().empty() ? "" : " in " + greatest->plugin(),
                             1e-9 * static_cast<double>(machine_memory_)),
                 true);
}

std::string LocalLauncher::stop(const StopWish& wish) {
  stopping_ = true;
  for (const Work* work : works_) work->send(wish.requests > 1 ? SIGKILL : SIGTERM);
  if (works_.empty() || wish.requests == 0) return {};
  if (wish.requests > 1) return "killed; what was trained since the last checkpoint will be trained again";
  return fmt::format("stopping: {} to write checkpoints; once more (Ctrl-C) to kill",
                     works_.size() == 1 ? "1 engine has" : fmt::format("{} engines have", works_.size()));
}

}  // namespace silc
