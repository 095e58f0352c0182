#include "registry/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace silc {
namespace {

using Values = std::vector<double>;

TEST(Statistics, DividesTheSpreadByOneLessThanTheNumberOfValues) {
  EXPECT_DOUBLE_EQ(*sample_standard_deviation(Values{2, 4, 4, 4, 5, 5, 7, 9}), std::sqrt(32.0 / 7));
}

TEST(Statistics, KnowsNoSpreadOfOneValue) { EXPECT_FALSE(sample_standard_deviation(Values{1})); }

// Student's t has closed forms for one and two degrees of freedom: F(t) = 1/2 + atan(t)/π, and
// F(t) = 1/2 + t / (2 √(t² + 2)). The tolerance is that of a few roundings.
TEST(PairedTTest, AgreesWithTheClosedFormForTwoPairs) {
  const double t = 3;  // differences 1 and 2: mean 1.5, standard error 0.5
  EXPECT_NEAR(*paired_t_test(Values{1, 2}), 1 - 2 * std::atan(t) / std::numbers::pi, 1e-14);
}

TEST(PairedTTest, AgreesWithTheClosedFormForThreePairs) {
  const double t = 2 * std::sqrt(3.0);  // differences −1, −2 and −3: mean −2, standard deviation 1
  EXPECT_NEAR(*paired_t_test(Values{-1, -2, -3}), 1 - t / std::sqrt(t * t + 2), 1e-14);
}

TEST(PairedTTest, SeesNoDifferenceWhereThereIsNone) { EXPECT_EQ(paired_t_test(Values{0, 0, 0}), 1.0); }

TEST(PairedTTest, NeedsTwoPairs) { EXPECT_FALSE(paired_t_test(Values{1})); }

TEST(PairedTTest, TakesNoEqualDifferencesForCertainty) {
  // 0.3 − 0.2 and 0.2 − 0.1 differ in the last bit.
  EXPECT_FALSE(paired_t_test(Values{0.3 - 0.2, 0.2 - 0.1}));
}

TEST(Holm, RejectsUntilTheFirstThatDoesNotPass) {
  // Sorted: 0.005 · 4 and 0.01 · 3 lie below 0.05, 0.03 · 2 does not, and 0.04 · 1 is not looked at any more.
  EXPECT_THAT(reject_by_holm(Values{0.01, 0.04, 0.03, 0.005}, 0.05), testing::ElementsAre(true, false, false, true));
}

TEST(Holm, IsThePlainTestForOneComparison) {
  EXPECT_THAT(reject_by_holm(Values{0.049}, 0.05), testing::ElementsAre(true));
  EXPECT_THAT(reject_by_holm(Values{0.05}, 0.05), testing::ElementsAre(false));
}

TEST(Holm, HasNothingToRejectAmongNone) { EXPECT_TRUE(reject_by_holm(Values{}, 0.05).empty()); }

}  // namespace
}  // namespace silc
