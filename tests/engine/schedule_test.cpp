#include "engine/schedule.h"

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
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 0), 0);
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 0.05), 1);
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 0.1), 2);
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 0.55), 1.25);  // half-way between 2 and 0.5
  EXPECT_DOUBLE_EQ(learning_rate(settings(), 1), 0.5);
}

TEST(Schedule, StaysConstantWhereAsked) {
  OptimizerSettings constant = settings();
  constant.schedule = "constant";
  EXPECT_DOUBLE_EQ(learning_rate(constant, 0.05), 1);
  EXPECT_DOUBLE_EQ(learning_rate(constant, 0.9), 2);
}

TEST(Schedule, NeedsNoWarmup) {
  OptimizerSettings sudden = settings();
  sudden.warmup = 0;
  EXPECT_DOUBLE_EQ(learning_rate(sudden, 0), 2);
}

TEST(Schedule, RefusesAnUnknownName) {
  OptimizerSettings wrong = settings();
  wrong.schedule = "linear";
  EXPECT_THROW(learning_rate(wrong, 0.5), Error);
}

}  // namespace
}  // namespace silc
