#include "schedule/schedule.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "files/activity.h"
#include "schedule/signal_queue.h"
#include "schedule/watchdog.h"
#include "silc/error.h"

namespace silc {

namespace {

constexpr std::chrono::milliseconds kPollInterval{200};
constexpr double kRetrySeconds = 1;  // between tries to lock a cell that another silc runs

// Seconds from a request to stop until an engine that does not heed it is killed.
constexpr double kPatience = 10;
// Part of the machine's memory that all engines together may take.
constexpr double kMemoryShare = 0.95;

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// Stands still while the machine sleeps.
double uptime() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

// The last line that says something of what was written to the log from `offset` on.
std::string last_log_line(const std::filesystem::path& file, std::streamoff offset) {
  std::ifstream log(file);
  log.seekg(offset);
  std::string last;
  for (std::string line; std::getline(log, line);)
    if (line.find_first_not_of(" \t\r") != std::string::npos) last = line;
  return last;
}

// What the last error in an engine's log says, from `offset` on: without the time, and with the rank that says it.
std::string last_error(const std::filesystem::path& file, std::streamoff offset) {
  constexpr std::string_view kLevel = " error: ";
  std::ifstream log(file);
  log.seekg(offset);
  std::string last;
  for (std::string line; std::getline(log, line);)
    if (const auto place = line.find(kLevel); place != std::string::npos) last = line.substr(place + kLevel.size());
  return last;
}

std::streamoff size_of(const std::filesystem::path& file) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(file, missing);
  return missing ? 0 : static_cast<std::streamoff>(size);
}

std::unique_ptr<FileLock> lock_folder(const RunFolder& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder.path, error);
  if (error) throw Error(folder.path.string() + ": cannot be made: " + error.message());
  return FileLock::try_lock(folder.lock());
}

void write_cell_file(const CellTask& task) {
  const std::string content = write_cell(task.cell);
  if (std::filesystem::exists(task.folder.cell()) && read_file(task.folder.cell()) == content) return;
  write_file_durably(task.folder.cell(), content);
}

// Whether there is nothing left to do: it is finished, or as far as it is to come.
bool is_done(const CellTask& task) {
  return is_finished(task.folder) || (task.until && paused_at(task.folder, *task.until));
}

struct RunningCell {
  size_t index;
  EngineTeam engines;
  std::unique_ptr<FileLock> lock;
  ProgressReader reader;
  double start;
  int64_t threads;
  std::vector<GpuPlace> gpus;  // of the ranks
  std::streamoff log_offset;
  Watchdog watchdog;
  bool unreadable = false;   // its events are damaged, and have been complained about
  uint64_t events = 0;       // how often there were new ones
  int64_t memory = 0;        // bytes, at the last look
  std::string plugin = {};   // that it was in then
  std::string stopped = {};  // why silc stopped it unasked
  double kill_at = 0;        // uptime() from which on it is killed, if it was stopped
};

WatchLimits limits_of(const EngineSettings& engine) {
  return {.hang_seconds = engine.hang_seconds, .memory = static_cast<int64_t>(engine.memory_limit * 1e9)};
}

// "0,1": as CUDA_VISIBLE_DEVICES would name the GPUs of all ranks; empty: they have none.
std::string visible_names(const std::vector<GpuPlace>& gpus) {
  std::string names;
  for (const GpuPlace& gpu : gpus)
    if (!gpu.visible().empty()) names += (names.empty() ? "" : ",") + gpu.visible();
  return names;
}

class Scheduler {
 public:
  // `source`: null: there are no cells but `tasks`.
  Scheduler(std::vector<CellTask>& tasks, CellSource* source, const RunRequest& request, RunObserver& observer)
      : tasks_(tasks), source_(source), request_(request), observer_(observer) {}

  std::vector<CellOutcome> run() {
    take_in(0);
    std::vector<ResolvedCell> left = source_ == nullptr ? std::vector<ResolvedCell>{} : source_->to_come();
    for (const size_t index : waiting_) left.push_back(tasks_[index].cell);
    gpus_.emplace(request_.gpus, left, request_.threads.jobs);

    while (true) {
      answer_stop_requests();
      if (!stopping_) start_cells();
      if (running_.empty() && (stopping_ || waiting_.empty())) break;
      signals_.wait(kPollInterval);
      follow_cells();
      watch_cells();
      observer_.tick();
    }
    return std::move(outcomes_);
  }

