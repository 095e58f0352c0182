#include "schedule/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "schedule/attempt.h"
#include "schedule/local_launcher.h"
#include "schedule/signal_queue.h"
#include "schedule/slurm_folder.h"
#include "silc/error.h"

namespace silc {

namespace {

constexpr std::chrono::milliseconds kPollInterval{200};
constexpr double kRetrySeconds = 1;  // between tries to lock a cell that another silc runs

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

void write_cell_file(const CellTask& task) {
  const std::string content = write_cell(task.cell);
  if (std::filesystem::exists(task.folder.cell()) && read_file(task.folder.cell()) == content) return;
  write_file_durably(task.folder.cell(), content);
}

struct RunningCell {
  size_t index;
  std::unique_ptr<CellWork> work;
  ProgressReader reader;
  double start;
  std::streamoff log_offset;
  bool was_done = false;    // before
  bool begun = false;       // and the observer knows
  std::string where = {};   // as the observer knows it
  bool unreadable = false;  // its events are damaged, and have been complained about
};

class Scheduler {
 public:
  // `source`: null: there are no cells but `tasks`.
  Scheduler(std::vector<CellTask>& tasks, CellSource* source, const RunRequest& request, RunObserver& observer)
      : tasks_(tasks),
        source_(source),
        request_(request),
        observer_(observer),
        launcher_(request.launcher
                      ? request.launcher(observer)
                      : std::make_unique<LocalLauncher>(request.engine, request.threads, request.gpus, observer)) {}

