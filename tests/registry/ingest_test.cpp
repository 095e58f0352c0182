#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "registry/registry.h"
#include "silc/error.h"
#include "tests/registry/fake_runs.h"

namespace silc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Ingest : public testing::Test {
 protected:
  void SetUp() override {
    registry_.plan(experiment_);
    fakes_.write_cell("ablation", cell_);
  }

  CellRecord ingested() {
    registry_.ingest(cell_.folder);
    return registry_.cells("ablation")[0];
  }

  void start(double time, int64_t step = 0) {
    fakes_.event(cell_, "started", time, {{"step", step}, {"total_steps", 40}, {"pid", 1}});
  }

  std::vector<int64_t> steps_of(const std::string& metric) {
    std::vector<int64_t> steps;
    for (const StepMetric& value : registry_.step_metrics(ingested(), metric)) steps.push_back(value.step);
    return steps;
  }

  FakeRuns fakes_;
  Registry registry_ = fakes_.open();
  PlannedExperiment experiment_ = FakeRuns::experiment("ablation", {"CLIP"}, {0});
  PlannedCell cell_ = experiment_.cells[0];
};

TEST_F(Ingest, TakesAFinishedCellIn) {
  fakes_.finish("ablation", cell_, 0.5);
  const CellRecord cell = ingested();
  EXPECT_EQ(cell.state, CellState::finished);
  const auto metrics = registry_.metrics(cell);
  ASSERT_EQ(metrics.size(), 5);
  EXPECT_EQ(metrics[3].name, "acc1");
  EXPECT_EQ(metrics[3].weights, "student");
  EXPECT_EQ(metrics[3].value, 0.5);
  EXPECT_EQ(metrics[3].n, 1000);
  EXPECT_EQ(metrics[0].evaluator, "cost");
  EXPECT_EQ(metrics[0].name, "core_seconds");
  EXPECT_EQ(metrics[0].value, 84);
}

TEST_F(Ingest, AcceptsThePathOfTheFolderToo) {
  fakes_.finish("ablation", cell_, 0.5);
  registry_.ingest(fakes_.folder(cell_).path);
  EXPECT_EQ(registry_.cells("ablation").size(), 1);
  EXPECT_EQ(registry_.cells("ablation")[0].state, CellState::finished);
}

TEST_F(Ingest, RefusesAFolderElsewhere) {
  EXPECT_THAT([&] { registry_.ingest("/tmp"); }, ThrowsMessage<Error>(HasSubstr("is not in the runs folder")));
}

TEST_F(Ingest, RefusesAFolderWithoutACell) {
  EXPECT_THAT([&] { registry_.ingest("ablation"); }, ThrowsMessage<Error>(HasSubstr("ablation/cell.toml is missing")));
}

TEST_F(Ingest, NamesThePlaceOfAFaultInCellToml) {
  FakeRuns::write(fakes_.folder(cell_).cell(), "[cell]\nexperiment = \"ablation\n");
  EXPECT_THAT([&] { registry_.ingest(cell_.folder); }, ThrowsMessage<Error>(HasSubstr("cell.toml:2:")));
  FakeRuns::write(fakes_.folder(cell_).cell(), "[cell]\nexperiment = \"ablation\"\n");
  EXPECT_THAT([&] { registry_.ingest(cell_.folder); }, ThrowsMessage<Error>(HasSubstr("needs experiment, row, seed")));
}

TEST_F(Ingest, ChangesNothingWhenNothingChanged) {
  fakes_.finish("ablation", cell_, 0.5);
  registry_.ingest(cell_.folder);
  SQLite::Database other(fakes_.registry_file().string());
  const int before = other.execAndGet("PRAGMA data_version").getInt();
  registry_.ingest(cell_.folder);
  EXPECT_EQ(other.execAndGet("PRAGMA data_version").getInt(), before);
}

TEST_F(Ingest, FollowsAGrowingLog) {
  start(100);
  fakes_.step(cell_, 10, 101);
  EXPECT_THAT(steps_of("loss"), ElementsAre(10));
  fakes_.step(cell_, 20, 102);
  EXPECT_THAT(steps_of("loss"), ElementsAre(10, 20));
  EXPECT_THAT(steps_of("teacher_entropy"), ElementsAre(10, 20));
}

TEST_F(Ingest, DropsStepsThatAKillThrewAway) {
  start(100);
  for (const int64_t step : {10, 20, 30}) fakes_.step(cell_, step, 101);
  EXPECT_THAT(steps_of("loss"), ElementsAre(10, 20, 30));
  start(110, 10);
  EXPECT_THAT(steps_of("loss"), ElementsAre(10));
  fakes_.step(cell_, 20, 111);
  EXPECT_THAT(steps_of("loss"), ElementsAre(10, 20));
}

