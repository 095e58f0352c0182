#include "engine/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

StepFigures figures(double entropy, double loss = 1, double gradient_norm = 1) {
  return {.loss = loss, .gradient_norm = gradient_norm, .values = {{"teacher_entropy", entropy}}};
}

HealthCheck check(HealthCondition condition, double value) {
  return {.name = "entropy", .metric = "teacher_entropy", .condition = condition, .value = value, .message = "do this"};
}

// Training of `total` updates, one after the other.
class Watched {
 public:
  Watched(const std::vector<HealthCheck>& checks, int64_t total, const std::vector<double>& milestones = {})
      : checks_(checks), milestones_(milestones), total_(total), monitor_(checks, milestones) {}

  // "name@step" of what the next update warns of.
  std::vector<std::string> next(const StepFigures& figures) {
    const auto fraction = [&] { return static_cast<double>(step_) / static_cast<double>(total_); };
    const double before = fraction();
    ++step_;
    last_ = monitor_.observe(step_, before, fraction(), figures);
    std::vector<std::string> names;
    for (const HealthWarning& warning : last_) names.push_back(warning.check + "@" + std::to_string(warning.step));
    return names;
  }

  // Of as many updates with the same figures.
  std::vector<std::string> next(int64_t updates, const StepFigures& figures) {
    std::vector<std::string> all;
    for (int64_t i = 0; i < updates; ++i)
      for (const std::string& name : next(figures)) all.push_back(name);
    return all;
  }

  // As a process does that goes on from a checkpoint.
  void resume() {
    HealthMonitor fresh(checks_, milestones_);
    fresh.restore(monitor_.state());
    monitor_ = std::move(fresh);
  }

  [[nodiscard]] const std::vector<HealthWarning>& last() const { return last_; }
  [[nodiscard]] std::string state() const { return monitor_.state(); }

 private:
  std::vector<HealthCheck> checks_;
  std::vector<double> milestones_;
  int64_t total_;
  int64_t step_ = 0;
  HealthMonitor monitor_;
  std::vector<HealthWarning> last_;
};

TEST(HealthMonitor, WarnsOnceWhereAMetricIsBelowAValue) {
  Watched run({check(HealthCondition::below, 0.5)}, 100);
  EXPECT_THAT(run.next(figures(0.5)), IsEmpty());
  EXPECT_THAT(run.next(figures(0.25)), ElementsAre("entropy@2"));
  ASSERT_THAT(run.last(), SizeIs(1));
  EXPECT_EQ(run.last()[0].metric, "teacher_entropy");
  EXPECT_EQ(run.last()[0].value, 0.25);
  EXPECT_EQ(run.last()[0].message, "teacher_entropy 0.25 (below 0.5 for 1 step): do this");
  EXPECT_THAT(run.next(10, figures(0)), IsEmpty());
}

TEST(HealthMonitor, WarnsWhereAMetricIsAboveAValue) {
  Watched run({check(HealthCondition::above, 0.5)}, 100);
  EXPECT_THAT(run.next(figures(0.5)), IsEmpty());
  EXPECT_THAT(run.next(figures(0.75)), ElementsAre("entropy@2"));
}

TEST(HealthMonitor, WarnsWhereAMetricIsNearAValue) {
  HealthCheck near = check(HealthCondition::near, 2);
  near.tolerance = 0.25;
  Watched run({near}, 100);
  EXPECT_THAT(run.next(figures(1.5)), IsEmpty());
  EXPECT_THAT(run.next(figures(2.5)), IsEmpty());
  EXPECT_THAT(run.next(figures(1.75)), ElementsAre("entropy@3"));
}

TEST(HealthMonitor, WaitsForSoManyUpdatesInARow) {
  HealthCheck lasting = check(HealthCondition::below, 0.5);
  lasting.steps = 4;
  Watched run({lasting}, 100);
  EXPECT_THAT(run.next(3, figures(0)), IsEmpty());
  EXPECT_THAT(run.next(figures(1)), IsEmpty());
  EXPECT_THAT(run.next(4, figures(0)), ElementsAre("entropy@8"));
}

TEST(HealthMonitor, WaitsForSuchAShareOfTraining) {
  HealthCheck lasting = check(HealthCondition::below, 0.5);
  lasting.share = 0.25;
  EXPECT_THAT(Watched({lasting}, 8).next(8, figures(0)), ElementsAre("entropy@2"));
  EXPECT_THAT(Watched({lasting}, 100).next(100, figures(0)), ElementsAre("entropy@25"));
}

TEST(HealthMonitor, ReachesTheEndOfTrainingWhereAQuarterIsNoWholeNumberOfUpdates) {
  HealthCheck at_the_end = check(HealthCondition::below, 0.5);
  at_the_end.share = 0.25;
  at_the_end.from = 0.75;
  for (const int64_t total : {97, 98, 99, 100, 101})
    EXPECT_THAT(Watched({at_the_end}, total).next(total, figures(0)), SizeIs(1)) << total;
}

TEST(HealthMonitor, DoesNotCountWhatComesBeforeItsTime) {
  HealthCheck late = check(HealthCondition::below, 0.5);
  late.from = 0.5;
  late.steps = 2;
  EXPECT_THAT(Watched({late}, 10).next(10, figures(0)), ElementsAre("entropy@7"));
}

