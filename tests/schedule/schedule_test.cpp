#include "schedule/schedule.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <thread>

#include "fixture.h"
#include "silc/error.h"

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Calls what a test has put in.
struct Watcher : RunObserver {
  void started(size_t index, const CellProgress& /*progress*/) override {
    running.push_back(index);
    most_running = std::max(most_running, running.size());
  }
  void progressed(size_t index, const CellProgress& progress) override {
    if (on_progress) on_progress(index, progress);
  }
  void ended(size_t index, const CellOutcome& outcome) override {
    std::erase(running, index);
    if (on_end) on_end(index, outcome);
  }
  void running_elsewhere(size_t index) override {
    if (on_elsewhere) on_elsewhere(index);
  }
  void tick() override {
    if (on_tick) on_tick();
  }

  std::vector<size_t> running;
  size_t most_running = 0;
  std::function<void(size_t, const CellProgress&)> on_progress;
  std::function<void(size_t, const CellOutcome&)> on_end;
  std::function<void(size_t)> on_elsewhere;
  std::function<void()> on_tick;
};

class ScheduleTest : public ::testing::Test {
 protected:
  std::vector<CellTask> tasks(const std::vector<std::string>& rows) const {
    std::vector<ResolvedCell> cells;
    for (const std::string& row : rows) cells.push_back(make_cell(row));
    return place_cells(cells, folder_.path());
  }

  std::vector<CellOutcome> run(const std::vector<CellTask>& tasks, int64_t jobs = 1, bool fail_fast = false) {
    return run_cells(tasks, {fake_engine(), {2, jobs}, fail_fast}, watcher_);
  }

  TemporaryFolder folder_;
  Watcher watcher_;
};

TEST_F(ScheduleTest, FinishesACellAndLeavesItsSettingsAndItsCost) {
  const auto cells = tasks({"CLIP"});
  EXPECT_EQ(run(cells)[0].end, CellEnd::finished);
  EXPECT_EQ(read_file(cells[0].folder.cell()), write_cell(cells[0].cell));
  const auto attempts = events_of(cells[0].folder.attempts());
  ASSERT_EQ(attempts.size(), 1U);
  EXPECT_EQ(attempts[0]["exit_code"], 0);
  EXPECT_EQ(attempts[0]["threads"], 2);
  EXPECT_GT(attempts[0]["peak_memory"].get<int64_t>(), 0);
  EXPECT_GE(attempts[0]["core_seconds"].get<double>(), 0);
  EXPECT_GE(attempts[0]["end"].get<double>(), attempts[0]["start"].get<double>());
}

TEST_F(ScheduleTest, ReusesFinishedCells) {
  const auto cells = tasks({"CLIP"});
  run(cells);
  EXPECT_EQ(run(cells)[0].end, CellEnd::reused);
  EXPECT_EQ(events_of(cells[0].folder.attempts()).size(), 1U);
}

TEST_F(ScheduleTest, AFailureStopsNoOtherCellAndIsTriedAgain) {
  const auto cells = tasks({"broken", "CLIP"});
  {
    const ScopedVariable behaviour("FAKE_ENGINE", "broken=fail");
    const auto outcomes = run(cells);
    EXPECT_EQ(outcomes[0].end, CellEnd::failed);
    EXPECT_EQ(outcomes[0].message, "the loss is not a number at step 2; a smaller optimizer.lr may help");
    EXPECT_EQ(outcomes[1].end, CellEnd::finished);
  }
  const auto outcomes = run(cells);
  EXPECT_EQ(outcomes[0].end, CellEnd::finished);
  EXPECT_EQ(outcomes[1].end, CellEnd::reused);
}

TEST_F(ScheduleTest, ACrashNamesTheSignalAndThePluginsInUse) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=segv");
  EXPECT_THAT(run(tasks({"CLIP"}))[0].message,
              AllOf(StartsWith("killed by signal 11 (SIGSEGV); plugins in use: objective clip"),
                    HasSubstr("image backbone vit")));
}

