#include "engine/training.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/batches.h"
#include "engine/failure.h"
#include "engine/training_step.h"
#include "fakes.h"
#include "files/safetensors.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using testing::fake_assembly;
using testing::fake_cell;
using testing::FakeObjective;
using ::testing::HasSubstr;

class TrainingTest : public ::testing::Test {
 protected:
  RunFolder folder(const std::string& name) {
    std::filesystem::create_directories(root_ / name);
    return {root_ / name};
  }

  // One engine process: builds everything anew. Stops after `steps` updates of this attempt.
  TrainingOutcome attempt(const RunFolder& folder, int64_t steps = 1000) {
    const Assembly assembly = fake_assembly(cell_);
    dynamic_cast<FakeObjective&>(*assembly.objective).checks = checks_;
    EventLog events(folder.events());
    return train(cell_, assembly, folder, events, [&] { return steps-- <= 0; });
  }

  std::string message_of_failed_attempt(int64_t FakeObjective::*fault, int64_t step) {
    const Assembly assembly = fake_assembly(cell_);
    dynamic_cast<FakeObjective&>(*assembly.objective).*fault = step;
    const RunFolder run = folder("failing");
    EventLog events(run.events());
    try {
      train(cell_, assembly, run, events, [] { return false; });
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  static std::filesystem::path only_checkpoint(const RunFolder& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder.checkpoints())) files.push_back(entry.path());
    EXPECT_EQ(files.size(), 1U);
    return files.at(0);
  }

  static std::string bytes(const RunFolder& folder) { return read_file(only_checkpoint(folder)); }

  static std::vector<Event> events_named(const RunFolder& folder, const std::string& name) {
    uint64_t offset = 0;
    std::vector<Event> named;
    for (const Event& event : read_events(folder.events(), offset))
      if (event["event"] == name) named.push_back(event);
    return named;
  }

  // Steps of the warnings that count once training is done.
  static std::vector<int64_t> warned_steps(const RunFolder& folder) {
    uint64_t offset = 0;
    std::vector<HealthWarning> warnings;
    for (const Event& event : read_events(folder.events(), offset)) {
      if (event["event"] == "started") warnings = warnings_until(event["step"], std::move(warnings));
      if (event["event"] == "warning") warnings.push_back(warning_of(event));
    }
    std::vector<int64_t> steps;
    for (const HealthWarning& warning : warnings) steps.push_back(warning.step);
    return steps;
  }

  ResolvedCell cell_ = fake_cell();
  std::vector<HealthCheck> checks_;  // of the objective
  TemporaryFolder temporary_;
  std::filesystem::path root_ = temporary_.path();
};

TEST_F(TrainingTest, UsesUpItsBudgetOfExamples) {
  const RunFolder run = folder("whole");
  const TrainingOutcome outcome = attempt(run);
  EXPECT_EQ(outcome.end, TrainingEnd::finished);
  EXPECT_EQ(outcome.state.step, 12);
  EXPECT_EQ(outcome.state.examples, 48);
  EXPECT_GT(outcome.state.flops, 0);
  EXPECT_EQ(only_checkpoint(run).filename(), "step-00000012.safetensors");
  const std::vector<Event> steps = events_named(run, "step");
  ASSERT_EQ(steps.size(), 12U);
  EXPECT_EQ(steps.back()["fraction"], 1.0);
  EXPECT_TRUE(steps.back()["values"].contains("loss/contrastive"));
  EXPECT_TRUE(steps.back()["values"].contains("logit_scale"));
}

TEST_F(TrainingTest, GivesTheSameBytesTwice) {
  attempt(folder("first"));
  attempt(folder("second"));
  EXPECT_EQ(bytes(folder("first")), bytes(folder("second")));
}

TEST_F(TrainingTest, ResumedAnywhereItEndsInTheSameBytes) {
  attempt(folder("whole"));
  for (const int64_t steps : {0, 1, 5, 6, 7, 11}) {
    const RunFolder run = folder("interrupted-" + std::to_string(steps));
    EXPECT_EQ(attempt(run, steps).end, TrainingEnd::interrupted);
    EXPECT_EQ(attempt(run).end, TrainingEnd::finished);
    EXPECT_EQ(bytes(run), bytes(folder("whole"))) << "interrupted after " << steps;
  }
}

