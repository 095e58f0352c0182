// What silc makes of Slurm's words, with programs that stand in for Slurm's and say what a test wants them to. Jobs of
// a real Slurm are tried in tests/slurm.
#include "schedule/slurm_launcher.h"

#include <gmock/gmock.h>

#include <chrono>
#include <functional>
#include <thread>

#include "fixture.h"
#include "silc/error.h"

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;

// A folder of PATH with sbatch and the others. The queue is a file, which tests change.
class FakeSlurm {
 public:
  FakeSlurm() : path_(std::string(std::getenv("PATH"))) {
    program("sbatch", R"(
[ -e refusal ] && { cat refusal >&2; exit 1; }
next=$(($(cat last 2>/dev/null || echo 10) + 1))
for option in "$@"; do
  case $option in
    --job-name=*) name=${option#*=} ;;
    --array=*) array=${option#*=} ;;
  esac
done
array=${array%%\%*}
if [ -z "$array" ]; then
  echo "$next|PENDING|Priority||1|1|N/A|$name" >>queue
else
  for part in ${array//,/ }; do
    for index in $(seq "${part%-*}" "${part#*-}"); do echo "${next}_$index|PENDING|Priority||1|1|N/A|$name" >>queue; done
  done
fi
echo "$next" >last
[ -e lost ] && { cat lost >&2; rm lost; exit 1; }
echo "$next"
)");
    program("squeue", R"([ -e down ] && { cat down >&2; exit 1; }; cat queue 2>/dev/null || true)");
    program(
        "scontrol",
        R"(cat "job-${@: -1}" 2>/dev/null || { echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1; })");
    program("scancel", R"(for id in "$@"; do sed -i "s/^$id|[A-Z]*|[^|]*/$id|CANCELLED|None/" queue
echo "JobId=$id JobState=CANCELLED NumCPUs=1" >"job-$id"; done)");
    setenv("PATH", (folder_.path().string() + ":" + path_).c_str(), 1);
  }
  ~FakeSlurm() { setenv("PATH", path_.c_str(), 1); }

  // At once, for who reads it meanwhile.
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / (name + ".new")) << text;
    std::filesystem::rename(folder_ / (name + ".new"), folder_ / name);
  }
  void remove(const std::string& name) const { std::filesystem::remove(folder_ / name); }
  [[nodiscard]] std::string read(const std::string& name) const {
    return std::filesystem::exists(folder_ / name) ? read_file(folder_ / name) : "";
  }

  // The job is in this state from now on; of one that is over the controller remembers `facts`, too.
  void set(const std::string& id, const std::string& state, const std::string& facts = "") const {
    std::string queue;
    std::istringstream lines(read("queue"));
    for (std::string line; std::getline(lines, line);)
      queue += line.starts_with(id + "|") ? id + "|" + state + "|None|n1|1|1|0" + line.substr(line.rfind('|')) : line,
          queue += "\n";
    write("job-" + id, "JobId=" + id + " JobName=x JobState=" + state + " " + facts + "\n");
    write("queue", queue);
  }

  // One line a call.
  [[nodiscard]] std::vector<std::string> calls(const std::string& name) const {
    std::vector<std::string> found;
    std::istringstream lines(read("calls"));
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(name + " ")) found.push_back(line);
    return found;
  }

 private:
  void program(const std::string& name, const std::string& body) const {
    write(name, "#!/bin/bash\ncd '" + folder_.path().string() + "'\necho \"" + name + " $*\" >>calls\n" + body + "\n");
    std::filesystem::permissions(folder_ / name, std::filesystem::perms::all);
  }

  TemporaryFolder folder_;
  std::string path_;
};

struct Words : LaunchListener {
  void warning(const std::string& message) override { warnings.push_back(message); }
  void note(const std::string& message) override { notes.push_back(message); }
  std::vector<std::string> warnings;
  std::vector<std::string> notes;
};

