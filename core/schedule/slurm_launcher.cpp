#include "schedule/slurm_launcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>

#include "schedule/attempt.h"
#include "schedule/local_launcher.h"
#include "silc/error.h"
#include "spec/short_hash.h"
#include "text/names.h"

namespace silc {

namespace {

constexpr double kSecondThoughts = 5;   // seconds for a second Ctrl-C
constexpr double kAfterRefusal = 30;    // seconds until sbatch is tried again
constexpr double kWhileCancelling = 1;  // seconds between looks at the queue
constexpr std::size_t kNamed = 24;      // characters of an experiment's or row's name in a job's

std::string beginning(const std::string& name) {
  std::string text = path_name(name).substr(0, kNamed);
  while (!text.empty() && text.back() == '-') text.pop_back();
  return text;
}

// The last line of a job's output that says why it failed; empty: there is none.
std::string last_words(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string last;
  for (std::string line; std::getline(stream, line);) {
    const bool says_nothing = line.find_first_not_of(" \t\r") == std::string::npos ||
                              line.starts_with("silc: ended with") || line.starts_with("silc: job ") ||
                              line.starts_with("srun: error: ");
    if (!says_nothing) last = line;
  }
  return last;
}

// Variables of silc itself, and those that the experiment names, as this silc has them.
std::vector<std::pair<std::string, std::string>> exported(const SlurmOrder& order) {
  std::vector<std::string> names = {"SILC_DATA", "SILC_LOG", "SLURM_CONF"};
  names.insert(names.end(), order.settings.environment.begin(), order.settings.environment.end());
  std::vector<std::pair<std::string, std::string>> variables = {{"SILC_ENGINE", order.engine.program.string()}};
  for (const std::string& name : names)
    if (const char* value = std::getenv(name.c_str()); value != nullptr) variables.emplace_back(name, value);
  return variables;
}

int64_t threads_for(const SlurmOrder& order, const ResolvedCell& cell) {
  if (cell.engine.threads > 0) return cell.engine.threads;
  if (order.threads > 0) return std::max<int64_t>(1, order.threads / ranks_of(cell));
  return order.settings.cpus_per_task;
}

// What cells that are submitted together come to. `jobs`: their submissions so far, which tell names apart.
SlurmSubmission submission_of(const SlurmOrder& order, const std::vector<const CellTask*>& tasks,
                              const std::vector<int64_t>& numbers, const SlurmGroup& group) {
  const ResolvedCell& first = tasks.front()->cell;
  SlurmSubmission submission;
  std::string identity = order.runs.string();
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    identity += fmt::format("\n{} {} {}", tasks[i]->folder.path.string(), tasks[i]->id, numbers[i]);
    submission.folders.push_back(std::filesystem::absolute(tasks[i]->folder.path));
  }
  submission.name = "silc-" + beginning(first.experiment);
  if (tasks.size() == 1) submission.name += fmt::format("-{}-{}", beginning(first.row), path_name(cell_label(first)));
  submission.name += "-" + short_hash(identity);
  submission.indices = group.indices;
  submission.dependency = group.dependency;
  submission.ranks = ranks_of(first);
  submission.threads = threads_for(order, first);
  submission.silc = order.silc;
  submission.outputs = std::filesystem::absolute(tasks.front()->folder.experiment()) / "slurm";
  submission.script = submission.outputs / (submission.name + ".sh");
  submission.working_folder = std::filesystem::current_path();
  for (const auto& path : order.engine.plugin_paths) submission.plugin_paths.push_back(std::filesystem::absolute(path));
  submission.environment = exported(order);
  return submission;
}

// 0 where there is none.
int exit_code_of(const Event& attempt) { return attempt.is_null() ? 0 : attempt.value("exit_code", 0); }

// How a job ended that Slurm has forgotten, by what the node wrote down. One that was killed with all that watched it
// may have been lost with its node.
JobState state_by(const Event& attempt) {
  if (attempt.is_null() || attempt.value("signal", 0) == SIGKILL) return JobState::unknown;
  return attempt.contains("exit_code") && exit_code_of(attempt) == 0 ? JobState::completed : JobState::failed;
}

// What may come to an end by no fault of the cell.
bool may_be_tried_again(const JobAccount& account, const Event& attempt) {
  switch (account.state) {
    case JobState::node_fail:
    case JobState::preempted:
    case JobState::timeout:
    case JobState::unknown:
      return true;
    case JobState::failed:
      return exit_code_of(attempt) == 130 || attempt.contains("interrupted");
    default:
      return false;
  }
}

// The last line of attempts.jsonl that is of this job; null: there is none.
Event last_attempt(const RunFolder& folder, const std::string& job) {
  Event last;
  uint64_t offset = 0;
  for (Event& line : read_events(folder.attempts(), offset))
    if (line.value("job", "") == job) last = std::move(line);
  return last;
}

}  // namespace