TEST_F(TrainingTest, DoesNothingMoreOnceTrained) {
  const RunFolder run = folder("whole");
  attempt(run);
  const std::string before = bytes(run);
  const TrainingOutcome again = attempt(run);
  EXPECT_EQ(again.state.step, 12);
  EXPECT_EQ(events_named(run, "step").size(), 12U);
  EXPECT_EQ(bytes(run), before);
}

TEST_F(TrainingTest, PassesOverACheckpointWhoseEventWasLost) {
  attempt(folder("whole"));
  const RunFolder run = folder("killed");
  attempt(run, 4);
  // Killed between the rename of the next checkpoint and its event: a file that no event tells of.
  std::filesystem::copy_file(only_checkpoint(run), run.checkpoints() / checkpoint_name(5));
  attempt(run);
  EXPECT_EQ(events_named(run, "started").back()["step"], 4);
  EXPECT_EQ(bytes(run), bytes(folder("whole")));
}

TEST_F(TrainingTest, CountsTheCostOfEarlierAttempts) {
  const RunFolder run = folder("run");
  const TrainingOutcome first = attempt(run, 6);
  const TrainingOutcome second = attempt(run);
  EXPECT_GT(second.cost.seconds, first.cost.seconds);
  EXPECT_GE(second.cost.core_seconds, first.cost.core_seconds);
  EXPECT_EQ(second.state.flops, attempt(folder("whole")).state.flops);
}

TEST_F(TrainingTest, StopsAtABudgetOfFlops) {
  const int64_t whole = attempt(folder("examples")).state.flops;
  cell_.budget = {.unit = BudgetUnit::flops, .amount = 0.5 * static_cast<double>(whole)};
  const TrainingOutcome outcome = attempt(folder("flops"));
  EXPECT_GE(outcome.state.flops, whole / 2);
  EXPECT_LT(outcome.state.step, 12);
  EXPECT_TRUE(events_named(folder("flops"), "started").back()["total_steps"].is_null());
}

TEST_F(TrainingTest, StopsAtABudgetOfCoreSeconds) {
  cell_.budget = {.unit = BudgetUnit::core_seconds, .amount = 0.05};
  const RunFolder run = folder("core_seconds");
  EXPECT_GE(attempt(run).cost.core_seconds, 0.05);
  // And knows so when it is started again.
  const size_t steps = events_named(run, "step").size();
  attempt(run);
  EXPECT_EQ(events_named(run, "step").size(), steps);
}

TEST_F(TrainingTest, RefusesACheckpointOfAnotherCell) {
  const RunFolder run = folder("run");
  attempt(run, 3);
  cell_.optimizer.lr = 5e-3;
  try {
    attempt(run);
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("step-00000003.safetensors"));
    EXPECT_THAT(error.what(), HasSubstr("belongs to cell"));
    EXPECT_THAT(error.what(), HasSubstr("--fresh"));
  }
}

TEST_F(TrainingTest, RefusesADamagedCheckpoint) {
  const RunFolder run = folder("run");
  attempt(run, 3);
  std::filesystem::resize_file(only_checkpoint(run), 100);
  try {
    attempt(run);
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("step-00000003.safetensors"));
    EXPECT_THAT(error.what(), HasSubstr("--fresh"));
  }
}

TEST_F(TrainingTest, SaysWhenAndWhereTheLossIsNotFinite) {
  const std::string message = message_of_failed_attempt(&FakeObjective::diverges_at, 3);
  EXPECT_THAT(message, HasSubstr("diverged at step 3"));
  EXPECT_THAT(message, HasSubstr("loss/contrastive nan"));
  EXPECT_THAT(message, HasSubstr("optimizer.lr"));
  // The last good state is there still.
  EXPECT_EQ(only_checkpoint(folder("failing")).filename(), "step-00000003.safetensors");
}

TEST_F(TrainingTest, NamesAnObjectiveThatThrows) {
  EXPECT_EQ(message_of_failed_attempt(&FakeObjective::throws_at, 2), "objective \"fake_loss\": the head fell off");
}

