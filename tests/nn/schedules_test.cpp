#include "nn/schedules.h"

#include <gtest/gtest.h>

namespace silc {
namespace {

// DINO's cosine_scheduler(0.996, 1, 4 steps): final + (base − final) (1 + cos(π i / 4)) / 2.
TEST(Schedules, CosineRunsFromItsStartToItsEnd) {
  EXPECT_DOUBLE_EQ(cosine_schedule(0.996, 1, 0), 0.996);
  EXPECT_NEAR(cosine_schedule(0.996, 1, 0.25), 0.996585786, 1e-9);
  EXPECT_NEAR(cosine_schedule(0.996, 1, 0.5), 0.998, 1e-12);
  EXPECT_DOUBLE_EQ(cosine_schedule(0.996, 1, 1), 1);
}

TEST(Schedules, RampGrowsFromItsStart) {
  EXPECT_EQ(ramp(0.1, 0.2, 0.4), 0);
  EXPECT_DOUBLE_EQ(ramp(0.3, 0.2, 0.4), 0.25);
  EXPECT_EQ(ramp(0.7, 0.2, 0.4), 1);
  EXPECT_EQ(ramp(0.1, 0.2, 0), 1);
}

TEST(Schedules, AMilestoneLiesWithinTraining) {
  EXPECT_EQ(milestone(0.5), std::vector{0.5});
  EXPECT_TRUE(milestone(0).empty());
  EXPECT_TRUE(milestone(1).empty());
}

}  // namespace
}  // namespace silc
