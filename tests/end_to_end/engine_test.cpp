// The real engine with real plugins, in processes of its own: interrupted, killed, resumed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "files/run_folder.h"
#include "tests/end_to_end/engine_runs.h"

namespace silc {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using EngineEndToEnd = testing::EngineRuns;

TEST_F(EngineEndToEnd, TrainsAndEvaluatesACell) {
  const RunFolder run_folder = folder("run", cell());
  ASSERT_EQ(run(run_folder).exit_code, 0) << read_file(run_folder.log());
  const auto result = nlohmann::json::parse(read_file(run_folder.metrics()));
  EXPECT_EQ(result["cost"]["examples"], 96);
  EXPECT_EQ(result["cost"]["steps"], 12);
  EXPECT_GT(result["cost"]["flops"], 0);
  EXPECT_GT(result["cost"]["core_seconds"], 0);
  std::set<std::string> seen_weights;
  for (const auto& metric : result["metrics"]) seen_weights.insert(metric["weights"]);
  EXPECT_EQ(seen_weights, (std::set<std::string>{"student", "teacher"}));
  EXPECT_EQ(contents(run_folder.samples()).size(), 4U);
  EXPECT_EQ(contents(run_folder.checkpoints()).size(), 1U);
  EXPECT_EQ(events(run_folder).back()["event"], "finished");
  EXPECT_TRUE(nlohmann::json::parse(read_file(run_folder.environment())).contains("torch"));
}

TEST_F(EngineEndToEnd, KilledAnywhereItEndsInTheSameBytes) {
  const ResolvedCell tiny = cell();
  const RunFolder whole = folder("whole", tiny);
  ASSERT_EQ(run(whole).exit_code, 0) << read_file(whole.log());
  const std::vector<std::pair<std::string, int64_t>> points = {{"started", 1}, {"step", 1},       {"checkpointed", 2},
                                                               {"step", 7},    {"evaluating", 1}, {"evaluated", 2}};
  for (const auto& [event, count] : points) {
    const RunFolder killed = folder("killed-" + event + std::to_string(count), tiny);
    const ProcessEnd end = run(killed, SIGKILL, seen(killed, event, count));
    EXPECT_EQ(end.signal, SIGKILL) << event;
    ASSERT_EQ(run(killed).exit_code, 0) << read_file(killed.log());
    expect_same_result(whole, killed);
  }
}

TEST_F(EngineEndToEnd, KilledAgainAndAgainItStillEnds) {
  const ResolvedCell tiny = cell();
  const RunFolder whole = folder("whole", tiny);
  ASSERT_EQ(run(whole).exit_code, 0) << read_file(whole.log());
  const RunFolder killed = folder("killed", tiny);
  for (int64_t kill = 1; kill <= 4; ++kill) run(killed, SIGKILL, seen(killed, "checkpointed", 3 * kill));
  ASSERT_EQ(run(killed).exit_code, 0) << read_file(killed.log());
  expect_same_result(whole, killed);
}

TEST_F(EngineEndToEnd, DoesNotEvaluateTwiceWhatItEvaluatedBeforeAKill) {
  const RunFolder killed = folder("killed", cell());
  run(killed, SIGKILL, seen(killed, "evaluated", 1));
  ASSERT_EQ(run(killed).exit_code, 0) << read_file(killed.log());
  int64_t first = 0;
  for (const Event& event : events(killed))
    if (event["event"] == "evaluated" && event["evaluator"] == "zero_shot_classification" &&
        event["weights"] == "student")
      ++first;
  EXPECT_EQ(first, 1);
}

TEST_F(EngineEndToEnd, StopsOnSigtermAndGoesOn) {
  const ResolvedCell tiny = cell();
  const RunFolder stopped = folder("stopped", tiny);
  EXPECT_EQ(run(stopped, SIGTERM, seen(stopped, "step", 3)).exit_code, 130);
  EXPECT_EQ(events(stopped).back()["event"], "interrupted");
  ASSERT_EQ(run(stopped).exit_code, 0) << read_file(stopped.log());
  const RunFolder whole = folder("whole", tiny);
  ASSERT_EQ(run(whole).exit_code, 0) << read_file(whole.log());
  expect_same_result(whole, stopped);
}

TEST_F(EngineEndToEnd, EvaluatesAlongTrainingAndGivesTheSameResult) {
  const RunFolder along = folder("along", cell({"engine.evaluate_every=0.5", "engine.evaluate_samples=48"}));
  ASSERT_EQ(run(along).exit_code, 0) << read_file(along.log());
  std::vector<Event> points;
  for (Event& event : events(along))
    if (event["event"] == "evaluated_along") points.push_back(std::move(event));
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0]["step"], 6);
  std::set<std::string> evaluated;
  for (const auto& metric : points[0]["metrics"]) {
    evaluated.insert(metric["evaluator"].get<std::string>() + " " + metric["weights"].get<std::string>());
    if (metric["name"] == "acc1") {
      EXPECT_EQ(metric["n"], 48);
    }
  }
  EXPECT_EQ(evaluated, (std::set<std::string>{"retrieval student", "retrieval teacher",
                                              "zero_shot_classification student", "zero_shot_classification teacher"}));
  const auto cost = nlohmann::json::parse(read_file(along.metrics()))["cost"];
  EXPECT_GT(cost["evaluation_along_core_seconds"], 0);
  const RunFolder alone = folder("alone", cell());
  ASSERT_EQ(run(alone).exit_code, 0) << read_file(alone.log());
  expect_same_result(alone, along);
}