TEST_F(ScheduleTest, AKilledEngineMayHaveRunOutOfMemory) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=kill");
  EXPECT_THAT(run(tasks({"CLIP"}))[0].message, StartsWith("killed by signal 9 (SIGKILL): out of memory?"));
}

TEST_F(ScheduleTest, ACrashNamesThePluginThatTheEngineWasIn) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=segv");
  const ScopedVariable plugin("FAKE_ENGINE_PLUGIN", "objective \"clip\"");
  const auto cells = tasks({"CLIP"});
  EXPECT_EQ(run(cells)[0].message, "killed by signal 11 (SIGSEGV) in objective \"clip\"");
  EXPECT_EQ(inspect(cells[0].folder).message, "killed by signal 11 (SIGSEGV) in objective \"clip\"");
  EXPECT_FALSE(std::filesystem::exists(cells[0].folder.activity()));
}

TEST_F(ScheduleTest, AnEngineThatHangsIsStoppedAndItsCellHasFailed) {
  const ScopedVariable behaviour("FAKE_ENGINE", "deaf=stubborn;slow=hang");
  const ScopedVariable plugin("FAKE_ENGINE_PLUGIN", "objective \"clip\"");
  auto cells = tasks({"deaf", "slow", "CLIP"});
  for (CellTask& cell : cells) cell.cell.engine.hang_seconds = 1;
  const auto outcomes = run(cells, 2);
  for (const size_t hung : {0U, 1U}) {
    EXPECT_EQ(outcomes[hung].end, CellEnd::failed);
    EXPECT_THAT(outcomes[hung].message, StartsWith("stopped by silc: no sign of life for 1 s in objective \"clip\""));
    EXPECT_EQ(inspect(cells[hung].folder).state, FolderState::failed);
  }
  EXPECT_EQ(outcomes[2].end, CellEnd::finished);
}

TEST_F(ScheduleTest, AnEngineBeyondItsMemoryIsEndedAndItsCellHasFailed) {
  const ScopedVariable behaviour("FAKE_ENGINE", "big=stubborn");
  auto cells = tasks({"big", "CLIP"});
  cells[0].cell.engine.memory_limit = 1e-6;
  const auto outcomes = run(cells);
  EXPECT_EQ(outcomes[0].end, CellEnd::failed);
  EXPECT_THAT(outcomes[0].message, AllOf(StartsWith("stopped by silc: it took"), HasSubstr("engine.memory_limit")));
  EXPECT_EQ(events_of(cells[0].folder.attempts()).back()["signal"], SIGKILL);
  EXPECT_EQ(outcomes[1].end, CellEnd::finished);
}

TEST_F(ScheduleTest, AnEngineThatDiesWithoutAnEventIsQuotedFromItsLog) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=odd");
  EXPECT_EQ(run(tasks({"CLIP"}))[0].message, "the engine exited with code 3: the moon is in the wrong quarter");
}

TEST_F(ScheduleTest, AnEngineThatEndsWellWithoutFinishingHasFailed) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=quit");
  const auto outcome = run(tasks({"CLIP"}))[0];
  EXPECT_EQ(outcome.end, CellEnd::failed);
  EXPECT_THAT(outcome.message, StartsWith("the engine ended without finishing the cell"));
}

TEST_F(ScheduleTest, AFailureOfAnEarlierAttemptIsNotTakenForThisOnes) {
  const auto cells = tasks({"CLIP"});
  {
    const ScopedVariable behaviour("FAKE_ENGINE", "=fail");
    run(cells);
  }
  const ScopedVariable behaviour("FAKE_ENGINE", "=segv");
  EXPECT_THAT(run(cells)[0].message, StartsWith("killed by signal 11"));
}

