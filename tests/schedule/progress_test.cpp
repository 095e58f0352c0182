#include "schedule/progress.h"

#include "fixture.h"

namespace silc {
namespace {

constexpr const char* kStarted = R"({"event":"started","time":100,"pid":1,"step":0,"total_steps":8})";
constexpr const char* kStep =
    R"({"event":"step","time":110,"step":2,"fraction":0.25,"seconds":10,"rate":80.5,"data_wait":0.25,"loss":1.5})";

TEST(Progress, FollowsAGrowingLog) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  ProgressReader reader(run.events());
  EXPECT_FALSE(reader.update());
  append(run.events(), kStarted);
  EXPECT_TRUE(reader.update());
  EXPECT_EQ(reader.progress().total_steps, 8);
  append(run.events(), kStep);
  EXPECT_TRUE(reader.update());
  EXPECT_EQ(reader.progress().step, 2);
  EXPECT_EQ(reader.progress().phase, CellPhase::training);
  EXPECT_DOUBLE_EQ(reader.progress().rate, 80.5);
  EXPECT_DOUBLE_EQ(reader.progress().data_wait, 0.25);
  EXPECT_FALSE(reader.update());
}

TEST(Progress, TimeLeftFollowsFromTheTimeSoFar) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.events(), kStarted);
  append(run.events(), kStep);
  ProgressReader reader(run.events());
  reader.update();
  // A quarter took 10 s, so three quarters take 30 s.
  EXPECT_DOUBLE_EQ(reader.progress().seconds_left().value(), 30);
}

TEST(Progress, AnAttemptGoesOnFromItsCheckpoint) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.events(), kStarted);
  append(run.events(), R"({"event":"step","time":120,"step":6,"fraction":0.75,"seconds":30,"rate":80})");
  append(run.events(), R"({"event":"started","time":130,"pid":2,"step":4,"total_steps":8})");
  ProgressReader reader(run.events());
  reader.update();
  EXPECT_EQ(reader.progress().step, 4);
  EXPECT_DOUBLE_EQ(reader.progress().fraction, 0.5);
}

TEST(Progress, KeepsTheWarningsThatAnAttemptGoesOnFrom) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.events(), kStarted);
  for (const std::string step : {"3", "4", "5"})
    append(run.events(), R"({"event":"warning","time":120,"check":"c)" + step +
                             R"(","metric":"loss","value":1,"step":)" + step + R"(,"message":"sick"})");
  append(run.events(), R"({"event":"started","time":130,"pid":2,"step":4,"total_steps":8})");
  append(run.events(),
         R"({"event":"warning","time":140,"check":"c5","metric":"loss","value":null,"step":5,"message":"m"})");
  ProgressReader reader(run.events());
  reader.update();
  std::vector<std::string> checks;
  for (const HealthWarning& warning : reader.progress().warnings) checks.push_back(warning.check);
  EXPECT_EQ(checks, (std::vector<std::string>{"c3", "c4", "c5"}));
  EXPECT_FALSE(reader.progress().warnings.back().value);
}

TEST(Progress, AFolderThatDoesNotExistIsPlanned) {
  EXPECT_EQ(inspect({"/nowhere/at/all"}).state, FolderState::planned);
}

TEST(Progress, ALockedFolderIsRunning) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.events(), kStarted);
  const auto lock = FileLock::try_lock(run.lock());
  EXPECT_EQ(inspect(run).state, FolderState::running);
}

TEST(Progress, AFolderWhoseEngineIsGoneIsInterrupted) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.events(), kStarted);
  append(run.events(), kStep);
  EXPECT_EQ(inspect(run).state, FolderState::interrupted);
}

TEST(Progress, FinishedNeedsMetricsToo) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.events(), kStarted);
  append(run.events(), R"({"event":"finished","time":200})");
  EXPECT_NE(inspect(run).state, FolderState::finished);
  append(run.metrics(), "{}");
  EXPECT_EQ(inspect(run).state, FolderState::finished);
  EXPECT_TRUE(is_finished(run));
}

TEST(Progress, AFailureIsToldInTheEnginesWords) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.events(), kStarted);
  append(run.events(), R"({"event":"failed","time":111,"message":"the loss is not a number","plugin":null})");
  append(run.attempts(), R"({"start":99,"end":112,"exit_code":1})");
  EXPECT_EQ(inspect(run).state, FolderState::failed);
  EXPECT_EQ(inspect(run).message, "the loss is not a number");
}

TEST(Progress, ACrashIsToldByItsSignal) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.events(), kStarted);
  append(run.attempts(), R"({"start":99,"end":112,"signal":11})");
  EXPECT_EQ(inspect(run).state, FolderState::failed);
  EXPECT_EQ(inspect(run).message, "killed by signal 11 (SIGSEGV)");
}

TEST(Progress, AnAttemptThatSilcKilledOnRequestIsInterrupted) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.events(), kStarted);
  append(run.attempts(), R"({"start":99,"end":112,"signal":9,"interrupted":true})");
  EXPECT_EQ(inspect(run).state, FolderState::interrupted);
}

TEST(Progress, AnUnrecordedAttemptAfterAFailureIsInterrupted) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.attempts(), R"({"start":1,"end":2,"exit_code":1})");
  append(run.events(), kStarted);
  append(run.events(), kStep);
  EXPECT_EQ(inspect(run).state, FolderState::interrupted);
}

TEST(Progress, DamagedEventsAreAFailureThatNamesTheFile) {
  const TemporaryFolder folder;
  const RunFolder run{folder.path()};
  append(run.events(), "not JSON");
  EXPECT_EQ(inspect(run).state, FolderState::failed);
  EXPECT_NE(inspect(run).message.find(run.events().string()), std::string::npos);
}

}  // namespace
}  // namespace silc