TEST_F(TrainingTest, KeepsWhatAResumedRunNeedsAndNothingThatVaries) {
  const RunFolder run = folder("whole");
  attempt(run);
  const SafetensorsFile file(only_checkpoint(run));
  EXPECT_TRUE(file.tensors().contains("objective.average"));
  EXPECT_TRUE(file.tensors().contains("objective.head.weight"));
  EXPECT_TRUE(file.tensors().contains("optimizer.step"));
  std::set<std::string> keys;
  for (const auto& [key, value] : file.metadata()) keys.insert(key);
  EXPECT_EQ(keys, (std::set<std::string>{"cell", "engine_version", "examples", "flops", "health", "step"}));
}

TEST_F(TrainingTest, WarnsWhereAnObjectivesCheckHasLasted) {
  checks_ = {{.name = "scale",
              .metric = "logit_scale",
              .condition = HealthCondition::above,
              .value = 0,
              .steps = 3,
              .message = "do this"}};
  const RunFolder run = folder("sick");
  attempt(run);
  const std::vector<Event> warnings = events_named(run, "warning");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0]["step"], 3);
  EXPECT_EQ(warnings[0]["check"], "scale");
  EXPECT_EQ(warnings[0]["metric"], "logit_scale");
  EXPECT_TRUE(warnings[0]["value"].is_number());
  EXPECT_THAT(warnings[0]["message"].get<std::string>(), HasSubstr("for 3 steps): do this"));
}

TEST_F(TrainingTest, ResumedAnywhereItWarnsOfTheSameOnce) {
  checks_ = {{.name = "early",
              .metric = "logit_scale",
              .condition = HealthCondition::above,
              .value = 0,
              .steps = 3,
              .message = "do this"},
             {.name = "late",
              .metric = "logit_scale",
              .condition = HealthCondition::above,
              .value = 0,
              .steps = 2,
              .share = 0.25,
              .from = 0.5,
              .message = "do that"}};
  attempt(folder("whole"));
  const auto expected = warned_steps(folder("whole"));
  EXPECT_EQ(expected.size(), 2U);
  for (const int64_t steps : {1, 2, 3, 4, 7, 8, 9, 11}) {
    const RunFolder run = folder("interrupted-" + std::to_string(steps));
    attempt(run, steps);
    attempt(run);
    EXPECT_EQ(warned_steps(run), expected) << "interrupted after " << steps;
    EXPECT_EQ(bytes(run), bytes(folder("whole"))) << "interrupted after " << steps;
  }
}

TEST_F(TrainingTest, ReportsWhatABatchHoldsMoreThanOnce) {
  const RunFolder run = folder("whole");
  attempt(run);
  for (const Event& step : events_named(run, "step")) {
    EXPECT_TRUE(step["values"].contains("duplicate_pictures"));
    EXPECT_TRUE(step["values"].contains("duplicate_captions"));
  }
}

// Three updates; gives the parameters of the text tower before, and the step.
std::pair<std::vector<at::Tensor>, TrainingStep> three_updates(const Assembly& assembly, const ResolvedCell& cell) {
  std::vector<at::Tensor> before;
  for (const at::Tensor& parameter : assembly.model->text->parameters()) before.push_back(parameter.detach().clone());
  TrainingStep step(assembly, cell);
  const BatchSource source = make_batch_source(cell, assembly, 0);
  for (int64_t i = 0; i < 3; ++i) step.run([&] { return source.batch(i); }, {.step = i, .fraction = 0.1}, 1e-2);
  return {std::move(before), std::move(step)};
}

class AlongTrainingTest : public TrainingTest {
 protected:
  AlongTrainingTest() { cell_.engine.evaluate_every = 0.25; }  // after updates 3, 6, 9 and 12