TEST_F(ScheduleTest, AFolderThatCannotBeMadeFailsItsCellAlone) {
  const auto cells = tasks({"CLIP", "SILC"});
  append(cells[0].folder.path.parent_path(), "a file where the row's folder should be");
  const auto outcomes = run(cells);
  EXPECT_EQ(outcomes[0].end, CellEnd::failed);
  EXPECT_THAT(outcomes[0].message, StartsWith(cells[0].folder.path.string() + ": cannot be made"));
  EXPECT_EQ(outcomes[1].end, CellEnd::finished);
}

TEST_F(ScheduleTest, FailFastStopsRunningCellsAndStartsNoMore) {
  const ScopedVariable behaviour("FAKE_ENGINE", "broken=fail;slow=hang");
  const auto outcomes = run(tasks({"slow", "broken", "CLIP"}), 2, true);
  EXPECT_EQ(outcomes[0].end, CellEnd::interrupted);
  EXPECT_EQ(outcomes[1].end, CellEnd::failed);
  EXPECT_EQ(outcomes[2].end, CellEnd::not_started);
}

// A row in two phases, and two that start from that row's first phase.
std::vector<ResolvedCell> rows_with_a_common_phase() {
  std::vector<ResolvedCell> rows;
  for (const char* name : {"one", "two"}) {
    ResolvedCell last = make_cell(name);
    last.budget.amount = 64 + static_cast<double>(rows.size());
    last.earlier = {make_cell(std::string(name) + " (phase 1)")};
    rows.push_back(std::move(last));
  }
  return rows;
}

TEST_F(ScheduleTest, APhaseThatRowsShareIsOneCell) {
  const auto cells = place_cells(rows_with_a_common_phase(), folder_.path());
  ASSERT_EQ(cells.size(), 3U);
  EXPECT_EQ(cells[0].cell.row, "one (phase 1)");
  EXPECT_EQ(cells[1].cell.start.cell, cells[0].id);
  EXPECT_EQ(cells[2].cell.start.cell, cells[0].id);
  EXPECT_EQ(folder_.path() / "bench" / cells[2].cell.start.folder, cells[0].folder.path);
}

TEST_F(ScheduleTest, APhaseThatIsAlsoARowIsThatRowsCell) {
  auto rows = rows_with_a_common_phase();
  rows.push_back(make_cell("whole"));
  const auto cells = place_cells(rows, folder_.path());
  ASSERT_EQ(cells.size(), 3U);
  EXPECT_EQ(cells[2].cell.row, "whole");
  EXPECT_EQ(cells[0].cell.start.cell, cells[2].id);
  EXPECT_EQ(folder_.path() / "bench" / cells[0].cell.start.folder, cells[2].folder.path);
}

TEST_F(ScheduleTest, APhaseIsStartedWhenTheOneBeforeIsDone) {
  auto rows = rows_with_a_common_phase();
  rows.push_back(make_cell("whole"));  // the first phase of both, last in the list
  const auto cells = place_cells(rows, folder_.path());
  std::vector<size_t> ended;
  watcher_.on_end = [&](size_t index, const CellOutcome& /*outcome*/) { ended.push_back(index); };
  for (const CellOutcome& outcome : run(cells, 3)) EXPECT_EQ(outcome.end, CellEnd::finished);
  ASSERT_EQ(ended.size(), 3U);
  EXPECT_EQ(ended.front(), 2U);
  EXPECT_EQ(watcher_.most_running, 2U);
}

TEST_F(ScheduleTest, APhaseAfterAFailedOneFailsAndSaysWhy) {
  auto rows = rows_with_a_common_phase();
  for (ResolvedCell& row : rows) row.earlier[0].row = "broken";
  const ScopedVariable behaviour("FAKE_ENGINE", "broken=fail");
  const auto outcomes = run(place_cells(rows, folder_.path()));
  ASSERT_EQ(outcomes.size(), 3U);
  EXPECT_EQ(outcomes[0].end, CellEnd::failed);
  EXPECT_EQ(outcomes[1].end, CellEnd::failed);
  EXPECT_EQ(outcomes[2].message, "there is nothing to start from: broken failed");
}