 private:
  // What is remembered about a cell that another silc runs.
  struct Wait {
    bool refused = false;
    double next_try = 0;
  };

  // Tasks from `first` on are new.
  void take_in(size_t first) {
    outcomes_.resize(tasks_.size());
    ended_.resize(tasks_.size());
    waits_.resize(tasks_.size());
    for (size_t index = first; index < tasks_.size(); ++index) {
      const auto [known, fresh] = by_id_.try_emplace(tasks_[index].id, index);
      // A phase in which a trial has paused comes again, to be trained to its end.
      if (!fresh && known->second < first && tasks_[known->second].folder.path == tasks_[index].folder.path)
        known->second = index;
    }
    for (size_t index = first; index < tasks_.size(); ++index) reuse_or_queue(index);
  }

  // False if there are none now.
  bool take_more() {
    if (source_ == nullptr) return false;
    const size_t first = tasks_.size();
    for (CellTask& task : source_->next()) tasks_.push_back(std::move(task));
    if (tasks_.size() == first) return false;
    observer_.added(first);
    take_in(first);
    return true;
  }

  void conclude(size_t index, CellOutcome outcome) {
    outcomes_[index] = std::move(outcome);
    ended_[index] = true;
    observer_.ended(index, outcomes_[index]);
    if (source_ != nullptr) source_->ended(tasks_[index], outcomes_[index]);
  }

  void reuse_or_queue(size_t index) {
    try {
      if (is_done(tasks_[index]))
        conclude(index, {CellEnd::reused});
      else
        waiting_.push_back(index);
    } catch (const Error& error) {
      fail(index, error.what(), 0);
    }
  }

  void answer_stop_requests() {
    const int requests = signals_.stop_requests();
    if (requests == answered_requests_) return;
    answered_requests_ = requests;
    stopping_ = true;
    for (const RunningCell& cell : running_) cell.engines.send(requests > 1 ? SIGKILL : SIGTERM);
    observer_.stopping(requests, running_.size());
  }

  void stop_after_failure() {
    if (stopping_) return;
    stopping_ = true;
    for (const RunningCell& cell : running_) cell.engines.send(SIGTERM);
  }

  void start_cells() {
    start_waiting();
    while (!stopping_ && has_room() && take_more()) start_waiting();
  }

  [[nodiscard]] bool has_room() const { return running_.size() < static_cast<size_t>(request_.threads.jobs); }

  void start_waiting() {
    for (auto next = waiting_.begin(); next != waiting_.end() && !stopping_ && has_room();) {
      if (waits_[*next].next_try > now() || !after_its_phases(*next))
        ++next;
      else
        next = waiting_.erase(next);
    }
  }

  // Starts a cell whose earlier phases are done, and gives up one that they left nothing to start from. False if it
  // must wait.
  bool after_its_phases(size_t index) {
    const auto before = by_id_.find(tasks_[index].cell.start.cell);
    if (before == by_id_.end()) return start_cell(index);
    if (!ended_[before->second]) return false;
    switch (outcomes_[before->second].end) {
      case CellEnd::reused:
      case CellEnd::finished:
        return start_cell(index);
      case CellEnd::failed:
        fail(index, fmt::format("there is nothing to start from: {} failed", row_label(tasks_[before->second].cell)),
             0);
        return true;
      case CellEnd::paused:
      case CellEnd::interrupted:
      case CellEnd::not_started:
        conclude(index, {CellEnd::not_started});
        return true;
    }
    return true;
  }

  // False if the cell must wait.
  bool start_cell(size_t index) {
    try {
      auto lock = lock_folder(tasks_[index].folder);
      if (lock == nullptr) {
        put_off(index);
        return false;
      }
      if (!settled_elsewhere(index)) start_engine(index, std::move(lock));
    } catch (const Error& error) {
      fail(index, error.what(), 0);
    }
    return true;
  }

  void put_off(size_t index) {
    Wait& wait = waits_[index];
    wait.next_try = now() + kRetrySeconds;
    if (!std::exchange(wait.refused, true)) observer_.running_elsewhere(index);
  }

