#include "engine/learning_rate.h"

#include <gtest/gtest.h>

#include "silc/error.h"

namespace silc {
namespace {

OptimizerSettings settings() {
  OptimizerSettings settings;
  settings.lr = 2;
  settings.warmup = 0.1;
  settings.final_lr = 0.25;
  return settings;
}

TEST(Schedule, RisesLinearlyThenFallsAlongACosine) {
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 0, 0), 0);
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 0.05, 0), 1);
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 0.1, 0), 2);
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 0.55, 0), 1.25);  // half-way between 2 and 0.5
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 1, 0), 0.5);
}

// open_clip's cosine_lr with 20 steps, 2 of them warm-up: lr · (step + 1) / 2, then lr · ½ (1 + cos π (step − 2) / 18).
TEST(Schedule, WastesNoUpdateOnALearningRateOfZero) {
  OptimizerSettings open_clip = settings();
  open_clip.final_lr = 0;
  const auto at_step = [&](int64_t step) { return learning_rate(open_clip, static_cast<double>(step) / 20, 1.0 / 20); };
  EXPECT_DOUBLE_EQ(at_step(0), 1);
  EXPECT_DOUBLE_EQ(at_step(1), 2);
  EXPECT_DOUBLE_EQ(at_step(2), 2);
  EXPECT_DOUBLE_EQ(at_step(11), 1);
  EXPECT_NEAR(at_step(19), 0.015192246987791975, 1e-12);
}

TEST(Schedule, DoesNotRiseAboveItsTopWhereWarmUpIsShorterThanAnUpdate) {
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 0, 0.3), 2);
}

TEST(Schedule, StaysConstantWhereAsked) {
  OptimizerSettings constant = settings();
  constant.schedule = "constant";
  EXPECT_DOUBLE_EQ(learning_rate(constant, 0.05, 0), 1);
  EXPECT_DOUBLE_EQ(learning_rate(constant, 0.9, 0), 2);
}

TEST(Schedule, NeedsNoWarmup) {
  OptimizerSettings sudden = settings();
  sudden.warmup = 0;
  EXPECT_DOUBLE_EQ(learning_rate(sudden, 0, 0), 2);
}

TEST(Schedule, RefusesAnUnknownName) {
  OptimizerSettings wrong = settings();
  wrong.schedule = "linear";
  EXPECT_THROW(learning_rate(wrong, 0.5, 0), Error);
}

}  // namespace
}  // namespace silc