TEST_F(EngineEndToEnd, LeavesTheLastEvaluationAlongToTheOneAfterTrainingWhereBothAreOfAllSamples) {
  const RunFolder along = folder("along", cell({"engine.evaluate_every=0.5"}));
  ASSERT_EQ(run(along).exit_code, 0) << read_file(along.log());
  int64_t points = 0;
  for (const Event& event : events(along)) points += event["event"] == "evaluated_along" ? 1 : 0;
  EXPECT_EQ(points, 1);
}

TEST_F(EngineEndToEnd, RefusesTeacherWeightsWhereThereIsNoTeacherBeforeTraining) {
  const RunFolder run_folder = folder("run", cell({"objective.distillation=\"none\""}));
  EXPECT_EQ(run(run_folder).exit_code, 1);
  const Event last = events(run_folder).back();
  EXPECT_EQ(last["event"], "failed");
  EXPECT_THAT(last["message"].get<std::string>(), HasSubstr("keeps no teacher"));
  for (const Event& event : events(run_folder)) EXPECT_NE(event["event"], "step");
}

TEST_F(EngineEndToEnd, ReportsDivergenceAsAFailure) {
  const RunFolder run_folder = folder("run", cell({"optimizer.lr=1e30", "optimizer.warmup=0.0"}));
  EXPECT_EQ(run(run_folder).exit_code, 1);
  const Event last = events(run_folder).back();
  EXPECT_EQ(last["event"], "failed");
  EXPECT_THAT(last["message"].get<std::string>(), HasSubstr("diverged at step"));
}

TEST_F(EngineEndToEnd, RefusesAFolderWithoutACell) {
  std::filesystem::create_directories(root_ / "empty");
  EXPECT_EQ(run({root_ / "empty"}).exit_code, 2);
}

TEST_F(EngineEndToEnd, PredictsFlopsAsTrainingCountsThem) {
  const ResolvedCell tiny = cell();
  const RunFolder run_folder = folder("run", tiny);
  const auto predicted = ask_engine(engine_, {"measure", "--cell", run_folder.cell().string(), "--threads", "1"});
  ASSERT_EQ(run(run_folder).exit_code, 0) << read_file(run_folder.log());
  const auto cost = nlohmann::json::parse(read_file(run_folder.metrics()))["cost"];
  EXPECT_EQ(predicted["total_steps"], 12);
  EXPECT_EQ(predicted["parameters"], cost["parameters"]);
  // Distillation begins in the middle, at a whole step: the parts are exact.
  EXPECT_EQ(predicted["parts"].size(), 2U);
  EXPECT_EQ(predicted["total_flops"].get<double>(), cost["flops"].get<double>());
}

TEST_F(EngineEndToEnd, TellsWhatItIs) {
  const auto about = ask_engine(engine_, {"about"});
  EXPECT_THAT(about["engine_version"].get<std::string>(), Not(IsEmpty()));
  EXPECT_EQ(about["devices"][0]["kind"], "cpu");
  EXPECT_GT(about["threads"], 0);
}

TEST_F(EngineEndToEnd, AnswersEveryQuestionAboutDataInOrder) {
  const auto answers = ask_engine(engine_, {"fingerprint"},
                                  R"([{"dataset": "no_such", "split": "train", "options": {}},
                                      {"dataset": "shapes", "split": "train", "options": {}}])");
  ASSERT_EQ(answers.size(), 2U);
  EXPECT_THAT(answers[0]["error"].get<std::string>(), HasSubstr("no_such"));
  EXPECT_THAT(answers[1]["fingerprint"].get<std::string>(), Not(IsEmpty()));
}

}  // namespace
}  // namespace silc