struct SlurmLauncher::Job {
  enum class Stage {
    looked_for,  // another silc submitted it, or sbatch did not say whether it did
    waiting,     // to be submitted
    submitting,
    queued,   // waiting in Slurm's queue, or running
    counted,  // over, and the accounting is asked what it came to
    ended,
  };

  CellTask task;
  Submission submission;
  Stage stage = Stage::waiting;
  JobState state = JobState::pending;
  std::string reason;
  std::string nodes;
  std::string waits_for;  // job that trains what it starts from; empty: none, or not known
  bool begun = false;
  bool adopted = false;
  uint64_t news = 0;  // the look at the queue after which there may be new events
  std::optional<WorkEnd> end;

  [[nodiscard]] bool is_live() const {
    return stage == Stage::looked_for || stage == Stage::submitting || stage == Stage::queued;
  }
  [[nodiscard]] std::string place() const { return describe_job(submission.job, state, reason, nodes); }
};

class SlurmLauncher::Work : public CellWork {
 public:
  Work(std::shared_ptr<Job> job, std::unique_ptr<FileLock> lock) : job_(std::move(job)), lock_(std::move(lock)) {}

  std::optional<WorkEnd> poll() override { return job_->end; }
  bool has_news() override { return std::exchange(seen_, job_->news) != job_->news; }
  [[nodiscard]] std::string where() const override {
    return job_->stage == Job::Stage::queued ? job_->place() : std::string();
  }
  [[nodiscard]] bool begun() const override { return job_->begun; }
  [[nodiscard]] bool adopted() const override { return job_->adopted; }

 private:
  std::shared_ptr<Job> job_;
  std::unique_ptr<FileLock> lock_;
  uint64_t seen_ = 0;
};

// Some of Slurm's programs, one after the other, in a thread of its own: the controller may take its time.
struct SlurmLauncher::Command {
  std::future<std::vector<SlurmAnswer>> answers;
  std::function<void(const std::vector<SlurmAnswer>&)> take;
};

SlurmLauncher::SlurmLauncher(SlurmOrder order, LaunchListener& listener)
    : order_(std::move(order)), listener_(listener) {
  order_.runs = std::filesystem::absolute(order_.runs);
}

SlurmLauncher::~SlurmLauncher() = default;

std::unique_ptr<FileLock> SlurmLauncher::lock(const RunFolder& folder) {
  const SlurmFolder slurm(folder);
  std::error_code error;
  std::filesystem::create_directories(slurm.path, error);
  if (error) throw Error(slurm.path.string() + ": cannot be made: " + error.message());
  auto lock = FileLock::try_lock(slurm.lock());
  if (lock == nullptr) return nullptr;
  // One that no job of ours holds: a silc trains the cell on its own machine.
  const auto submission = read_submission(slurm);
  if ((!submission || submission->over) && FileLock::is_locked(folder.lock())) return nullptr;
  return lock;
}

bool SlurmLauncher::owes(const RunFolder& folder) const {
  const auto submission = read_submission(SlurmFolder(folder));
  return submission && !submission->over;
}

std::unique_ptr<CellWork> SlurmLauncher::start(const CellTask& task, std::unique_ptr<FileLock> lock) {
  auto job = std::make_shared<Job>();
  job->task = task;
  if (const auto earlier = read_submission(SlurmFolder(task.folder))) {
    job->submission = *earlier;
    if (!earlier->over && earlier->until == task.until) {
      job->stage = Job::Stage::looked_for;
      job->adopted = true;
      next_poll_ = 0;
    } else {
      ++job->submission.number;
      job->submission.fruitless = 0;
    }
  }
  const std::filesystem::path& key = task.folder.path;
  if (!jobs_.contains(key)) order_of_jobs_.push_back(key);
  jobs_[key] = job;
  return std::make_unique<Work>(job, std::move(lock));
}