  std::vector<CellOutcome> run() {
    take_in(0);
    std::vector<ResolvedCell> left = source_ == nullptr ? std::vector<ResolvedCell>{} : source_->to_come();
    for (const size_t index : waiting_) left.push_back(tasks_[index].cell);
    launcher_->begin(left);

    while (true) {
      answer_stop_requests();
      if (!stopping_) start_cells();
      if (running_.empty() && (stopping_ || waiting_.empty())) break;
      signals_.wait(kPollInterval);
      follow_cells();
      launcher_->look();
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
      if (is_done(tasks_[index]) && !launcher_->owes(tasks_[index].folder))
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
    const std::string words = launcher_->stop({requests, signals_.last_was_interrupt()});
    if (!words.empty()) observer_.stopping(words);
  }

  void stop_after_failure() {
    if (stopping_) return;
    stopping_ = true;
    launcher_->stop({});
  }

  void start_cells() {
    start_waiting();
    while (!stopping_ && has_room() && take_more()) start_waiting();
  }

  [[nodiscard]] bool has_room() const { return launcher_->has_room(running_.size()); }

  void start_waiting() {
    for (auto next = waiting_.begin(); next != waiting_.end() && !stopping_ && has_room();) {
      if (waits_[*next].next_try > wall_clock() || !after_its_phases(*next))
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
    if (!ended_[before->second])
      return launcher_->chains() && !tasks_[before->second].until && is_worked_on(before->second) && start_cell(index);
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
      case CellEnd::left:
        conclude(index, {CellEnd::not_started});
        return true;
    }
    return true;
  }

  [[nodiscard]] bool is_worked_on(size_t index) const {
    return std::any_of(running_.begin(), running_.end(), [&](const RunningCell& cell) { return cell.index == index; });
  }

  // False if the cell must wait.
  bool start_cell(size_t index) {
    try {
      auto lock = launcher_->lock(tasks_[index].folder);
      if (lock == nullptr) {
        put_off(index);
        return false;
      }
      if (!settled_elsewhere(index)) start_work(index, std::move(lock));
    } catch (const Error& error) {
      fail(index, error.what(), 0);
    }
    return true;
  }

  void put_off(size_t index) {
    Wait& wait = waits_[index];
    wait.next_try = wall_clock() + kRetrySeconds;
    if (!std::exchange(wait.refused, true)) observer_.running_elsewhere(index);
  }

  bool settled_elsewhere(size_t index) {
    const RunFolder& folder = tasks_[index].folder;
    if (launcher_->owes(folder)) return false;
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

  void start_work(size_t index, std::unique_ptr<FileLock> lock) {
    const CellTask& task = tasks_[index];
    write_cell_file(task);
    ProgressReader reader(task.folder.events());
    reader.update();
    const auto log_offset = size_of(task.folder.log());
    const double start = wall_clock();
    const bool was_done = is_done(task);
    auto work = launcher_->start(task, std::move(lock));
    if (!work->adopted()) reader.begin_attempt(work->gpus());
    running_.push_back({index, std::move(work), std::move(reader), start, log_offset, was_done});
    tell_place(running_.back());
  }

  void tell_place(RunningCell& cell) {
    if (const std::string where = cell.work->where(); where != cell.where) {
      cell.where = where;
      observer_.placed(cell.index, where);
    }
    if (cell.begun || !cell.work->begun()) return;
    cell.begun = true;
    observer_.started(cell.index, cell.reader.progress());
  }

  void follow_cells() {
    std::vector<RunningCell> cells = std::exchange(running_, {});
    std::vector<std::pair<RunningCell, WorkEnd>> ended;
    for (RunningCell& cell : cells) {
      const auto end = cell.work->poll();
      if (!end) tell_place(cell);
      // Read after the end was seen, so that the last events are not missed.
      if (cell.work->has_news() || end) read_progress(cell);
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
    if (!news) return;
    cell.work->note_news();
    if (cell.begun) observer_.progressed(cell.index, cell.reader.progress());
  }

  void finish(const RunningCell& cell, const WorkEnd& end) {
    const CellTask& task = tasks_[cell.index];
    CellOutcome outcome;
    outcome.wall_seconds = wall_clock() - cell.start;
    const int code = end.attempt.is_null() ? -1 : end.attempt.value("exit_code", -1);
    if (end.kind == WorkEnd::Kind::left) {
      outcome.end = CellEnd::left;
    } else if (end.kind == WorkEnd::Kind::not_begun) {
      if (!stopping_) {
        waits_[cell.index].next_try = wall_clock() + kRetrySeconds;
        waiting_.push_back(cell.index);
        return;
      }
    } else if (cell.was_done) {
      outcome.end = CellEnd::reused;
    } else if (code == 0 && !cell.unreadable && is_finished(task.folder)) {
      outcome.end = CellEnd::finished;
    } else if (code == kPaused && task.until && !cell.unreadable && is_done(task)) {
      outcome.end = CellEnd::paused;
    } else if (!end.failure.empty()) {
      return fail(cell.index, end.failure, outcome.wall_seconds);
    } else if (end.attempt.is_null() || failure_of_attempt(end.attempt).empty()) {
      outcome.end = CellEnd::interrupted;
    } else {
      return fail(cell.index, failure(cell, end.attempt), outcome.wall_seconds);
    }
    conclude(cell.index, outcome);
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
  std::unique_ptr<Launcher> launcher_;
  std::vector<RunningCell> running_;
  int answered_requests_ = 0;
  bool stopping_ = false;
};

}  // namespace

bool is_done(const CellTask& task) {
  return is_finished(task.folder) || (task.until && paused_at(task.folder, *task.until));
}

int64_t ranks_of(const ResolvedCell& cell) { return is_evaluated_only(cell) ? 1 : cell.engine.ranks; }

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
    const SlurmFolder slurm(folder);
    const auto lock = FileLock::try_lock(folder.lock());
    if (lock == nullptr || FileLock::is_locked(slurm.lock())) {
      running.push_back(index);
      continue;
    }
    // metrics.json first: a cell is not finished without it, whatever else a power cut leaves.
    for (const auto& path :
         {folder.metrics(), folder.events(), folder.attempts(), folder.checkpoints(), folder.samples(), slurm.path})
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