  TrainingOutcome attempt(const RunFolder& folder, int64_t steps = 1000, double until = 1) {
    const Assembly assembly = fake_assembly(cell_);
    EventLog events(folder.events());
    return train(cell_, assembly, folder, events, [&] { return steps-- <= 0; },
                 {.evaluate =
                      [&](int64_t step, bool ended) {
                        asked_.emplace_back(step, ended);
                        if (step == stopped_in_) {
                          stopped_in_ = -1;
                          throw Interrupted{};
                        }
                        const Stopwatch watch;
                        while (watch.elapsed().core_seconds < seconds_) continue;
                        // Evaluators draw at random as they like.
                        const double value = at::rand({}).item<double>();
                        return nlohmann::json{{{"evaluator", "zero_shot_classification"},
                                               {"dataset", "fake_data"},
                                               {"weights", "student"},
                                               {"name", "acc1"},
                                               {"value", value},
                                               {"n", 11}}};
                      },
                  .until = until});
  }

  // Steps of the evaluations that count once training is done.
  static std::vector<int64_t> evaluated_steps(const RunFolder& folder) {
    uint64_t offset = 0;
    std::vector<int64_t> steps;
    for (const Event& event : read_events(folder.events(), offset)) {
      if (event["event"] == "started") std::erase_if(steps, [&](int64_t step) { return step > event["step"]; });
      if (event["event"] == "evaluated_along") steps.push_back(event["step"]);
    }
    return steps;
  }

  std::vector<std::pair<int64_t, bool>> asked_;  // of evaluate()
  int64_t stopped_in_ = -1;                      // the step at which evaluating is interrupted, once
  double seconds_ = 0;                           // that it takes
};

TEST_F(AlongTrainingTest, EvaluatesEachPartOfTheBudgetAndSaysTheLastTime) {
  attempt(folder("run"));
  EXPECT_EQ(asked_, (std::vector<std::pair<int64_t, bool>>{{3, false}, {6, false}, {9, false}, {12, true}}));
  const std::vector<Event> events = events_named(folder("run"), "evaluated_along");
  ASSERT_EQ(events.size(), 4U);
  EXPECT_EQ(events[1]["fraction"], 0.5);
  EXPECT_EQ(events[1]["examples"], 24);
  EXPECT_EQ(events[1]["metrics"][0]["name"], "acc1");
}

TEST_F(AlongTrainingTest, EvaluatesAsOftenAsPartsPassWhereAnUpdateIsMoreThanOne) {
  cell_.engine.evaluate_every = 0.01;
  attempt(folder("run"));
  EXPECT_EQ(evaluated_steps(folder("run")).size(), 12U);
}

TEST_F(AlongTrainingTest, TrainsToTheSameBytesWhetherItIsEvaluatedOrNot) {
  attempt(folder("evaluated"));
  cell_.engine.evaluate_every = 0;
  attempt(folder("alone"));
  EXPECT_TRUE(events_named(folder("alone"), "evaluated_along").empty());
  EXPECT_EQ(bytes(folder("evaluated")), bytes(folder("alone")));
}

TEST_F(AlongTrainingTest, ResumedAnywhereItEvaluatesTheSameSteps) {
  cell_.engine.checkpoint_seconds = 1000;
  for (const int64_t steps : {2, 3, 4, 6, 11}) {
    const RunFolder run = folder("interrupted-" + std::to_string(steps));
    attempt(run, steps);
    attempt(run);
    EXPECT_EQ(evaluated_steps(run), (std::vector<int64_t>{3, 6, 9, 12})) << "interrupted after " << steps;
  }
}

TEST_F(AlongTrainingTest, InterruptedWhileItEvaluatesItDoesThatFirst) {
  for (const int64_t step : {3, 12}) {
    stopped_in_ = step;
    const RunFolder run = folder("interrupted-at-" + std::to_string(step));
    EXPECT_EQ(attempt(run).end, TrainingEnd::interrupted);
    EXPECT_EQ(attempt(run).end, TrainingEnd::finished);
    EXPECT_EQ(evaluated_steps(run), (std::vector<int64_t>{3, 6, 9, 12}));
    EXPECT_EQ(events_named(run, "started").back()["step"], step);
  }
}