class SlurmLauncherTest : public ::testing::Test {
 protected:
  SlurmLauncherTest() {
    order_.settings.poll_seconds = 0.02;
    order_.engine = fake_engine();
    order_.silc = "/bin/silc";
    order_.runs = runs_.path();
    begin();
  }

  // silc starts anew: what it held is gone.
  void begin() {
    works_.clear();
    launcher_ = std::make_unique<SlurmLauncher>(order_, words_);
  }

  std::vector<CellTask> tasks(const std::vector<std::string>& rows) const {
    std::vector<ResolvedCell> cells;
    for (const std::string& row : rows) {
      cells.push_back(make_cell(row));
      cells.back().optimizer.lr = 1e-3 * static_cast<double>(cells.size());
    }
    return place_cells(cells, runs_.path());
  }

  CellWork& start(const CellTask& task) {
    auto lock = launcher_->lock(task.folder);
    EXPECT_NE(lock, nullptr);
    works_.push_back(launcher_->start(task, std::move(lock)));
    return *works_.back();
  }

  bool comes(const std::function<bool()>& wanted) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!wanted()) {
      if (std::chrono::steady_clock::now() > until) return false;
      launcher_->look();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  bool is_placed(const CellWork& work, const std::string& where) {
    return comes([&] { return work.where().find(where) != std::string::npos; });
  }
  WorkEnd end_of(CellWork& work) {
    std::optional<WorkEnd> end;
    EXPECT_TRUE(comes([&] { return (end = work.poll()).has_value(); }));
    return end.value_or(WorkEnd{});
  }

  // As silc slurm-task writes it.
  static void record_start(const CellTask& task, const std::string& job, int64_t restart, const Event& end) {
    Event record = {
        {"job", job},    {"restart", restart}, {"rank", 0}, {"ranks", 1},
        {"nodes", "n1"}, {"cpus", 2},          {"gpus", 1}, {"start", 100.0 + 100 * static_cast<double>(restart)},
        {"threads", 2},  {"host", "n1"}};
    record.update(end);
    write_file_durably(SlurmFolder(task.folder).start(job, restart, 0), record.dump());
  }
  static void finish(const CellTask& task, const std::string& job, int64_t restart = 0) {
    append(task.folder.events(), R"({"event":"started","step":0,"time":101})");
    append(task.folder.events(), R"({"event":"finished","time":102})");
    append(task.folder.metrics(), R"({"metrics":[],"cost":{}})");
    record_start(task, job, restart,
                 {{"end", 110.0 + 100 * static_cast<double>(restart)},
                  {"exit_code", 0},
                  {"core_seconds", 12.5},
                  {"peak_memory", 1000}});
  }

  TemporaryFolder runs_;
  FakeSlurm slurm_;
  Words words_;
  SlurmOrder order_;
  std::unique_ptr<SlurmLauncher> launcher_;
  std::vector<std::unique_ptr<CellWork>> works_;
};

TEST_F(SlurmLauncherTest, SubmitsCellsThatAreAlikeAsOneArray) {
  const auto cells = tasks({"CLIP", "SigLIP"});
  for (const CellTask& cell : cells) start(cell);
  EXPECT_TRUE(is_placed(*works_[1], "job 11_1 waits: Priority"));
  ASSERT_THAT(slurm_.calls("sbatch"), SizeIs(1));
  EXPECT_THAT(slurm_.calls("sbatch")[0], AllOf(HasSubstr("--array=0-1"), HasSubstr("--export=NONE")));
  EXPECT_FALSE(works_[0]->begun());
}