TEST_F(ScheduleTest, RunsAsManyCellsSideBySideAsAsked) {
  const auto outcomes = run(tasks({"a", "b", "c", "d", "e"}), 2);
  EXPECT_EQ(watcher_.most_running, 2U);
  for (const CellOutcome& outcome : outcomes) EXPECT_EQ(outcome.end, CellEnd::finished);
}

TEST_F(ScheduleTest, CellsSideBySideGetAGpuEach) {
  const ScopedVariable gpus("FAKE_ENGINE_GPUS", "2");
  const ScopedVariable behaviour("FAKE_ENGINE", "=hang");
  auto cells = tasks({"CLIP", "SILC", "onthecpu"});
  cells[2].cell.engine.device = "cpu";
  std::vector<std::string> told(3);
  watcher_.on_progress = [&](size_t index, const CellProgress& progress) {
    told[index] = progress.gpu;
    if (watcher_.running.size() == 3 && progress.step == 1) kill(getpid(), SIGTERM);
  };
  run_cells(cells, {fake_engine(), {3, 3}, false, find_gpus(fake_engine(), std::vector{cells[0].cell})}, watcher_);
  EXPECT_THAT(read_file(cells[0].folder.log()), HasSubstr("CUDA_VISIBLE_DEVICES 0, SILC_DEVICE_SHARED \n"));
  EXPECT_THAT(read_file(cells[1].folder.log()), HasSubstr("CUDA_VISIBLE_DEVICES 1, SILC_DEVICE_SHARED \n"));
  EXPECT_THAT(read_file(cells[2].folder.log()), HasSubstr("CUDA_VISIBLE_DEVICES , SILC_DEVICE_SHARED \n"));
  EXPECT_EQ(told[1], "1");
  EXPECT_EQ(events_of(cells[1].folder.attempts()).back().value("gpu", ""), "1");
  EXPECT_FALSE(events_of(cells[2].folder.attempts()).back().contains("gpu"));
}

TEST_F(ScheduleTest, ARequestToStopLetsEnginesWriteCheckpoints) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=hang");
  const auto cells = tasks({"CLIP", "SILC"});
  watcher_.on_progress = [](size_t, const CellProgress& progress) {
    if (progress.last_event == "step") kill(getpid(), SIGTERM);
  };
  const auto outcomes = run(cells);
  EXPECT_EQ(outcomes[0].end, CellEnd::interrupted);
  EXPECT_EQ(outcomes[1].end, CellEnd::not_started);
  EXPECT_EQ(events_of(cells[0].folder.events()).back()["event"], "interrupted");
  EXPECT_EQ(events_of(cells[0].folder.attempts()).back()["exit_code"], 130);
}

TEST_F(ScheduleTest, ASecondRequestToStopKills) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=stubborn");
  const auto cells = tasks({"CLIP"});
  watcher_.on_tick = [this] {
    if (!watcher_.running.empty()) kill(getpid(), SIGINT);
  };
  EXPECT_EQ(run(cells)[0].end, CellEnd::interrupted);
  EXPECT_EQ(events_of(cells[0].folder.attempts()).back()["signal"], SIGKILL);
  EXPECT_EQ(inspect(cells[0].folder).state, FolderState::interrupted);
}

TEST_F(ScheduleTest, ACellThatAnotherSilcFinishesIsWaitedForAndNotDoneTwice) {
  const auto cells = tasks({"CLIP", "SILC"});
  std::filesystem::create_directories(cells[0].folder.path);
  auto lock = FileLock::try_lock(cells[0].folder.lock());
  size_t elsewhere = 99;
  watcher_.on_elsewhere = [&](size_t index) { elsewhere = index; };
  watcher_.on_end = [&](size_t index, const CellOutcome&) {
    if (index != 1) return;
    append(cells[0].folder.metrics(), "{}");
    append(cells[0].folder.events(), R"({"event":"finished","time":1})");
    lock.reset();
  };
  const auto outcomes = run(cells);
  EXPECT_EQ(elsewhere, 0U);
  EXPECT_EQ(outcomes[0].end, CellEnd::finished);
  EXPECT_TRUE(outcomes[0].elsewhere);
  EXPECT_FALSE(std::filesystem::exists(cells[0].folder.attempts()));
}