TEST_F(AlongTrainingTest, KeepsItsCostApartFromThatOfTraining) {
  seconds_ = 0.2;
  const Stopwatch watch;
  const TrainingOutcome outcome = attempt(folder("run"));
  EXPECT_GE(outcome.evaluation.core_seconds, 4 * seconds_);
  EXPECT_LE(outcome.cost.core_seconds + outcome.evaluation.core_seconds, watch.elapsed().core_seconds);
  const TrainingOutcome again = attempt(folder("run"));
  EXPECT_DOUBLE_EQ(again.evaluation.core_seconds, outcome.evaluation.core_seconds);
}

TEST_F(AlongTrainingTest, ABudgetOfCoreSecondsIsNotSpentOnIt) {
  seconds_ = 0.5;
  cell_.engine.evaluate_every = 0.5;
  cell_.budget = {.unit = BudgetUnit::core_seconds, .amount = 0.05};
  const Stopwatch watch;
  const TrainingOutcome outcome = attempt(folder("run"));
  EXPECT_FALSE(asked_.empty());
  EXPECT_GE(outcome.cost.core_seconds, 0.05);
  EXPECT_LE(outcome.cost.core_seconds, watch.elapsed().core_seconds - seconds_);
}

TEST_F(AlongTrainingTest, PausesWhereItIsAskedToAndGoesOnToTheSameBytes) {
  cell_.engine.evaluate_every = 0;
  const RunFolder run = folder("paused");
  EXPECT_EQ(attempt(run, 1000, 0.3).end, TrainingEnd::paused);
  EXPECT_EQ(only_checkpoint(run).filename(), checkpoint_name(4));
  // Asked for no more than it has done, it does nothing.
  EXPECT_EQ(attempt(run, 1000, 0.3).end, TrainingEnd::paused);
  EXPECT_EQ(attempt(run, 1000, 0.6).end, TrainingEnd::paused);
  EXPECT_EQ(attempt(run).end, TrainingEnd::finished);
  EXPECT_EQ(evaluated_steps(run), (std::vector<int64_t>{4, 8}));
  attempt(folder("whole"));
  EXPECT_EQ(bytes(run), bytes(folder("whole")));
}

class UnreadableTest : public TrainingTest {
 protected:
  UnreadableTest() { cell_.train.on_error = "skip"; }

  TrainingOutcome attempt(const RunFolder& folder, int64_t steps = 1000) {
    const Assembly assembly = fake_assembly(cell_);
    dynamic_cast<testing::FakeDataset&>(*assembly.dataset).broken = 4;
    EventLog events(folder.events());
    return train(cell_, assembly, folder, events, [&] { return steps-- <= 0; });
  }
};

TEST_F(UnreadableTest, IsPassedOverAndToldOnce) {
  const RunFolder run = folder("run");
  EXPECT_EQ(attempt(run).end, TrainingEnd::finished);
  const std::vector<Event> warnings = events_named(run, "warning");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0]["check"], "unreadable_samples_1");
  EXPECT_EQ(warnings[0]["value"], 1);
  EXPECT_THAT(
      warnings[0]["message"].get<std::string>(),
      HasSubstr("1 sample of dataset \"fake_data\" could not be read and was replaced by the next in the data; the "
                "last: picture 4 is cut short"));
}

TEST_F(UnreadableTest, ResumedAnywhereItEndsInTheSameBytesAndWarnsOnce) {
  const RunFolder whole = folder("whole");
  attempt(whole);
  const RunFolder parts = folder("parts");
  while (attempt(parts, 2).end == TrainingEnd::interrupted) continue;
  EXPECT_EQ(bytes(parts), bytes(whole));
  EXPECT_EQ(events_named(parts, "warning").size(), 1U);
}