  bool settled_elsewhere(size_t index) {
    const RunFolder& folder = tasks_[index].folder;
    if (is_done(tasks_[index])) {
      CellOutcome outcome{CellEnd::finished};
      outcome.elsewhere = true;
      conclude(index, outcome);
      return true;
    }
    if (!waits_[index].refused) return false;
    ProgressReader reader(folder.events());
    reader.update();
    if (reader.progress().last_event != "failed") return false;
    fail(index, reader.progress().failure, 0);
    return true;
  }

  void start_engine(size_t index, std::unique_ptr<FileLock> lock) {
    const CellTask& task = tasks_[index];
    write_cell_file(task);
    ProgressReader reader(task.folder.events());
    reader.update();
    // One process alone evaluates what is there already.
    const int64_t ranks = is_evaluated_only(task.cell) ? 1 : task.cell.engine.ranks;
    std::vector<GpuPlace> gpus;
    std::vector<Environment> environments;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      gpus.push_back(gpus_->take(task.cell.engine.device));
      environments.push_back(gpus.back().environment());
    }
    reader.begin_attempt(visible_names(gpus));
    const auto log_offset = size_of(task.folder.log());
    std::filesystem::remove(task.folder.activity());
    const int64_t threads = request_.threads.of(task.cell);
    const double start = now();  // before the engine can write an event
    EngineTeam engines(request_.engine, task.folder.path, threads, *lock, environments, task.until);
    running_.push_back({index, std::move(engines), std::move(lock), std::move(reader), start, threads, std::move(gpus),
                        log_offset, Watchdog(limits_of(task.cell.engine))});
    observer_.started(index, running_.back().reader.progress());
  }

  void follow_cells() {
    std::vector<RunningCell> cells = std::exchange(running_, {});
    std::vector<std::pair<RunningCell, ProcessEnd>> ended;
    for (RunningCell& cell : cells) {
      const auto end = cell.engines.poll();
      // Read after the end was seen, so that the last events are not missed.
      read_progress(cell);
      if (end)
        ended.emplace_back(std::move(cell), *end);
      else
        running_.push_back(std::move(cell));
    }
    for (const auto& [cell, end] : ended) finish(cell, end);
  }

  void read_progress(RunningCell& cell) {
    if (cell.unreadable) return;
    bool news = false;
    try {
      news = cell.reader.update();
    } catch (const Error& error) {
      cell.unreadable = true;
      observer_.warning(error.what());
    }
    cell.events += news ? 1 : 0;
    if (news) observer_.progressed(cell.index, cell.reader.progress());
  }

  void watch_cells() {
    const double at = uptime();
    for (RunningCell& cell : running_) {
      if (!cell.stopped.empty()) {
        if (at >= cell.kill_at) cell.engines.send(SIGKILL);
        continue;
      }
      const Activity activity = read_activity(tasks_[cell.index].folder.activity()).value_or(Activity{});
      cell.memory = 0;
      for (const pid_t pid : cell.engines.pids()) cell.memory += process_memory(pid);
      cell.plugin = activity.plugin;
      const EngineSigns signs{activity.heartbeats, cell.events, cell.memory, cell.plugin};
      if (const Verdict verdict = cell.watchdog.look(signs, at); !verdict.reason.empty())
        stop(cell, verdict.reason, verdict.at_once);
    }
    watch_memory();
  }

  void stop(RunningCell& cell, const std::string& reason, bool at_once) {
    const double hang_seconds = tasks_[cell.index].cell.engine.hang_seconds;
    const double patience = hang_seconds > 0 ? std::min(hang_seconds, kPatience) : kPatience;
    cell.stopped = reason;
    cell.kill_at = uptime() + (at_once ? 0 : patience);
    cell.engines.send(at_once ? SIGKILL : SIGTERM);
  }

  // Better that one cell is lost than that the system chooses what to end.
  void watch_memory() {
    int64_t together = 0;
    RunningCell* greatest = nullptr;
    for (RunningCell& cell : running_) {
      if (!cell.stopped.empty()) return;  // what it gives back is not seen yet
      together += cell.memory;
      if (greatest == nullptr || cell.memory > greatest->memory) greatest = &cell;
    }
    const double limit = kMemoryShare * static_cast<double>(machine_memory_);
    if (greatest == nullptr || limit == 0 || static_cast<double>(together) <= limit) return;
    stop(*greatest,
         fmt::format("stopped by silc: it took {:.3g} GB of memory{}, and the machine has {:.3g} GB; a smaller "
                     "optimizer.batch or model needs less, and so do fewer --jobs",
                     1e-9 * static_cast<double>(greatest->memory),
                     greatest->plugin.empty() ? "" : " in " + greatest->plugin,
                     1e-9 * static_cast<double>(machine_memory_)),
         true);
  }

  void finish(const RunningCell& cell, const ProcessEnd& end) {
    const CellTask& task = tasks_[cell.index];
    const double ended_at = now();
    const bool finished = end.signal == 0 && end.exit_code == 0 && !cell.unreadable && is_finished(task.folder);
    const bool paused = end.signal == 0 && end.exit_code == kPaused && task.until && !cell.unreadable && is_done(task);
    Event attempt = describe_attempt(cell, end, ended_at);
    // A signal that silc itself sent on request is no failure.
    if (!cell.stopped.empty() && !finished && !paused)
      attempt["stopped"] = cell.stopped;
    else if (stopping_ && (end.signal == SIGTERM || end.signal == SIGINT || end.signal == SIGKILL))
      attempt["interrupted"] = true;
    add_culprit(task.folder.activity(), attempt);
    // Rank 0 alone writes events: what another rank died of, where rank 0 was in no state to say it, is in the log.
    if (end.rank.value_or(0) > 0 && end.exit_code != 0 && cell.reader.progress().last_event != "failed")
      if (const std::string words = last_error(task.folder.log(), cell.log_offset); !words.empty())
        attempt["words"] = words;
    record_attempt(task, attempt);
    CellOutcome outcome;
    outcome.wall_seconds = ended_at - cell.start;
    if (finished) {
      outcome.end = CellEnd::finished;
    } else if (paused) {
      outcome.end = CellEnd::paused;
    } else if (failure_of_attempt(attempt).empty()) {
      outcome.end = CellEnd::interrupted;
    } else {
      fail(cell.index, failure(cell, attempt), outcome.wall_seconds);
      return;
    }
    conclude(cell.index, outcome);
  }

  // An engine that ends of its own accord leaves nothing to read.
  static void add_culprit(const std::filesystem::path& file, Event& attempt) {
    const auto activity = read_activity(file);
    std::filesystem::remove(file);
    if (!activity || activity->plugin.empty()) return;
    attempt["plugin"] = activity->plugin;
    if (activity->stack_overflowed) attempt["stack_overflow"] = true;
  }

  void fail(size_t index, const std::string& message, double wall_seconds) {
    CellOutcome outcome{CellEnd::failed};
    outcome.message = message;
    outcome.wall_seconds = wall_seconds;
    conclude(index, outcome);
    if (request_.fail_fast && !tasks_[index].cell.trial) stop_after_failure();
  }

  [[nodiscard]] std::string failure(const RunningCell& cell, const Event& attempt) const {
    const CellTask& task = tasks_[cell.index];
    const CellProgress& progress = cell.reader.progress();
    if (attempt.contains("stopped")) return failure_of_attempt(attempt);
    if (progress.last_event == "failed" && !progress.failure.empty()) return progress.failure;
    const std::string words = failure_of_attempt(attempt);
    if (attempt.contains("plugin") || attempt.contains("words")) return words;
    if (attempt.contains("signal")) return words + "; plugins in use: " + plugins_in_use(task.cell);
    const std::string line = last_log_line(task.folder.log(), cell.log_offset);
    return words + (line.empty() ? "" : ": " + line);
  }

  // A line of attempts.jsonl.
  static Event describe_attempt(const RunningCell& cell, const ProcessEnd& end, double ended_at) {
    Event attempt = {{"start", cell.start},
                     {"end", ended_at},
                     {"core_seconds", end.core_seconds},
                     {"peak_memory", end.peak_memory},
                     {"threads", cell.threads},
                     {"host", host_name()}};
    if (const std::string gpus = visible_names(cell.gpus); !gpus.empty()) attempt["gpu"] = gpus;
    if (cell.gpus.size() > 1) attempt["ranks"] = cell.gpus.size();
    if (end.rank) attempt["rank"] = *end.rank;
    if (end.signal != 0)
      attempt["signal"] = end.signal;
    else
      attempt["exit_code"] = end.exit_code;
    return attempt;
  }

  void record_attempt(const CellTask& task, const Event& attempt) {
    try {
      LineAppender(task.folder.attempts()).append(attempt.dump(), true);
    } catch (const Error& error) {
      observer_.warning(error.what());
    }
  }

  std::vector<CellTask>& tasks_;
  CellSource* source_;
  const RunRequest& request_;
  RunObserver& observer_;
  std::vector<CellOutcome> outcomes_;
  std::vector<bool> ended_;              // have an outcome
  std::map<std::string, size_t> by_id_;  // cells
  std::vector<Wait> waits_;
  std::vector<size_t> waiting_;  // not yet started, in order
  SignalQueue signals_;
  const int64_t machine_memory_ = machine_memory();
  std::optional<GpuPool> gpus_;  // once it is known which cells are left
  std::vector<RunningCell> running_;
  int answered_requests_ = 0;
  bool stopping_ = false;
};

}  // namespace