TEST_F(SlurmLauncherTest, AScriptWithVariablesIsReadByItsOwnerAlone) {
  const ScopedVariable secret("SILC_TEST_SECRET", "it's secret");
  order_.settings.environment = {"SILC_TEST_SECRET", "SILC_TEST_NOT_SET"};
  begin();
  EXPECT_TRUE(is_placed(start(tasks({"CLIP"})[0]), "job 11"));
  std::filesystem::path script;
  for (const auto& entry : std::filesystem::directory_iterator(runs_ / "bench/slurm")) script = entry.path();
  EXPECT_THAT(read_file(script),
              AllOf(HasSubstr("export SILC_TEST_SECRET='it'\\''s secret'\n"), Not(HasSubstr("SILC_TEST_NOT_SET"))));
  EXPECT_EQ(std::filesystem::status(script).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(SlurmLauncherTest, AFinishedCellHasWhatItCostInItsAttempts) {
  const auto cells = tasks({"CLIP"});
  CellWork& work = start(cells[0]);
  EXPECT_TRUE(is_placed(work, "job 11 waits"));
  slurm_.set("11", "RUNNING");
  EXPECT_TRUE(is_placed(work, "job 11 on n1"));
  EXPECT_TRUE(work.begun());
  finish(cells[0], "11");
  slurm_.set("11", "COMPLETED", "NumCPUs=4 RunTime=00:01:00 TRES=cpu=4,gres/gpu=2 NodeList=n1 EndTime=160");
  const WorkEnd end = end_of(work);
  EXPECT_EQ(end.kind, WorkEnd::Kind::ended);
  EXPECT_EQ(end.failure, "");
  const auto attempts = events_of(cells[0].folder.attempts());
  ASSERT_EQ(attempts.size(), 1U);
  EXPECT_EQ(attempts[0]["exit_code"], 0);
  EXPECT_EQ(attempts[0]["core_seconds"], 12.5);
  EXPECT_EQ(attempts[0]["job"], "11");
  EXPECT_EQ(attempts[0]["allocated_core_seconds"], 240.0);
  EXPECT_EQ(attempts[0]["allocated_gpu_seconds"], 120.0);
}

TEST_F(SlurmLauncherTest, ACellIsNotSubmittedTwiceWhenSilcStartsAnew) {
  const auto cells = tasks({"CLIP"});
  EXPECT_TRUE(is_placed(start(cells[0]), "job 11"));
  begin();
  CellWork& work = start(cells[0]);
  EXPECT_TRUE(work.adopted());
  EXPECT_TRUE(is_placed(work, "job 11"));
  EXPECT_THAT(slurm_.calls("sbatch"), SizeIs(1));
}

TEST_F(SlurmLauncherTest, AnEndThatNobodyWatchedIsTakenIn) {
  const auto cells = tasks({"CLIP"});
  EXPECT_TRUE(is_placed(start(cells[0]), "job 11"));
  begin();
  finish(cells[0], "11");
  slurm_.write("queue", "");  // long ago: the controller has forgotten it
  const WorkEnd end = end_of(start(cells[0]));
  EXPECT_EQ(end.attempt["exit_code"], 0);
  EXPECT_EQ(end.attempt["allocated_core_seconds"], 20.0);  // by what the node wrote: 10 s of 2 CPUs
  EXPECT_THAT(slurm_.calls("sbatch"), SizeIs(1));
}

TEST_F(SlurmLauncherTest, AJobThatWasSubmittedWithoutAnAnswerIsFoundByItsName) {
  slurm_.write("lost", "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation");
  const auto cells = tasks({"CLIP"});
  EXPECT_TRUE(is_placed(start(cells[0]), "job 11"));
  EXPECT_THAT(slurm_.calls("sbatch"), SizeIs(1));
  EXPECT_THAT(words_.warnings, ElementsAre(StartsWith("Slurm does not answer: Socket timed out")));
}

TEST_F(SlurmLauncherTest, NothingIsLostWhileTheControllerIsAway) {
  const auto cells = tasks({"CLIP"});
  CellWork& work = start(cells[0]);
  EXPECT_TRUE(is_placed(work, "job 11"));
  slurm_.write("down", "squeue: error: Unable to contact slurm controller (connect failure)");
  EXPECT_TRUE(comes([&] { return !words_.warnings.empty(); }));
  slurm_.remove("down");
  slurm_.set("11", "RUNNING");
  EXPECT_TRUE(is_placed(work, "on n1"));
  EXPECT_THAT(words_.notes, Contains("Slurm answers again"));
  EXPECT_THAT(words_.warnings, SizeIs(1));
}

TEST_F(SlurmLauncherTest, ARefusedJobFailsItsCellsWithARemedy) {
  slurm_.write("refusal",
               "sbatch: error: Batch job submission failed: Invalid account or account/partition combination");
  const WorkEnd end = end_of(start(tasks({"CLIP"})[0]));
  EXPECT_THAT(end.failure, AllOf(StartsWith("sbatch refused the job: Invalid account"), HasSubstr("launcher.slurm.")));
}

TEST_F(SlurmLauncherTest, CellsBeyondALimitWaitUntilOthersHaveEnded) {
  const auto cells = tasks({"CLIP", "SigLIP"});
  CellWork& first = start(cells[0]);
  EXPECT_TRUE(is_placed(first, "job 11"));
  slurm_.write("refusal", "sbatch: error: QOSMaxSubmitJobPerUserLimit");
  CellWork& second = start(cells[1]);
  EXPECT_TRUE(comes([&] { return !words_.warnings.empty(); }));
  ASSERT_THAT(words_.warnings, SizeIs(1));
  EXPECT_THAT(words_.warnings[0], HasSubstr("launcher.slurm.max_jobs"));
  EXPECT_FALSE(second.poll());
}

TEST_F(SlurmLauncherTest, NoMoreJobsAreInTheQueueThanAllowed) {
  order_.settings.max_jobs = 2;
  begin();
  const auto cells = tasks({"a", "b", "c", "d"});
  CellWork& first = start(cells[0]);
  EXPECT_TRUE(is_placed(first, "job 11"));
  for (std::size_t i = 1; i < 4; ++i) start(cells[i]);
  EXPECT_TRUE(is_placed(*works_[1], "job 12"));
  for (int i = 0; i < 50; ++i) launcher_->look();
  EXPECT_THAT(slurm_.calls("sbatch"), SizeIs(2));
  finish(cells[0], "11");
  slurm_.set("11", "COMPLETED", "NumCPUs=1");
  end_of(first);
  EXPECT_TRUE(is_placed(*works_[2], "job 13"));
}

TEST_F(SlurmLauncherTest, SeveralCellsAtOnceAreAnArrayThatSlurmItselfHoldsBack) {
  order_.settings.max_jobs = 2;
  begin();
  for (const CellTask& cell : tasks({"a", "b", "c"})) start(cell);
  EXPECT_TRUE(is_placed(*works_[2], "job 11_2"));
  EXPECT_THAT(slurm_.calls("sbatch")[0], HasSubstr("--array=0-2%2"));
}

TEST_F(SlurmLauncherTest, APhaseWaitsInTheQueueForTheOneBefore) {
  auto cells = tasks({"first", "second"});
  cells[1].cell.start.cell = cells[0].id;
  for (const CellTask& cell : cells) start(cell);
  EXPECT_TRUE(is_placed(*works_[1], "job 12"));
  EXPECT_THAT(slurm_.calls("sbatch")[1],
              AllOf(HasSubstr("--dependency=afterok:11 "), HasSubstr("--kill-on-invalid-dep")));
}

TEST_F(SlurmLauncherTest, APhaseThatSlurmDropsIsSubmittedAgainBehindTheOneBefore) {
  auto cells = tasks({"first", "second"});
  cells[1].cell.start.cell = cells[0].id;
  for (const CellTask& cell : cells) start(cell);
  EXPECT_TRUE(is_placed(*works_[1], "job 12"));
  slurm_.set("11", "NODE_FAIL", "NumCPUs=1 NodeList=n1");
  slurm_.set("12", "CANCELLED", "NumCPUs=1");
  EXPECT_TRUE(is_placed(*works_[0], "job 13"));
  EXPECT_TRUE(is_placed(*works_[1], "job 14"));
  EXPECT_THAT(slurm_.calls("sbatch")[3], HasSubstr("--dependency=afterok:13 "));
}

TEST_F(SlurmLauncherTest, APhaseAfterOneThatFailedIsNotBegun) {
  auto cells = tasks({"first", "second"});
  cells[1].cell.start.cell = cells[0].id;
  for (const CellTask& cell : cells) start(cell);
  EXPECT_TRUE(is_placed(*works_[1], "job 12"));
  slurm_.set("11", "OUT_OF_MEMORY", "NumCPUs=1 NodeList=n1");
  EXPECT_THAT(end_of(*works_[0]).failure, HasSubstr("more memory"));
  slurm_.set("12", "CANCELLED", "NumCPUs=1");
  EXPECT_EQ(end_of(*works_[1]).kind, WorkEnd::Kind::not_begun);
}

TEST_F(SlurmLauncherTest, AFailureThatNobodyWatchedIsNoLostJob) {
  const auto cells = tasks({"CLIP"});
  EXPECT_TRUE(is_placed(start(cells[0]), "job 11"));
  begin();
  append(cells[0].folder.events(), R"({"event":"failed","time":105,"message":"the loss is not a number"})");
  record_start(cells[0], "11", 0, {{"end", 110.0}, {"exit_code", 1}, {"core_seconds", 1.0}, {"peak_memory", 1}});
  slurm_.write("queue", "");
  const WorkEnd end = end_of(start(cells[0]));
  EXPECT_EQ(end.attempt["exit_code"], 1);
  EXPECT_EQ(end.failure, "");
  EXPECT_THAT(slurm_.calls("sbatch"), SizeIs(1));
}

TEST_F(SlurmLauncherTest, ANodeThatFailsIsNoFaultOfTheCellAndTheJobIsSubmittedAgain) {
  order_.settings.retries = 1;
  begin();
  const auto cells = tasks({"CLIP"});
  CellWork& work = start(cells[0]);
  EXPECT_TRUE(is_placed(work, "job 11"));
  record_start(cells[0], "11", 0, Event::object());
  slurm_.set("11", "NODE_FAIL", "NodeList=n1 NumCPUs=2 RunTime=00:00:10");
  EXPECT_TRUE(is_placed(work, "job 12"));
  EXPECT_THAT(words_.notes, Contains(AllOf(HasSubstr("its node n1 failed"), HasSubstr("submitted again"))));
  EXPECT_EQ(events_of(cells[0].folder.attempts()).back()["interrupted"], true);
  record_start(cells[0], "12", 0, Event::object());
  slurm_.set("12", "NODE_FAIL", "NodeList=n1 NumCPUs=2 RunTime=00:00:10");
  const WorkEnd end = end_of(work);
  EXPECT_THAT(end.failure, AllOf(HasSubstr("--exclude=n1"), HasSubstr("(2 times in a row without a new checkpoint)")));
  EXPECT_THAT(inspect(cells[0].folder).message, HasSubstr("its node n1 failed"));
}

TEST_F(SlurmLauncherTest, AJobThatComesFurtherEachTimeIsSubmittedAsOftenAsItTakes) {
  order_.settings.retries = 0;
  begin();
  const auto cells = tasks({"CLIP"});
  CellWork& work = start(cells[0]);
  for (int i = 1; i <= 3; ++i) {
    const std::string job = std::to_string(10 + i);
    EXPECT_TRUE(is_placed(work, "job " + job));
    append(cells[0].folder.events(), R"({"event":"started","step":0,"time":1})");
    append(cells[0].folder.events(), R"({"event":"checkpointed","time":1,"step":)" + std::to_string(10 * i) + "}");
    record_start(cells[0], job, 0, {{"end", 120.0}, {"exit_code", 130}, {"core_seconds", 1.0}, {"peak_memory", 1}});
    slurm_.set(job, "TIMEOUT", "NumCPUs=1 RunTime=00:01:00");
  }
  EXPECT_TRUE(is_placed(work, "job 14"));
}

TEST_F(SlurmLauncherTest, ATimeLimitWithoutACheckpointSaysSo) {
  order_.settings.retries = 0;
  order_.settings.time = "10";
  begin();
  const auto cells = tasks({"CLIP"});
  CellWork& work = start(cells[0]);
  EXPECT_TRUE(is_placed(work, "job 11"));
  slurm_.set("11", "TIMEOUT", "NumCPUs=1 StartTime=100 EndTime=700 RunTime=00:10:00");
  EXPECT_THAT(end_of(work).failure, AllOf(StartsWith("job 11 came to its time limit (launcher.slurm.time = 10)"),
                                          HasSubstr("launcher.slurm.signal_seconds")));
}

TEST_F(SlurmLauncherTest, AJobWithoutEnoughMemoryFailsAtOnceWithTheRemedy) {
  const auto cells = tasks({"CLIP"});
  CellWork& work = start(cells[0]);
  EXPECT_TRUE(is_placed(work, "job 11"));
  record_start(cells[0], "11", 0, {{"end", 120.0}, {"signal", 9}, {"core_seconds", 1.0}, {"peak_memory", 1}});
  slurm_.set("11", "OUT_OF_MEMORY", "NumCPUs=1");
  EXPECT_THAT(end_of(work).failure, HasSubstr("took more memory than it had asked for (launcher.slurm.mem)"));
  EXPECT_THAT(slurm_.calls("sbatch"), SizeIs(1));
  EXPECT_THAT(inspect(cells[0].folder).message, HasSubstr("launcher.slurm.mem"));
}

TEST_F(SlurmLauncherTest, AJobThatSomebodyCancelledIsInterruptedAndNotSubmittedAgain) {
  const auto cells = tasks({"CLIP"});
  CellWork& work = start(cells[0]);
  EXPECT_TRUE(is_placed(work, "job 11"));
  record_start(cells[0], "11", 0, {{"end", 120.0}, {"signal", 9}, {"core_seconds", 1.0}, {"peak_memory", 1}});
  slurm_.set("11", "CANCELLED", "NumCPUs=1");
  const WorkEnd end = end_of(work);
  EXPECT_EQ(end.failure, "");
  EXPECT_EQ(end.attempt["interrupted"], true);
  EXPECT_EQ(inspect(cells[0].folder).state, FolderState::interrupted);
  begin();
  EXPECT_TRUE(is_placed(start(cells[0]), "job 12"));
}

TEST_F(SlurmLauncherTest, AJobThatFailsBeforeAnEngineStartsIsQuotedFromItsOutput) {
  const auto cells = tasks({"CLIP"});
  CellWork& work = start(cells[0]);
  EXPECT_TRUE(is_placed(work, "job 11"));
  append(read_submission(SlurmFolder(cells[0].folder))->output, "silc: launcher.slurm.setup failed: module load cuda");
  slurm_.set("11", "FAILED", "ExitCode=1:0 NumCPUs=1 StartTime=100 EndTime=101 NodeList=n1");
  EXPECT_THAT(end_of(work).failure,
              AllOf(HasSubstr("before an engine was started: silc: launcher.slurm.setup failed: module load cuda"),
                    EndsWith(".out")));
  EXPECT_EQ(inspect(cells[0].folder).state, FolderState::failed);
}

TEST_F(SlurmLauncherTest, StartsThatSlurmItselfRequeuedAreAttemptsToo) {
  const auto cells = tasks({"CLIP"});
  CellWork& work = start(cells[0]);
  EXPECT_TRUE(is_placed(work, "job 11"));
  slurm_.set("11", "RUNNING");
  EXPECT_TRUE(is_placed(work, "on n1"));
  record_start(cells[0], "11", 0, {{"end", 150.0}, {"exit_code", 130}, {"core_seconds", 7.0}, {"peak_memory", 1}});
  slurm_.set("11", "PENDING");
  EXPECT_TRUE(is_placed(work, "waits"));
  EXPECT_EQ(events_of(cells[0].folder.attempts()).size(), 1U);
  finish(cells[0], "11", 1);
  slurm_.set("11", "COMPLETED", "NumCPUs=2 Restarts=1 RunTime=00:00:10");
  end_of(work);
  const auto attempts = events_of(cells[0].folder.attempts());
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[0]["allocated_core_seconds"], 100.0);
  EXPECT_EQ(attempts[0]["allocated_gpu_seconds"], 50.0);
  EXPECT_EQ(attempts[1]["restart"], 1);
}

TEST_F(SlurmLauncherTest, AHangUpLeavesJobsWhereTheyAre) {
  CellWork& work = start(tasks({"CLIP"})[0]);
  EXPECT_TRUE(is_placed(work, "job 11"));
  EXPECT_THAT(launcher_->stop({1, false}), HasSubstr("1 job goes on in Slurm without silc"));
  EXPECT_EQ(end_of(work).kind, WorkEnd::Kind::left);
  EXPECT_THAT(slurm_.calls("scancel"), IsEmpty());
}

TEST_F(SlurmLauncherTest, TheSecondInterruptCancelsTheJobsOfThisRunAlone) {
  slurm_.write("queue", "5|RUNNING|None|n1|1|1|0|somebody-elses\n");
  CellWork& work = start(tasks({"CLIP"})[0]);
  EXPECT_TRUE(is_placed(work, "job 11"));
  EXPECT_THAT(launcher_->stop({1, true}), HasSubstr("within 5 s to cancel it"));
  launcher_->look();
  EXPECT_FALSE(work.poll());
  EXPECT_THAT(launcher_->stop({2, true}), StartsWith("cancelling 1 job"));
  EXPECT_EQ(end_of(work).kind, WorkEnd::Kind::ended);
  EXPECT_THAT(slurm_.calls("scancel"), ElementsAre("scancel 11"));
}

TEST_F(SlurmLauncherTest, TheFirstInterruptCancelsWhereThatIsAskedFor) {
  order_.settings.cancel_on_interrupt = true;
  begin();
  CellWork& work = start(tasks({"CLIP"})[0]);
  EXPECT_TRUE(is_placed(work, "job 11"));
  EXPECT_THAT(launcher_->stop({1, true}), StartsWith("cancelling 1 job"));
  end_of(work);
  EXPECT_THAT(slurm_.calls("scancel"), SizeIs(1));
}

TEST_F(SlurmLauncherTest, ACellThatThisMachineTrainsIsLeftToIt) {
  const auto cells = tasks({"CLIP"});
  std::filesystem::create_directories(cells[0].folder.path);
  const auto local = FileLock::try_lock(cells[0].folder.lock());
  EXPECT_EQ(launcher_->lock(cells[0].folder), nullptr);
}

TEST_F(SlurmLauncherTest, TheQueueIsShownForCellsWithJobsAlone) {
  const auto cells = tasks({"CLIP", "SigLIP"});
  EXPECT_TRUE(is_placed(start(cells[0]), "job 11"));
  const auto queue = look_into_queue({cells[0].folder, cells[1].folder});
  ASSERT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.at(cells[0].folder.path).words, "job 11 waits: Priority");
}

TEST(SlurmClientTest, SaysSoWhereThereIsNoSlurm) {
  const TemporaryFolder empty;
  const std::string path = std::getenv("PATH");
  setenv("PATH", empty.path().c_str(), 1);
  try {
    SlurmClient client;
    ADD_FAILURE() << "there is a Slurm";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(StartsWith("this machine has no sbatch"), HasSubstr("--launcher local")));
  }
  setenv("PATH", path.c_str(), 1);
}

}  // namespace
}  // namespace silc