TEST_F(UnreadableTest, StopsBeyondTheLimit) {
  cell_.train.skip_limit = 0;
  try {
    attempt(folder("run"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("more samples cannot be read than skip_limit allows (0); the last: picture 4"));
  }
}

TEST(TrainingStep, LeavesAFrozenPartAsItIsAndKeepsNoStateForIt) {
  const ResolvedCell cell = fake_cell();
  const Assembly assembly = fake_assembly(cell);
  for (at::Tensor& parameter : assembly.model->text->parameters()) parameter.set_requires_grad(false);
  const auto [before, step] = three_updates(assembly, cell);
  const std::vector<at::Tensor> after = assembly.model->text->parameters();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(torch::equal(after[i], before[i]));
  const auto state = step.state();
  EXPECT_TRUE(state.contains("model.text.projection"));  // in the checkpoint all the same
  EXPECT_FALSE(state.contains("optimizer.exp_avg.model.text.projection"));
  EXPECT_TRUE(state.contains("optimizer.exp_avg.model.image.projection"));
}

TEST(TrainingStep, TrainsTheObjectivesGroupsWithTheirScales) {
  const ResolvedCell cell = fake_cell();
  const Assembly assembly = fake_assembly(cell);
  dynamic_cast<FakeObjective&>(*assembly.objective).groups = {
      {.parameters = assembly.model->text->parameters(), .lr_scale = 0}};
  const at::Tensor image = assembly.model->image->parameters().front().detach().clone();
  const auto [before, step] = three_updates(assembly, cell);
  const std::vector<at::Tensor> after = assembly.model->text->parameters();
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(torch::equal(after[i], before[i]));
  EXPECT_FALSE(torch::equal(assembly.model->image->parameters().front(), image));
}

TEST_F(TrainingTest, AnUpdateMayTakeSeveralBatches) {
  cell_.optimizer.accumulate = 3;
  const TrainingOutcome outcome = attempt(folder("whole"));
  EXPECT_EQ(outcome.state.step, 4);
  EXPECT_EQ(outcome.state.examples, 4 * 3 * 4);
  const RunFolder run = folder("interrupted");
  attempt(run, 1);
  attempt(run);
  EXPECT_EQ(bytes(run), bytes(folder("whole")));
}

// Its loss is 2 times the mean label of a batch, its gradient that label.
class LabelObjective : public Objective {
 public:
  LabelObjective() { weight_ = register_parameter("weight", at::full({}, 2.0)); }
  std::vector<ViewSpec> views() const override { return {}; }
  StepResult step(const Batch& batch, const Progress& progress) override {
    micro_batches.push_back(progress.micro_batch);
    return {.terms = {{"label", weight_ * batch.labels.to(at::kFloat).mean()}}, .metrics = {}};
  }
  void after_backward(const Progress& /*progress*/) override { ++backward_passes; }

  std::vector<int64_t> micro_batches;
  int64_t backward_passes = 0;

 private:
  at::Tensor weight_;
};

TEST(TrainingStep, AveragesOverTheBatchesOfAnUpdate) {
  ResolvedCell cell = fake_cell();
  cell.optimizer.accumulate = 3;
  Assembly assembly = fake_assembly(cell);
  const auto objective = std::make_shared<LabelObjective>();
  assembly.objective = objective;
  TrainingStep step(assembly, cell);
  int64_t label = 0;
  const auto next_batch = [&] {
    return Batch{.size = 1, .views = {}, .tokens = {}, .labels = at::full({1}, ++label, at::kLong)};
  };
  const StepFigures figures = step.run(next_batch, {.step = 0, .fraction = 0.1}, 1e-2);
  EXPECT_FLOAT_EQ(figures.loss, 2 * 2);
  EXPECT_FLOAT_EQ(figures.gradient_norm, 2);
  EXPECT_EQ(figures.values, (std::vector<std::pair<std::string, double>>{{"loss/label", 4}}));
  EXPECT_EQ(objective->micro_batches, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(objective->backward_passes, 1);
}

TEST(TrainingStep, TrainsInBf16) {
  ResolvedCell cell = fake_cell();
  cell.engine.precision = "bf16";
  const Assembly assembly = fake_assembly(cell);
  TrainingStep step(assembly, cell);
  const BatchSource source = make_batch_source(cell, assembly, 0);
  double first = 0;
  double last = 0;
  for (int64_t i = 0; i < 30; ++i) {
    last = step.run([&] { return source.batch(0); }, {.step = i, .fraction = 0.1}, 3e-2).loss;
    if (i == 0) first = last;
  }
  EXPECT_LT(last, 0.7 * first);  // one batch, learnt by heart
  for (const auto& [name, tensor] : step.state()) EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
}

}  // namespace
}  // namespace silc