TEST_F(Ingest, RecordsWarnings) {
  start(100);
  fakes_.warning(cell_, 12, "teacher_entropy_zero");
  fakes_.warning(cell_, 14, "not_finite/teacher_entropy", nullptr);
  EXPECT_EQ(ingested().state, CellState::interrupted);
  const auto warnings = registry_.warnings("ablation");
  ASSERT_EQ(warnings.size(), 2);
  EXPECT_EQ(warnings[0].row, "CLIP");
  EXPECT_EQ(warnings[0].seed, 0);
  EXPECT_EQ(warnings[0].phase, "");
  EXPECT_EQ(warnings[0].step, 12);
  EXPECT_EQ(warnings[0].check, "teacher_entropy_zero");
  EXPECT_EQ(warnings[0].metric, "teacher_entropy");
  EXPECT_EQ(warnings[0].value, 0.5);
  EXPECT_EQ(warnings[0].message, "teacher_entropy 0.5 (below 1 for 30 steps): raise it");
  EXPECT_FALSE(warnings[1].value);
}

TEST_F(Ingest, DropsWarningsThatAKillThrewAway) {
  start(100);
  for (const int64_t step : {10, 20, 30}) fakes_.warning(cell_, step, "check " + std::to_string(step));
  ingested();
  start(110, 20);
  ingested();
  EXPECT_EQ(registry_.warnings("ablation").size(), 2);
  std::filesystem::remove(fakes_.folder(cell_).events());
  start(200);
  ingested();
  EXPECT_THAT(registry_.warnings("ablation"), testing::IsEmpty()) << "the cell was run afresh";
}

TEST_F(Ingest, RecordsEvaluationsAlongTrainingAndDropsThoseThatAKillThrewAway) {
  start(100);
  fakes_.along(cell_, 10, 0.25);
  fakes_.along(cell_, 20, 0.5);
  ingested();
  const auto records = registry_.metrics_along(registry_.find_cell(cell_.id));
  ASSERT_EQ(records.size(), 2);
  EXPECT_EQ(records[1].step, 20);
  EXPECT_EQ(records[1].fraction, 0.5);
  EXPECT_EQ(records[1].examples, 640);
  EXPECT_EQ(records[1].core_seconds, 2);
  EXPECT_EQ(records[1].evaluator, "zero_shot_classification");
  EXPECT_EQ(records[1].weights, "student");
  EXPECT_EQ(records[1].name, "acc1");
  EXPECT_EQ(records[1].value, 0.5);
  EXPECT_EQ(records[1].n, 1000);
  start(110, 10);
  ingested();
  EXPECT_EQ(registry_.metrics_along(registry_.find_cell(cell_.id)).size(), 1);
}

TEST_F(Ingest, TakesAPausedCellForOneThatGoesOn) {
  start(100);
  fakes_.event(cell_, "paused", 101, {{"step", 10}});
  EXPECT_EQ(ingested().state, CellState::interrupted);
}

TEST_F(Ingest, CountsTheWarningsOfEarlierPhasesToTheRow) {
  const PlannedCell first = FakeRuns::cell("ablation", "CLIP, first phase", 0, "bbbbbbbbbbbb");
  fakes_.write_cell("ablation", first);
  fakes_.event(first, "started", 90, {{"step", 0}, {"total_steps", 40}, {"pid", 1}});
  fakes_.warning(first, 12, "loss_spike");
  registry_.ingest(first.folder);
  fakes_.write_cell("ablation", cell_, "student", first.folder.lexically_relative("ablation").generic_string());
  start(100);
  fakes_.warning(cell_, 5, "gradient_vanished");
  ingested();
  const auto warnings = registry_.warnings("ablation");
  ASSERT_EQ(warnings.size(), 2);
  EXPECT_EQ(warnings[0].phase, "CLIP, first phase");
  EXPECT_EQ(warnings[0].row, "CLIP");
  EXPECT_EQ(warnings[1].check, "gradient_vanished");
  EXPECT_EQ(warnings[1].phase, "");
}

TEST_F(Ingest, StartsOverWithALogThatWasReplaced) {
  start(100);
  for (const int64_t step : {10, 20, 30}) fakes_.step(cell_, step, 101);
  ingested();
  std::filesystem::remove(fakes_.folder(cell_).events());
  start(200);
  fakes_.step(cell_, 10, 201);
  EXPECT_THAT(steps_of("loss"), ElementsAre(10));
}