TEST(HealthMonitor, PassesOverUpdatesWithoutTheMetric) {
  HealthCheck lasting = check(HealthCondition::below, 0.5);
  lasting.steps = 2;
  Watched run({lasting}, 100);
  run.next(figures(0));
  EXPECT_THAT(run.next({.loss = 1, .gradient_norm = 1, .values = {}}), IsEmpty());
  EXPECT_THAT(run.next(figures(0)), ElementsAre("entropy@3"));
}

TEST(HealthMonitor, WarnsOfMetricsThatAreNotFinite) {
  Watched run({check(HealthCondition::below, 0.5)}, 100);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(run.next(figures(nan)), ElementsAre("not_finite/teacher_entropy@1"));
  EXPECT_TRUE(event_of(run.last()[0])["value"].is_null());
  EXPECT_THAT(run.next(figures(nan)), IsEmpty());
}

TEST(HealthMonitor, WarnsWhereNoGradientIsLeft) {
  Watched run({}, 100);
  run.next(figures(1, 1, 5));
  EXPECT_THAT(run.next(29, figures(1, 1, 1e-4)), IsEmpty());
  EXPECT_THAT(run.next(figures(1, 1, 1e-4)), ElementsAre("gradient_vanished@31"));
  EXPECT_THAT(run.last()[0].message, HasSubstr("nothing is learnt any more"));
}

TEST(HealthMonitor, WarnsWhereThereNeverWasAGradient) {
  EXPECT_THAT(Watched({}, 100).next(100, figures(1, 1, 0)), ElementsAre("gradient_vanished@30"));
}

TEST(HealthMonitor, TakesTheGradientsOfALossOnASmallScaleForHealthy) {
  EXPECT_THAT(Watched({}, 100).next(100, figures(1, 1e-5, 1e-5)), IsEmpty());
}

TEST(HealthMonitor, WarnsWhereTheGradientExplodes) {
  Watched run({}, 1000);
  EXPECT_THAT(run.next(Trend::kLength, figures(1, 1, 2)), IsEmpty());
  EXPECT_THAT(run.next(figures(1, 1, 500)), IsEmpty()) << "one update";
  EXPECT_THAT(run.next(figures(1, 1, 2)), IsEmpty());
  EXPECT_THAT(run.next(3, figures(1, 1, 500)), ElementsAre("gradient_exploding@69"));
  EXPECT_THAT(run.last()[0].message, AllOf(HasSubstr("250 times the median"), HasSubstr("optimizer.lr")));
}

TEST(HealthMonitor, TakesTheGradientsOfAModelThatHasLearntByHeartForHealthy) {
  Watched run({}, 1000);
  run.next(figures(1, 1, 5));
  EXPECT_THAT(run.next(2 * Trend::kLength, figures(1, 1, 0.001)), IsEmpty());
  EXPECT_THAT(run.next(5, figures(1, 1, 2)), IsEmpty()) << "2000 times the median, but no more than at the start";
}

TEST(HealthMonitor, WarnsOfALossThatJumps) {
  Watched run({}, 1000);
  run.next(figures(1, 3.5));
  for (std::size_t i = 0; i < Trend::kLength; ++i)
    EXPECT_THAT(run.next(figures(1, i % 2 == 0 ? 0.98 : 1.02)), IsEmpty());
  EXPECT_THAT(run.next(figures(1, 2)), IsEmpty()) << "not half of the way back";
  EXPECT_THAT(run.next(figures(1, 3)), ElementsAre("loss_spike@67"));
}

TEST(HealthMonitor, TakesTheJumpAtAMilestoneForHealthy) {
  const auto jumps = [](const std::vector<double>& milestones) {
    Watched run({}, 200, milestones);
    run.next(100, figures(1, 1, 1));
    return run.next(100, figures(1, 9, 1000));
  };
  EXPECT_THAT(jumps({0.5}), IsEmpty());
  EXPECT_THAT(jumps({}), ElementsAre("loss_spike@101", "gradient_exploding@103"));
}

TEST(HealthMonitor, GoesOnFromItsStateAsIfNeverInterrupted) {
  HealthCheck lasting = check(HealthCondition::below, 0.5);
  lasting.steps = 30;
  lasting.share = 0.1;
  const auto entropy = [](int64_t step) { return step < 40 || step % 50 == 0 ? 1.0 / 3 : 0.7; };
  const auto loss = [](int64_t step) { return step == 150 ? 40 : 1 + 1.0 / static_cast<double>(step + 3); };
  for (const int64_t interruption : {1, 20, 29, 30, 31, 100, 149, 150, 151}) {
    Watched whole({lasting}, 200, {0.3}), killed({lasting}, 200, {0.3});
    for (int64_t step = 0; step < 200; ++step) {
      if (step == interruption) killed.resume();
      const StepFigures now = figures(entropy(step), loss(step));
      EXPECT_EQ(killed.next(now), whole.next(now)) << "step " << step << ", interrupted before " << interruption;
      EXPECT_EQ(killed.state(), whole.state());
    }
  }
}

TEST(HealthMonitor, OfANewCellHasNothingToGoOnFrom) {
  HealthMonitor monitor({}, {});
  const std::string before = monitor.state();
  monitor.restore("");
  EXPECT_EQ(monitor.state(), before);
}

}  // namespace
}  // namespace silc
