#include "plot/scale.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace silc::plot {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::SizeIs;

TEST(Scale, HasRoundNumbersWithinItsRange) {
  EXPECT_THAT(linear_ticks({0, 10}, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(linear_ticks({0.573, 0.612}, 4), ElementsAre(DoubleNear(0.58, 1e-12), DoubleNear(0.59, 1e-12),
                                                           DoubleNear(0.6, 1e-12), DoubleNear(0.61, 1e-12)));
  EXPECT_THAT(linear_ticks({14.2, 23.1}, 2), ElementsAre(16, 18, 20, 22)) << "where 20 alone would be one of two";
  EXPECT_THAT(linear_ticks({-1, 1}, 2), ElementsAre(-1, 0, 1));
  EXPECT_THAT(linear_ticks({3, 3}, 4), SizeIs(1)) << "a single number";
}

TEST(Scale, HasPowersOfTenWhereItIsLogarithmic) {
  EXPECT_THAT(logarithmic_ticks({0.5, 2000}, 5), ElementsAre(1, 10, 100, 1000));
  EXPECT_THAT(logarithmic_ticks({1, 1e9}, 3), ElementsAre(1, 1e3, 1e6, 1e9));
  EXPECT_THAT(logarithmic_ticks({1.5, 7}, 4), ElementsAre(2, 5));
}

TEST(Scale, WritesLargeNumbersWithPrefixes) {
  EXPECT_THAT(tick_labels({0, 10'000, 20'000}), ElementsAre("0", "10k", "20k"));
  EXPECT_THAT(tick_labels({0, 5e8, 1e9}), ElementsAre("0", "500M", "1G"));
  EXPECT_THAT(tick_labels({-0.5, 0, 0.5}), ElementsAre("−0.5", "0", "0.5"));
  EXPECT_THAT(tick_labels({0, 500, 1000}), ElementsAre("0", "500", "1000"));
}

TEST(Scale, LeadsFromDataToThePicture) {
  const Scale linear({0, 10}, false, 100, 0);
  EXPECT_DOUBLE_EQ(linear(2.5), 75);
  const Scale logarithmic({1, 100}, true, 0, 10);
  EXPECT_DOUBLE_EQ(logarithmic(10), 5);
}

TEST(Scale, GivesASingleNumberRoom) {
  const Scale one({4, 4}, false, 0, 10);
  EXPECT_DOUBLE_EQ(one(4), 5);
  const Scale rounded({0.001, std::nextafter(0.001, 1)}, false, 0, 10);
  EXPECT_NEAR(rounded(0.001), 5, 1e-6);
  EXPECT_THAT(linear_ticks({0.001, std::nextafter(0.001, 1)}, 5), SizeIs(1));
  const Scale none({0, 0}, false, 0, 10);
  EXPECT_DOUBLE_EQ(none(0), 5);
}

}  // namespace
}  // namespace silc::plot
