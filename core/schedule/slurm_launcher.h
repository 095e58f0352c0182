// Cells as jobs of Slurm. silc submits them (an array where they are alike, dependencies where one starts from
// another), looks at the queue now and then, and takes in what became of them; Slurm decides when and where they run.
// Jobs go on when silc ends, and are found again by their names. No LibTorch.
#pragma once

#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "schedule/launcher.h"
#include "schedule/schedule.h"
#include "schedule/slurm_client.h"
#include "schedule/slurm_folder.h"

namespace silc {

struct SlurmOrder {
  SlurmSettings settings;
  ClusterFacts facts;
  Engine engine;
  std::filesystem::path silc;  // this program
  std::filesystem::path runs;  // the runs folder
  int64_t threads = 0;         // of each cell; 0: what its experiment fixes, else what the job may use
};

class SlurmLauncher : public Launcher {
 public:
  SlurmLauncher(SlurmOrder order, LaunchListener& listener);
  // Waits for a program of Slurm that is running.
  ~SlurmLauncher() override;

  // Slurm has its own limits, and max_jobs is kept when jobs are submitted.
  [[nodiscard]] bool has_room(std::size_t /*running*/) const override { return true; }
  [[nodiscard]] bool chains() const override { return true; }
  // SlurmFolder::lock().
  std::unique_ptr<FileLock> lock(const RunFolder& folder) override;
  // A job that ended while no silc was there.
  [[nodiscard]] bool owes(const RunFolder& folder) const override;
  // Goes on with a job that is there; else one is submitted at the next look.
  std::unique_ptr<CellWork> start(const CellTask& task, std::unique_ptr<FileLock> lock) override;
  void look() override;
  // SIGTERM, SIGHUP: leaves at once, and jobs go on. SIGINT: leaves if none follows soon; the second one cancels this
  // run's jobs, the third leaves at once. A failure with --fail-fast cancels.
  std::string stop(const StopWish& wish) override;

 private:
  class Work;
  struct Job;
  enum class Mode { watching, about_to_leave, leaving, cancelling };
  struct Command;

  bool submit_next();
  bool cancel_next();
  bool account_next();
  bool poll_next();
  void take_submission(const std::vector<std::shared_ptr<Job>>& jobs, const SlurmAnswer& answer);
  void take_queue(const SlurmAnswer& answer);
  void take_line(const std::shared_ptr<Job>& job, const QueuedJob& line);
  void take_accounts(const std::shared_ptr<Job>& job, const SlurmAnswer& answer);
  void conclude(const std::shared_ptr<Job>& job, const std::vector<JobAccount>& accounts);
  void submit_again(const std::shared_ptr<Job>& job, const std::string& why);
  std::string failure_of(const std::shared_ptr<Job>& job, const JobAccount& account, const Event& attempt);
  void end_before_submission(const std::shared_ptr<Job>& job);
  void run(std::vector<std::vector<std::string>> lines, std::function<void(const std::vector<SlurmAnswer>&)> take);
  static void without_faults(const std::shared_ptr<Job>& job, const std::function<void()>& what);
  void unreachable(const std::string& complaint);
  void reachable();
  [[nodiscard]] std::shared_ptr<Job> before(const Job& job) const;
  [[nodiscard]] std::vector<std::shared_ptr<Job>> live() const;

  SlurmOrder order_;
  LaunchListener& listener_;
  SlurmClient client_;
  std::map<std::filesystem::path, std::shared_ptr<Job>> jobs_;  // by run folder
  std::vector<std::filesystem::path> order_of_jobs_;            // in the order in which they came
  Mode mode_ = Mode::watching;
  double leave_at_ = 0;              // uptime(), when about to leave
  double next_poll_ = 0;             // uptime()
  double submit_from_ = 0;           // uptime(), after a refusal
  std::set<std::string> to_cancel_;  // jobs
  std::set<std::string> cancelled_;  // those of them that scancel was told of
  bool unreachable_ = false;         // and the user knows
  bool limit_told_ = false;
  uint64_t looks_ = 0;                // at the queue
  std::unique_ptr<Command> command_;  // that runs
};

// What Slurm has of these cells, for who only wants to see: one query. Empty where no cell has a job that is not over,
// or where there is no Slurm.
struct CellInQueue {
  std::string job;
  JobState state = JobState::unknown;
  std::string words;  // "job 12_3 waits: Priority", "job 12_3 on n1", "job 12_3: squeue does not answer"
};
std::map<std::filesystem::path, CellInQueue> look_into_queue(const std::vector<RunFolder>& folders);

// "job 12_3 waits: Priority"
std::string describe_job(const std::string& id, JobState state, const std::string& reason, const std::string& nodes);

// The submissions that a run of these cells would begin with, to show.
std::vector<SlurmSubmission> plan_submissions(const SlurmOrder& order, std::span<const CellTask> tasks);

}  // namespace silc