std::vector<CellTask> place_cells(std::span<const ResolvedCell> cells, const std::filesystem::path& runs) {
  std::vector<std::vector<CellTask>> rows;
  std::map<std::string, std::filesystem::path> folders;  // by id
  for (const ResolvedCell& cell : cells) {
    std::vector<CellTask>& phases = rows.emplace_back();
    for (const ResolvedCell& phase : phases_of(cell))
      phases.push_back({phase, cell_id(phase), {runs / run_folder(phase)}});
    folders.emplace(phases.back().id, phases.back().folder.path);
  }
  // A phase that is also the whole of a row lies in that row's folder.
  const auto whole_rows = folders;

  std::vector<CellTask> tasks;
  for (std::vector<CellTask>& phases : rows) {
    for (CellTask& phase : phases) {
      Start& start = phase.cell.start;
      const std::filesystem::path experiment = phase.folder.experiment();
      if (!start.cell.empty()) start.folder = folders.at(start.cell).lexically_relative(experiment).generic_string();
      const bool last = &phase == &phases.back();
      if (!last && (whole_rows.contains(phase.id) || !folders.emplace(phase.id, phase.folder.path).second)) continue;
      tasks.push_back(phase);
    }
  }
  return tasks;
}

std::vector<size_t> remove_results(std::span<const CellTask> tasks) {
  std::vector<size_t> running;
  for (size_t index = 0; index < tasks.size(); ++index) {
    const RunFolder& folder = tasks[index].folder;
    if (!std::filesystem::exists(folder.path)) continue;
    const auto lock = FileLock::try_lock(folder.lock());
    if (lock == nullptr) {
      running.push_back(index);
      continue;
    }
    // metrics.json first: a cell is not finished without it, whatever else a power cut leaves.
    for (const auto& path :
         {folder.metrics(), folder.events(), folder.attempts(), folder.checkpoints(), folder.samples()})
      std::filesystem::remove_all(path);
  }
  return running;
}

std::vector<CellOutcome> run_cells(std::span<const CellTask> tasks, const RunRequest& request, RunObserver& observer) {
  std::vector<CellTask> own(tasks.begin(), tasks.end());
  return Scheduler(own, nullptr, request, observer).run();
}

std::vector<CellOutcome> run_cells(std::vector<CellTask>& tasks, CellSource& source, const RunRequest& request,
                                   RunObserver& observer) {
  return Scheduler(tasks, &source, request, observer).run();
}

std::string plugins_in_use(const ResolvedCell& cell) {
  std::vector<const PluginChoice*> choices = {&cell.objective, &cell.image.backbone, &cell.text.backbone,
                                              &cell.text.tokenizer};
  if (cell.train.parts.empty() && is_there(cell.train)) choices.push_back(&cell.train.dataset);
  for (const DataSource& part : cell.train.parts) choices.push_back(&part.dataset);
  for (const Evaluation& evaluation : cell.evaluations) {
    choices.push_back(&evaluation.data.dataset);
    choices.push_back(&evaluation.evaluator);
  }
  std::vector<std::string> names;
  for (const PluginChoice* choice : choices) {
    std::string name = std::string(kind_name(choice->kind)) + " " + choice->name;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

}  // namespace silc
