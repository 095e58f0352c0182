#include "schedule/schedule.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>

#include "schedule/signal_queue.h"
#include "silc/error.h"

namespace silc {

namespace {

constexpr std::chrono::milliseconds kPollInterval{200};
constexpr double kRetrySeconds = 1;  // between tries to lock a cell that another silc runs

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

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

struct RunningCell {
  size_t index;
  EngineProcess process;
  std::unique_ptr<FileLock> lock;
  ProgressReader reader;
  double start;
  int64_t threads;
  std::streamoff log_offset;
  bool unreadable = false;  // its events are damaged, and have been complained about
};

class Scheduler {
 public:
  Scheduler(std::span<const CellTask> tasks, const RunRequest& request, RunObserver& observer)
      : tasks_(tasks), request_(request), observer_(observer), outcomes_(tasks.size()), waits_(tasks.size()) {}

  std::vector<CellOutcome> run() {
    for (size_t index = 0; index < tasks_.size(); ++index) reuse_or_queue(index);

    while (true) {
      answer_stop_requests();
      if (!stopping_) start_cells();
      if (running_.empty() && (stopping_ || waiting_.empty())) break;
      signals_.wait(kPollInterval);
      follow_cells();
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

  void conclude(size_t index, CellOutcome outcome) {
    outcomes_[index] = std::move(outcome);
    observer_.ended(index, outcomes_[index]);
  }

  void reuse_or_queue(size_t index) {
    try {
      if (is_finished(tasks_[index].folder))
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
    for (const RunningCell& cell : running_) cell.process.send(requests > 1 ? SIGKILL : SIGTERM);
    observer_.stopping(requests, running_.size());
  }

  void stop_after_failure() {
    if (stopping_) return;
    stopping_ = true;
    for (const RunningCell& cell : running_) cell.process.send(SIGTERM);
  }

  void start_cells() {
    for (auto next = waiting_.begin();
         next != waiting_.end() && !stopping_ && running_.size() < static_cast<size_t>(request_.threads.jobs);) {
      if (waits_[*next].next_try > now() || !start_cell(*next))
        ++next;
      else
        next = waiting_.erase(next);
    }
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
    if (is_finished(folder)) {
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
    reader.begin_attempt();
    const auto log_offset = size_of(task.folder.log());
    const int64_t threads = request_.threads.of(task.cell);
    const double start = now();  // before the engine can write an event
    EngineProcess process(request_.engine, task.folder.path, threads, *lock);
    running_.push_back({index, std::move(process), std::move(lock), std::move(reader), start, threads, log_offset});
    observer_.started(index, running_.back().reader.progress());
  }

  void follow_cells() {
    std::vector<RunningCell> cells = std::exchange(running_, {});
    std::vector<std::pair<RunningCell, ProcessEnd>> ended;
    for (RunningCell& cell : cells) {
      const auto end = cell.process.poll();
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
    if (news) observer_.progressed(cell.index, cell.reader.progress());
  }

  void finish(const RunningCell& cell, const ProcessEnd& end) {
    const CellTask& task = tasks_[cell.index];
    const double ended_at = now();
    const bool asked_to_stop = stopping_ && (end.signal == SIGTERM || end.signal == SIGINT || end.signal == SIGKILL);
    const Event attempt = describe_attempt(cell, end, ended_at, asked_to_stop);
    record_attempt(task, attempt);
    CellOutcome outcome;
    outcome.wall_seconds = ended_at - cell.start;
    if (end.signal == 0 && end.exit_code == 0 && !cell.unreadable && is_finished(task.folder)) {
      outcome.end = CellEnd::finished;
    } else if (failure_of_attempt(attempt).empty()) {
      outcome.end = CellEnd::interrupted;
    } else {
      fail(cell.index, failure(cell, attempt), outcome.wall_seconds);
      return;
    }
    conclude(cell.index, outcome);
  }

  void fail(size_t index, const std::string& message, double wall_seconds) {
    CellOutcome outcome{CellEnd::failed};
    outcome.message = message;
    outcome.wall_seconds = wall_seconds;
    conclude(index, outcome);
    if (request_.fail_fast) stop_after_failure();
  }

  [[nodiscard]] std::string failure(const RunningCell& cell, const Event& attempt) const {
    const CellTask& task = tasks_[cell.index];
    const CellProgress& progress = cell.reader.progress();
    if (progress.last_event == "failed" && !progress.failure.empty()) return progress.failure;
    const std::string words = failure_of_attempt(attempt);
    if (attempt.contains("signal")) return words + "; plugins in use: " + plugins_in_use(task.cell);
    const std::string line = last_log_line(task.folder.log(), cell.log_offset);
    return words + (line.empty() ? "" : ": " + line);
  }

  // A line of attempts.jsonl.
  static Event describe_attempt(const RunningCell& cell, const ProcessEnd& end, double ended_at, bool asked_to_stop) {
    Event attempt = {{"start", cell.start},
                     {"end", ended_at},
                     {"core_seconds", end.core_seconds},
                     {"peak_memory", end.peak_memory},
                     {"threads", cell.threads},
                     {"host", host_name()}};
    if (end.signal != 0)
      attempt["signal"] = end.signal;
    else
      attempt["exit_code"] = end.exit_code;
    // A signal that silc itself sent on request is no failure.
    if (asked_to_stop) attempt["interrupted"] = true;
    return attempt;
  }

  void record_attempt(const CellTask& task, const Event& attempt) {
    try {
      LineAppender(task.folder.attempts()).append(attempt.dump(), true);
    } catch (const Error& error) {
      observer_.warning(error.what());
    }
  }

  std::span<const CellTask> tasks_;
  const RunRequest& request_;
  RunObserver& observer_;
  std::vector<CellOutcome> outcomes_;
  std::vector<Wait> waits_;
  std::vector<size_t> waiting_;  // not yet started, in order
  SignalQueue signals_;
  std::vector<RunningCell> running_;
  int answered_requests_ = 0;
  bool stopping_ = false;
};

}  // namespace

std::vector<CellTask> place_cells(std::span<const ResolvedCell> cells, const std::filesystem::path& runs) {
  std::vector<CellTask> tasks;
  tasks.reserve(cells.size());
  for (const ResolvedCell& cell : cells) tasks.push_back({cell, cell_id(cell), {runs / run_folder(cell)}});
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
  return Scheduler(tasks, request, observer).run();
}

std::string plugins_in_use(const ResolvedCell& cell) {
  std::vector<const PluginChoice*> choices = {&cell.objective, &cell.image.backbone, &cell.text.backbone,
                                              &cell.text.tokenizer, &cell.train.dataset};
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