TEST_F(Ingest, LeavesOutNumbersThatAreNotFinite) {
  start(100);
  fakes_.event(cell_, "step", 101, {{"step", 10}, {"loss", nullptr}, {"lr", 0.5}});
  EXPECT_THAT(steps_of("loss"), ElementsAre());
  EXPECT_THAT(steps_of("lr"), ElementsAre(10));
}

TEST_F(Ingest, KnowsWhereTrainingStands) {
  EXPECT_FALSE(registry_.progress(ingested()));
  start(100);
  fakes_.step(cell_, 10, 101);
  fakes_.step(cell_, 20, 102.5);
  const auto progress = registry_.progress(ingested());
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->step, 20);
  EXPECT_EQ(progress->total_steps, 40);
  EXPECT_EQ(progress->fraction, 0.125);
  EXPECT_EQ(progress->rate, 88.5);
  EXPECT_EQ(progress->examples, 640);
  EXPECT_EQ(progress->last_event_time, 102.5);
}

TEST_F(Ingest, RecordsEveryAttempt) {
  fakes_.attempt(cell_, 100, 110.5, "signal", SIGKILL);
  fakes_.attempt(cell_, 120, 130, "exit_code", 0);
  const auto attempts = registry_.attempts(ingested());
  ASSERT_EQ(attempts.size(), 2);
  EXPECT_EQ(attempts[0].signal, SIGKILL);
  EXPECT_FALSE(attempts[0].exit_code);
  EXPECT_EQ(attempts[0].end, 110.5);
  EXPECT_EQ(attempts[1].exit_code, 0);
  EXPECT_EQ(attempts[1].core_seconds, 1.5);
  EXPECT_EQ(attempts[1].host, "bench");
  EXPECT_EQ(attempts[1].job, "");
}

TEST_F(Ingest, RecordsWhatAClusterAllocatedToAnAttempt) {
  fakes_.job(cell_, {{"job", "12_3"},
                     {"nodes", "n[1-2]"},
                     {"job_state", "TIMEOUT"},
                     {"restart", 1},
                     {"allocated_core_seconds", 160.0},
                     {"allocated_gpu_seconds", 20.0}});
  const auto attempts = registry_.attempts(ingested());
  ASSERT_EQ(attempts.size(), 1);
  EXPECT_EQ(attempts[0].job, "12_3");
  EXPECT_EQ(attempts[0].nodes, "n[1-2]");
  EXPECT_EQ(attempts[0].job_state, "TIMEOUT");
  EXPECT_EQ(attempts[0].allocated_core_seconds, 160);
  EXPECT_EQ(attempts[0].allocated_gpu_seconds, 20);
}

TEST_F(Ingest, ListsArtifactsWithTheirSizes) {
  std::filesystem::create_directories(fakes_.folder(cell_).checkpoints());
  FakeRuns::write(fakes_.folder(cell_).checkpoints() / "model.safetensors", "12345");
  FakeRuns::write(fakes_.folder(cell_).checkpoints() / "model.safetensors.tmp", "half");
  FakeRuns::write(fakes_.folder(cell_).lock(), "");
  std::vector<std::string> found;
  for (const ArtifactRecord& artifact : registry_.artifacts(ingested()))
    if (artifact.path != "cell.toml") found.push_back(artifact.path.string() + " " + std::to_string(artifact.bytes));
  EXPECT_THAT(found, ElementsAre("checkpoints/model.safetensors 5"));
}

TEST_F(Ingest, SeesACellAsPlannedBeforeItsEngineSpeaks) { EXPECT_EQ(ingested().state, CellState::planned); }

TEST_F(Ingest, SeesACellAsRunningWhileItsFolderIsLocked) {
  auto lock = FileLock::try_lock(fakes_.folder(cell_).lock());
  EXPECT_EQ(ingested().state, CellState::running);
  start(100);
  EXPECT_EQ(ingested().state, CellState::running);
  lock.reset();
  EXPECT_EQ(registry_.cells("ablation")[0].state, CellState::interrupted) << "without being taken in again";
  EXPECT_EQ(ingested().state, CellState::interrupted);
}

TEST_F(Ingest, SeesWhyACellFailed) {
  start(100);
  fakes_.event(cell_, "failed", 101, {{"message", "the loss is not finite at step 3"}, {"plugin", "silc"}});
  fakes_.attempt(cell_, 99, 102, "exit_code", 1);
  const CellRecord cell = ingested();
  EXPECT_EQ(cell.state, CellState::failed);
  EXPECT_EQ(cell.message, "the loss is not finite at step 3");
  EXPECT_EQ(cell.plugin, "silc");
}