TEST_F(ScheduleTest, ACellThatAnotherSilcLeftUnfinishedIsTakenOver) {
  const auto cells = tasks({"CLIP"});
  std::filesystem::create_directories(cells[0].folder.path);
  auto lock = FileLock::try_lock(cells[0].folder.lock());
  watcher_.on_elsewhere = [&](size_t) { lock.reset(); };
  const auto outcome = run(cells)[0];
  EXPECT_EQ(outcome.end, CellEnd::finished);
  EXPECT_FALSE(outcome.elsewhere);
}

TEST_F(ScheduleTest, ARunningCellDoesNotKeepTheLockOfAFinishedOne) {
  const ScopedVariable behaviour("FAKE_ENGINE", "slow=hang");
  const auto cells = tasks({"CLIP", "slow"});
  bool first_locked = true;
  bool second_locked = false;
  watcher_.on_tick = [&] {
    if (watcher_.running != std::vector<size_t>{1}) return;
    first_locked = FileLock::is_locked(cells[0].folder.lock());
    second_locked = FileLock::is_locked(cells[1].folder.lock());
    kill(getpid(), SIGTERM);
  };
  run(cells, 2);
  EXPECT_FALSE(first_locked);
  EXPECT_TRUE(second_locked);
}

TEST_F(ScheduleTest, AnEngineWhoseSilcWasKilledStopsPolitelyAndKeepsItsLockUntilThen) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=hang");
  const auto cells = tasks({"CLIP"});
  const auto last_event = [&] {
    const auto events = events_of(cells[0].folder.events());
    return events.empty() ? std::string() : events.back()["event"].get<std::string>();
  };
  const auto wait_until = [](const std::function<bool()>& condition) {
    for (int i = 0; i < 1000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return condition();
  };
  const pid_t silc = fork();
  if (silc == 0) {
    run(cells);
    _exit(0);
  }
  ASSERT_TRUE(wait_until([&] { return last_event() == "step"; }));
  EXPECT_TRUE(FileLock::is_locked(cells[0].folder.lock()));
  kill(silc, SIGKILL);
  waitpid(silc, nullptr, 0);
  EXPECT_TRUE(wait_until([&] { return last_event() == "interrupted"; }));
  EXPECT_TRUE(wait_until([&] { return !FileLock::is_locked(cells[0].folder.lock()); }));
}

TEST_F(ScheduleTest, AnExceptionFromTheObserverStopsTheEngines) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=hang");
  const auto cells = tasks({"CLIP"});
  watcher_.on_progress = [](size_t, const CellProgress&) { throw Error("the disk is full"); };
  EXPECT_THROW(run(cells), Error);
  EXPECT_FALSE(FileLock::is_locked(cells[0].folder.lock()));
}

TEST_F(ScheduleTest, RemovingResultsStartsACellOver) {
  const auto cells = tasks({"CLIP"});
  run(cells);
  EXPECT_TRUE(remove_results(cells).empty());
  EXPECT_EQ(inspect(cells[0].folder).state, FolderState::planned);
  EXPECT_EQ(run(cells)[0].end, CellEnd::finished);
}

TEST_F(ScheduleTest, ResultsOfALockedCellAreNotRemoved) {
  const auto cells = tasks({"CLIP", "SILC"});
  run(cells);
  const auto lock = FileLock::try_lock(cells[0].folder.lock());
  EXPECT_EQ(remove_results(cells), std::vector<size_t>{0});
  EXPECT_TRUE(is_finished(cells[0].folder));
  EXPECT_FALSE(is_finished(cells[1].folder));
}

}  // namespace
}  // namespace silc