void SlurmLauncher::look() {
  if (command_) {
    if (command_->answers.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
    const auto done = std::move(command_);
    done->take(done->answers.get());
  }
  if (mode_ == Mode::about_to_leave && uptime() >= leave_at_) mode_ = Mode::leaving;
  if (mode_ != Mode::watching)
    for (auto& [folder, job] : jobs_)
      if (job->stage == Job::Stage::waiting) end_before_submission(job);
  if (mode_ == Mode::leaving) {
    for (auto& [folder, job] : jobs_)
      if (!job->end) job->end = WorkEnd{.kind = WorkEnd::Kind::left};
    return;
  }
  if (cancel_next() || account_next() || (mode_ == Mode::watching && submit_next())) return;
  poll_next();
}

std::string SlurmLauncher::stop(const StopWish& wish) {
  const auto jobs = static_cast<int64_t>(live().size());
  const auto cancel = [&] {
    mode_ = Mode::cancelling;
    next_poll_ = 0;
    return jobs == 0 ? std::string()
                     : fmt::format("cancelling {}: those that run write a checkpoint first{}", count(jobs, "job"),
                                   wish.requests > 0 ? "; once more (Ctrl-C) to leave them to it" : "");
  };
  const auto leave = [&](const std::string& more) {
    return jobs == 0 ? std::string()
                     : fmt::format("{} {} on in Slurm without silc; the same command watches {} again{}",
                                   count(jobs, "job"), jobs == 1 ? "goes" : "go", jobs == 1 ? "it" : "them", more);
  };
  if (wish.requests == 0) return cancel();
  if (wish.by_interrupt && mode_ == Mode::watching && order_.settings.cancel_on_interrupt) return cancel();
  if (wish.by_interrupt && mode_ == Mode::watching && jobs > 0) {
    mode_ = Mode::about_to_leave;
    leave_at_ = uptime() + kSecondThoughts;
    return leave(
        fmt::format("; once more (Ctrl-C) within {:g} s to cancel {}", kSecondThoughts, jobs == 1 ? "it" : "them"));
  }
  if (wish.by_interrupt && mode_ == Mode::about_to_leave) return cancel();
  mode_ = Mode::leaving;
  return leave("");
}

std::vector<std::shared_ptr<SlurmLauncher::Job>> SlurmLauncher::live() const {
  std::vector<std::shared_ptr<Job>> jobs;
  for (const auto& folder : order_of_jobs_)
    if (const auto& job = jobs_.at(folder); !job->end && job->is_live()) jobs.push_back(job);
  return jobs;
}

// What the cell starts from, if that is being worked on.
std::shared_ptr<SlurmLauncher::Job> SlurmLauncher::before(const Job& job) const {
  if (job.task.cell.start.cell.empty()) return nullptr;
  for (const auto& folder : order_of_jobs_)
    if (const auto& other = jobs_.at(folder); other->task.id == job.task.cell.start.cell) return other;
  return nullptr;
}

void SlurmLauncher::end_before_submission(const std::shared_ptr<Job>& job) {
  job->stage = Job::Stage::ended;
  job->end = WorkEnd{.kind = WorkEnd::Kind::not_begun};
}

// Submits what can be submitted next. False: nothing can.
bool SlurmLauncher::submit_next() {
  if (uptime() < submit_from_) return false;
  std::vector<std::shared_ptr<Job>> jobs;
  std::vector<SlurmCandidate> candidates;
  for (const auto& folder : order_of_jobs_) {
    const auto& job = jobs_.at(folder);
    if (job->stage != Job::Stage::waiting || job->end) continue;
    SlurmCandidate candidate{.ranks = ranks_of(job->task.cell), .threads = threads_for(order_, job->task.cell)};
    if (const auto first = before(*job); first != nullptr && !is_done(first->task)) {
      if (first->end) {
        end_before_submission(job);  // it left nothing to start from, which the scheduler says
        continue;
      }
      if (first->stage != Job::Stage::queued) continue;
      candidate.before = first->submission.job;
    }
    jobs.push_back(job);
    candidates.push_back(candidate);
  }
  if (jobs.empty()) return false;
  const auto in_queue = static_cast<int64_t>(live().size());
  int64_t most = order_.facts.most_in_array;
  // All at once, with a limit of their own, where there are no others; else as many as there is room for.
  const int64_t limit = order_.settings.max_jobs;
  const bool whole = in_queue == 0;
  if (limit > 0 && !whole && candidates.front().before.empty()) most = std::min(most, limit - in_queue);
  if (most <= 0) return false;
  const SlurmGroup group = next_group(candidates, most);
  std::vector<std::shared_ptr<Job>> members;
  std::vector<const CellTask*> tasks;
  std::vector<int64_t> numbers;
  for (const std::size_t member : group.members) {
    members.push_back(jobs[member]);
    tasks.push_back(&jobs[member]->task);
    numbers.push_back(jobs[member]->submission.number);
  }
  SlurmSubmission submission = submission_of(order_, tasks, numbers, group);
  if (limit > 0 && !group.indices.empty()) submission.most_at_once = limit;
  try {
    std::filesystem::create_directories(submission.outputs);
    write_file_durably(submission.script, render_script(submission, order_.settings));
    // Variables that come along may be secrets.
    std::filesystem::permissions(submission.script,
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    for (std::size_t i = 0; i < members.size(); ++i) {
      Submission& own = members[i]->submission;
      const EngineSettings& engine = members[i]->task.cell.engine;
      own.name = submission.name;
      own.index = group.indices.empty() ? std::nullopt : std::optional(group.indices[i]);
      own.job.clear();
      own.time = wall_clock();
      own.until = members[i]->task.until;
      own.step = last_checkpoint(members[i]->task.folder);
      own.output = output_of(submission, own.index.value_or(0)).string();
      own.hang_seconds = engine.hang_seconds;
      own.memory_limit = engine.memory_limit;
      own.over = false;
      members[i]->waits_for = candidates[group.members[i]].before;
      write_submission(SlurmFolder(members[i]->task.folder), own);
      members[i]->stage = Job::Stage::submitting;
    }
  } catch (const std::exception& error) {
    for (const auto& job : members) {
      job->stage = Job::Stage::ended;
      job->end = WorkEnd{.kind = WorkEnd::Kind::ended, .failure = error.what()};
    }
    return true;
  }
  run({sbatch_line(submission, order_.settings)},
      [this, members](const std::vector<SlurmAnswer>& answers) { take_submission(members, answers[0]); });
  return true;
}

void SlurmLauncher::take_submission(const std::vector<std::shared_ptr<Job>>& jobs, const SlurmAnswer& answer) {
  const std::string id = parse_sbatch(answer.output);
  if (answer.ok && !id.empty()) {
    reachable();
    for (const auto& job : jobs) {
      Submission& own = job->submission;
      own.job = own.index ? fmt::format("{}_{}", id, *own.index) : id;
      job->stage = Job::Stage::queued;
      job->state = JobState::pending;
      job->reason.clear();
      write_submission(SlurmFolder(job->task.folder), own);
    }
    listener_.note(fmt::format("submitted {} as job {} ({})", count(static_cast<int64_t>(jobs.size()), "cell"), id,
                               jobs[0]->submission.name));
    next_poll_ = std::min(next_poll_, uptime() + 1);
    return;
  }
  const SlurmRefusal refusal = answer.ok ? SlurmRefusal::unreachable : answer.refusal();
  if (refusal == SlurmRefusal::unreachable) {
    // It may have been submitted all the same.
    unreachable(answer.complaint());
    for (const auto& job : jobs) job->stage = Job::Stage::looked_for;
    return;
  }
  for (const auto& job : jobs) job->stage = Job::Stage::waiting;
  if (refusal == SlurmRefusal::limit && !live().empty()) {
    submit_from_ = uptime() + kAfterRefusal;
    if (!std::exchange(limit_told_, true))
      listener_.warning(
          fmt::format("Slurm takes no more jobs for now: {}; {} will be submitted as others end "
                      "(launcher.slurm.max_jobs keeps to a limit)",
                      answer.complaint(), count(static_cast<int64_t>(jobs.size()), "cell")));
    return;
  }
  const std::string remedy = remedy_for(answer.complaint());
  for (const auto& job : jobs) {
    job->submission.over = true;
    write_submission(SlurmFolder(job->task.folder), job->submission);
    job->stage = Job::Stage::ended;
    job->end = WorkEnd{.kind = WorkEnd::Kind::ended,
                       .failure = fmt::format("sbatch refused the job: {}{}", answer.complaint(),
                                              remedy.empty() ? "" : "; " + remedy)};
  }
}

// Cancels what is to be cancelled, once. False: there is nothing.
bool SlurmLauncher::cancel_next() {
  std::vector<std::string> line = {"scancel"};
  // One whose number is not known yet comes after the next look at the queue.
  if (mode_ == Mode::cancelling)
    for (const auto& job : live())
      if (!job->submission.job.empty()) to_cancel_.insert(job->submission.job);
  for (const std::string& job : to_cancel_)
    if (!cancelled_.contains(job)) line.push_back(job);
  if (line.size() == 1) return false;
  cancelled_.insert(line.begin() + 1, line.end());
  run({line}, [this](const std::vector<SlurmAnswer>& answers) {
    next_poll_ = 0;
    if (answers[0].ok || answers[0].refusal() != SlurmRefusal::unreachable) return;
    unreachable(answers[0].complaint());
    cancelled_.clear();
  });
  return true;
}

// Asks what jobs that are over came to.
bool SlurmLauncher::account_next() {
  constexpr std::size_t kMost = 50;  // at a time
  std::vector<std::shared_ptr<Job>> jobs;
  std::vector<std::vector<std::string>> lines;
  for (const auto& folder : order_of_jobs_) {
    const auto& job = jobs_.at(folder);
    if (job->stage != Job::Stage::counted || job->end || jobs.size() == kMost) continue;
    jobs.push_back(job);
    const std::string& number = job->submission.job;
    if (order_.facts.accounts)
      lines.push_back({"sacct", "--allocations", "--duplicates", "--noheader", "--parsable2", "--jobs=" + number,
                       "--format=" + std::string(kSacctFormat)});
    else
      lines.push_back({"scontrol", "--oneliner", "show", "job", number});
  }
  if (jobs.empty()) return false;
  run(lines, [this, jobs](const std::vector<SlurmAnswer>& answers) {
    for (std::size_t i = 0; i < jobs.size(); ++i) without_faults(jobs[i], [&] { take_accounts(jobs[i], answers[i]); });
  });
  return true;
}

void SlurmLauncher::take_accounts(const std::shared_ptr<Job>& job, const SlurmAnswer& answer) {
  std::vector<JobAccount> accounts;
  if (order_.facts.accounts) {
    accounts = parse_sacct(answer.output, job->submission.job);
    // Not every cluster lets everybody ask its database: the controller remembers for some minutes.
    if (accounts.empty() || !is_over(accounts.back().state)) {
      order_.facts.accounts = false;
      return;
    }
  } else if (!answer.ok && answer.refusal() == SlurmRefusal::unreachable) {
    return unreachable(answer.complaint());
  } else if (const auto account = parse_scontrol_job(answer.output)) {
    accounts.push_back(*account);
  }
  conclude(job, accounts);
}

bool SlurmLauncher::poll_next() {
  if (live().empty() || uptime() < next_poll_) return false;
  next_poll_ = uptime() + (mode_ == Mode::watching ? order_.settings.poll_seconds : kWhileCancelling);
  run({squeue_line()}, [this](const std::vector<SlurmAnswer>& answers) { take_queue(answers[0]); });
  return true;
}

void SlurmLauncher::run(std::vector<std::vector<std::string>> lines,
                        std::function<void(const std::vector<SlurmAnswer>&)> take) {
  command_ = std::make_unique<Command>();
  command_->take = std::move(take);
  command_->answers = std::async(std::launch::async, [this, lines = std::move(lines)] {
    std::vector<SlurmAnswer> answers;
    for (const auto& line : lines) answers.push_back(client_.call(line));
    return answers;
  });
}

// A run folder that is damaged, or cannot be written, is the affair of its cell.
void SlurmLauncher::without_faults(const std::shared_ptr<Job>& job, const std::function<void()>& what) {
  try {
    what();
  } catch (const Error& error) {
    job->stage = Job::Stage::ended;
    job->end = WorkEnd{.kind = WorkEnd::Kind::ended, .failure = error.what()};
  }
}

void SlurmLauncher::take_queue(const SlurmAnswer& answer) {
  if (!answer.ok) return unreachable(answer.complaint());
  reachable();
  ++looks_;
  std::map<std::pair<std::string, std::string>, QueuedJob> lines;  // by name and index; the latest job counts
  for (QueuedJob& line : parse_squeue(answer.output)) {
    const auto mark = line.id.find('_');
    const std::string index = mark == std::string::npos ? "" : line.id.substr(mark + 1);
    lines.insert_or_assign({line.name, index}, std::move(line));
  }
  for (const auto& job : live()) {
    if (job->stage == Job::Stage::submitting) continue;
    const Submission& own = job->submission;
    const auto line = lines.find({own.name, own.index ? std::to_string(*own.index) : ""});
    if (line != lines.end()) {
      without_faults(job, [&] { take_line(job, line->second); });
    } else if (own.job.empty()) {
      // sbatch never came to it.
      job->stage = Job::Stage::waiting;
      job->adopted = false;
    } else {
      job->stage = Job::Stage::counted;  // longer ago than the controller remembers
      job->state = JobState::unknown;
    }
  }
}

void SlurmLauncher::take_line(const std::shared_ptr<Job>& job, const QueuedJob& line) {
  Submission& own = job->submission;
  if (own.job != line.id) {
    own.job = line.id;
    write_submission(SlurmFolder(job->task.folder), own);
  }
  const JobState earlier = job->state;
  job->stage = Job::Stage::queued;
  job->state = line.state;
  job->reason = line.reason;
  job->nodes = line.nodes;
  if (line.state == JobState::running) {
    job->begun = true;
    job->news = looks_;
  }
  // Started anew by Slurm, or by itself.
  if (earlier != line.state && !is_over(line.state)) {
    for (Event& attempt : new_attempts(job->task.folder, own, {}, line.state == JobState::pending)) {
      attempt["interrupted"] = true;
      LineAppender(job->task.folder.attempts()).append(attempt.dump(), true);
    }
  }
  if (line.reason == "DependencyNeverSatisfied") to_cancel_.insert(line.id);
  if (is_over(line.state)) job->stage = Job::Stage::counted;
}

void SlurmLauncher::submit_again(const std::shared_ptr<Job>& job, const std::string& why) {
  Submission& own = job->submission;
  const bool further = last_checkpoint(job->task.folder) > own.step;
  own.fruitless = further ? 0 : own.fruitless + 1;
  ++own.number;
  job->stage = Job::Stage::waiting;
  job->adopted = false;
  job->begun = false;
  listener_.note(
      fmt::format("{}, {}: {}; it is submitted again", row_label(job->task.cell), cell_label(job->task.cell), why));
}

// In words, with what to do; empty: the attempt says it, or it is none.
std::string SlurmLauncher::failure_of(const std::shared_ptr<Job>& job, const JobAccount& account,
                                      const Event& attempt) {
  const SlurmSettings& settings = order_.settings;
  const Submission& own = job->submission;
  const std::string name = own.job.empty() ? "the job" : "job " + own.job;
  switch (account.state) {
    case JobState::timeout:
      return fmt::format(
          "{} came to its time limit{} with no time for a checkpoint; a longer launcher.slurm.time, or a "
          "longer launcher.slurm.signal_seconds ({}) to write it in",
          name, settings.time.empty() ? "" : " (launcher.slurm.time = " + settings.time + ")", settings.signal_seconds);
    case JobState::out_of_memory:
      return fmt::format(
          "{} took more memory than it had asked for{}; ask for more, or train with a smaller "
          "optimizer.batch",
          name,
          settings.mem.empty() ? " (launcher.slurm.mem)" : fmt::format(" (launcher.slurm.mem = {})", settings.mem));
    case JobState::node_fail:
      return fmt::format("{}: its node {} failed; launcher.slurm.extra = [\"--exclude={}\"] avoids it", name,
                         account.nodes, account.nodes);
    case JobState::preempted:
      return fmt::format("{} was preempted by others' jobs; another launcher.slurm.partition or qos may be left alone",
                         name);
    case JobState::deadline:
      return fmt::format("{} came to its deadline", name);
    case JobState::unknown:
      return fmt::format("{} is gone, and Slurm does not know what became of it", name);
    case JobState::cancelled:
      return {};
    default:
      break;
  }
  if (!attempt.is_null()) return {};
  if (account.state == JobState::completed) return fmt::format("{} ended without an engine having been started", name);
  const std::string line = last_words(own.output);
  return fmt::format("{} failed before an engine was started{}; see {}", name, line.empty() ? "" : ": " + line,
                     own.output);
}

void SlurmLauncher::conclude(const std::shared_ptr<Job>& job, const std::vector<JobAccount>& accounts) {
  const RunFolder& folder = job->task.folder;
  Submission& own = job->submission;
  JobAccount account = accounts.empty() ? JobAccount{} : accounts.back();
  std::vector<Event> attempts = new_attempts(folder, own, accounts, true);
  Event none;
  Event& last = attempts.empty() ? none : attempts.back();
  if (attempts.empty()) none = last_attempt(folder, own.job);
  if (accounts.empty()) account.state = is_over(job->state) ? job->state : state_by(last);
  const bool done = is_done(job->task);

  std::string failure;
  bool again = false;
  if (done) {
    // The node may have been lost a moment later.
    if (const int code = exit_code_of(last);
        last.is_null() || last.contains("signal") || (code != 0 && code != kPaused)) {
      if (last.is_object()) last.erase("signal");
      last["exit_code"] = is_finished(folder) ? 0 : kPaused;
    }
  } else {
    failure = failure_of(job, account, last);
    const bool further = last_checkpoint(folder) > own.step;
    again = may_be_tried_again(account, last) && mode_ == Mode::watching &&
            (further || own.fruitless < order_.settings.retries);
    if (failure.empty() && !again && may_be_tried_again(account, last) && mode_ == Mode::watching)
      failure = fmt::format(
          "job {} was interrupted {} in a row before it could write a checkpoint; give it more time "
          "(launcher.slurm.time), or more retries (launcher.slurm.retries)",
          own.job, count(own.fruitless + 1, "time"));
    else if (!failure.empty() && !again && own.fruitless > 0)
      failure += fmt::format(" ({} in a row without a new checkpoint)", count(own.fruitless + 1, "time"));
    const bool by_wish = account.state == JobState::cancelled || mode_ != Mode::watching;
    const bool interrupted = again || (by_wish && account.state != JobState::failed);
    if (!last.is_null() && interrupted) last["interrupted"] = true;
    if (!last.is_null() && !interrupted && !failure.empty()) last["stopped"] = failure;
  }
  // Of a job that failed on its own there is a line too, for those who only read run folders.
  if (attempts.empty() && last.is_null() && !failure.empty() && !again && account.start > 0)
    attempts.push_back({{"start", account.start},
                        {"end", account.end},
                        {"exit_code", std::max(1, account.exit_code)},
                        {"core_seconds", 0.0},
                        {"peak_memory", 0},
                        {"threads", 0},
                        {"host", account.nodes},
                        {"job", own.job},
                        {"restart", account.restarts},
                        {"nodes", account.nodes},
                        {"job_state", account.state_word},
                        {"allocated_core_seconds", account.core_seconds()},
                        {"allocated_gpu_seconds", account.gpu_seconds()},
                        {"stopped", failure}});
  const Event shown = attempts.empty() ? none : attempts.back();
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    if (i + 1 < attempts.size()) attempts[i]["interrupted"] = true;
    LineAppender(folder.attempts()).append(attempts[i].dump(), true);
  }
  own.over = true;
  write_submission(SlurmFolder(folder), own);
  job->news = looks_ + 1;
  if (again) return submit_again(job, failure.empty() ? "job " + own.job + " was interrupted" : failure);
  job->stage = Job::Stage::ended;
  // Slurm drops what waits for a job that failed.
  const auto first = before(*job);
  const bool dropped = account.state == JobState::cancelled && shown.is_null() && mode_ == Mode::watching &&
                       first != nullptr && !is_done(first->task);
  const bool anew =
      first != nullptr && (first->stage == Job::Stage::waiting || first->submission.job != job->waits_for);
  if (dropped && !first->end && anew) {
    ++own.number;
    job->stage = Job::Stage::waiting;
    job->adopted = false;
    return;
  }
  const bool in_vain = dropped && first->end;
  job->end = WorkEnd{.kind = in_vain ? WorkEnd::Kind::not_begun : WorkEnd::Kind::ended,
                     .attempt = shown,
                     .failure = shown.contains("interrupted") ? "" : failure};
}

void SlurmLauncher::unreachable(const std::string& complaint) {
  next_poll_ = std::max(next_poll_, uptime() + std::min(order_.settings.poll_seconds, kAfterRefusal));
  submit_from_ = next_poll_;
  if (!std::exchange(unreachable_, true))
    listener_.warning(fmt::format("Slurm does not answer: {}; jobs go on meanwhile, and it is asked again every {:g} s",
                                  complaint, order_.settings.poll_seconds));
}

void SlurmLauncher::reachable() {
  if (std::exchange(unreachable_, false)) listener_.note("Slurm answers again");
}

std::string describe_job(const std::string& id, JobState state, const std::string& reason, const std::string& nodes) {
  const std::string name = "job " + id;
  if (state == JobState::pending) return name + " waits" + (reason.empty() ? "" : ": " + reason);
  if (state == JobState::running) return name + (nodes.empty() ? " runs" : " on " + nodes);
  return name;
}

std::map<std::filesystem::path, CellInQueue> look_into_queue(const std::vector<RunFolder>& folders) {
  std::map<std::filesystem::path, CellInQueue> found;
  std::map<std::filesystem::path, Submission> submissions;
  for (const RunFolder& folder : folders)
    if (const auto submission = read_submission(SlurmFolder(folder)); submission && !submission->over)
      submissions[folder.path] = *submission;
  if (submissions.empty() || find_program("squeue").empty()) return found;
  constexpr double kPatience = 10;  // seconds: somebody looks on
  const SlurmAnswer answer = SlurmClient().call(squeue_line(), kPatience);
  const std::vector<QueuedJob> lines = parse_squeue(answer.output);
  for (const auto& [path, submission] : submissions) {
    const auto line = std::find_if(lines.rbegin(), lines.rend(), [&](const QueuedJob& each) {
      const auto mark = each.id.find('_');
      const std::string index = mark == std::string::npos ? "" : each.id.substr(mark + 1);
      return each.name == submission.name && index == (submission.index ? std::to_string(*submission.index) : "");
    });
    if (line != lines.rend() && !is_over(line->state))
      found[path] = {line->id, line->state, describe_job(line->id, line->state, line->reason, line->nodes)};
    else if (!answer.ok && !submission.job.empty())
      found[path] = {submission.job, JobState::unknown, "job " + submission.job + ": squeue does not answer"};
  }
  return found;
}

std::vector<SlurmSubmission> plan_submissions(const SlurmOrder& given, std::span<const CellTask> tasks) {
  SlurmOrder order = given;
  order.runs = std::filesystem::absolute(order.runs);
  std::vector<SlurmSubmission> submissions;
  std::map<std::string, std::string> jobs;  // by cell's id: a stand-in for the number that Slurm will give
  std::vector<const CellTask*> left;
  for (const CellTask& task : tasks)
    if (!is_done(task)) left.push_back(&task);
  while (!left.empty()) {
    std::vector<const CellTask*> ready;
    std::vector<SlurmCandidate> candidates;
    for (const CellTask* task : left) {
      const std::string& start = task->cell.start.cell;
      const bool waits =
          std::any_of(left.begin(), left.end(), [&](const CellTask* other) { return other->id == start; });
      if (waits) continue;
      ready.push_back(task);
      candidates.push_back(
          {ranks_of(task->cell), threads_for(order, task->cell), jobs.contains(start) ? jobs[start] : ""});
    }
    if (ready.empty()) break;
    const SlurmGroup group = next_group(candidates, order.facts.most_in_array);
    std::vector<const CellTask*> members;
    for (const std::size_t member : group.members) members.push_back(ready[member]);
    SlurmSubmission submission = submission_of(order, members, std::vector<int64_t>(members.size(), 1), group);
    if (order.settings.max_jobs > 0 && !group.indices.empty()) submission.most_at_once = order.settings.max_jobs;
    submissions.push_back(submission);
    for (std::size_t i = 0; i < members.size(); ++i) {
      const std::string number = std::to_string(submissions.size());
      jobs[members[i]->id] = group.indices.empty() ? number : fmt::format("{}_{}", number, group.indices[i]);
      std::erase(left, members[i]);
    }
  }
  return submissions;
}

}  // namespace silc