TEST_F(Ingest, ForgetsAFailureOnceTheCellIsRunAgain) {
  start(100);
  fakes_.event(cell_, "failed", 101, {{"message", "no space"}, {"plugin", nullptr}});
  ingested();
  start(200);
  const auto lock = FileLock::try_lock(fakes_.folder(cell_).lock());
  const CellRecord cell = ingested();
  EXPECT_EQ(cell.state, CellState::running);
  EXPECT_EQ(cell.message, "");
}

TEST_F(Ingest, SeesACrashOfAnEngineThatSaidNothing) {
  start(100);
  fakes_.attempt(cell_, 99, 102, "signal", SIGSEGV);
  const auto lock = FileLock::try_lock(fakes_.folder(cell_).lock());  // silc holds it until it has taken the end in
  const CellRecord cell = ingested();
  EXPECT_EQ(cell.state, CellState::failed);
  EXPECT_THAT(cell.message, HasSubstr("signal 11 (SIGSEGV)"));
}

TEST_F(Ingest, SeesAnEngineThatFailedBeforeItStarted) {
  fakes_.attempt(cell_, 99, 100, "exit_code", 2);
  const CellRecord cell = ingested();
  EXPECT_EQ(cell.state, CellState::failed);
  EXPECT_THAT(cell.message, HasSubstr("exited with code 2"));
}

TEST_F(Ingest, TakesAKilledEngineForFailed) {
  start(100);
  fakes_.attempt(cell_, 99, 102, "signal", SIGKILL);
  const CellRecord cell = ingested();
  EXPECT_EQ(cell.state, CellState::failed);
  EXPECT_EQ(cell.message, "killed by signal 9 (SIGKILL): out of memory?");
}

TEST_F(Ingest, TakesAnEngineThatDiedWithSilcForInterrupted) {
  fakes_.attempt(cell_, 90, 95, "exit_code", 1);
  start(100);
  EXPECT_EQ(ingested().state, CellState::interrupted);
}

TEST_F(Ingest, TakesAnOrderlyStopForInterrupted) {
  start(100);
  fakes_.event(cell_, "interrupted", 101, {{"step", 10}});
  fakes_.attempt(cell_, 99, 102, "exit_code", 130);
  EXPECT_EQ(ingested().state, CellState::interrupted);
}

TEST_F(Ingest, KeepsAFinishedCellFinishedWhenAnEngineFindsNothingToDo) {
  fakes_.finish("ablation", cell_, 0.5);
  fakes_.attempt(cell_, 200, 201, "exit_code", 0);
  EXPECT_EQ(ingested().state, CellState::finished);
}

TEST_F(Ingest, HasNoMetricsOfCellsThatDidNotFinish) {
  fakes_.finish("ablation", cell_, 0.5);
  start(200);
  EXPECT_TRUE(registry_.metrics(ingested()).empty());
}

TEST_F(Ingest, LeavesOutMetricsThatAreNotFinite) {
  fakes_.finish("ablation", cell_, 0.5);
  auto metric = FakeRuns::metric("student", "acc1", 0);
  metric["value"] = nullptr;
  fakes_.metrics(cell_, nlohmann::json::array({metric}), nlohmann::json::object());
  EXPECT_TRUE(registry_.metrics(ingested()).empty());
}

TEST_F(Ingest, MarksACellWithDamagedFilesAsFailedAndNamesTheFile) {
  fakes_.finish("ablation", cell_, 0.5);
  FakeRuns::write(fakes_.folder(cell_).metrics(), "{\"metrics\": [");
  const CellRecord cell = ingested();
  EXPECT_EQ(cell.state, CellState::failed);
  EXPECT_THAT(cell.message, AllOf(HasSubstr("metrics.json"), HasSubstr("--fresh")));
}

TEST_F(Ingest, MarksAFinishedCellWithoutMetricsAsFailed) {
  fakes_.finish("ablation", cell_, 0.5);
  std::filesystem::remove(fakes_.folder(cell_).metrics());
  const CellRecord cell = ingested();
  EXPECT_EQ(cell.state, CellState::failed);
  EXPECT_THAT(cell.message, HasSubstr("metrics.json: No such file"));
}

TEST_F(Ingest, MakesCellsThatNobodyPlannedAnExperimentOfTheirOwn) {
  const PlannedCell cell = FakeRuns::cell("imported", "ViT-B-32", 0, "bbbbbbbbbbb1");
  fakes_.finish("imported", cell, 0.6);
  registry_.ingest(cell.folder);
  EXPECT_EQ(registry_.experiment("imported")->rows, std::vector<std::string>{"ViT-B-32"});
  EXPECT_EQ(registry_.metrics("imported").size(), 5);
}

}  // namespace
}  // namespace silc
