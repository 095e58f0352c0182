#include "registry/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "files/durable_file.h"
#include "silc/random.h"

namespace silc {
namespace {

using Values = std::vector<double>;

constexpr double kTolerance = 1e-9;

// By SciPy and statsmodels: tests/reference/report_statistics.py.
nlohmann::json expected(const std::string& name) {
  return nlohmann::json::parse(
      read_file(std::filesystem::path(SILC_SOURCE_DIR) / "tests/data/report_statistics.json"))[name];
}

TEST(Statistics, DividesTheSpreadByOneLessThanTheNumberOfValues) {
  EXPECT_DOUBLE_EQ(*sample_standard_deviation(Values{2, 4, 4, 4, 5, 5, 7, 9}), std::sqrt(32.0 / 7));
}

TEST(Statistics, KnowsNoSpreadAndNoIntervalOfOneValue) {
  EXPECT_FALSE(sample_standard_deviation(Values{1}));
  EXPECT_FALSE(t_interval(Values{1}));
}

TEST(Statistics, GivesTheIntervalsOfScipy) {
  for (const auto& one : expected("t_interval")) {
    const auto interval = t_interval(one["values"].get<Values>(), one["alpha"]);
    EXPECT_NEAR(interval->low, one["low"], kTolerance);
    EXPECT_NEAR(interval->high, one["high"], kTolerance);
  }
}

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

TEST(PairedTTest, GivesThePValuesOfScipy) {
  for (const auto& one : expected("paired_t_test"))
    EXPECT_NEAR(*paired_t_test(one["differences"].get<Values>()), one["p"], kTolerance);
}

TEST(PairedTTest, SeesNoDifferenceWhereThereIsNone) { EXPECT_EQ(paired_t_test(Values{0, 0, 0}), 1.0); }

TEST(PairedTTest, NeedsTwoPairs) { EXPECT_FALSE(paired_t_test(Values{1})); }

TEST(PairedTTest, TakesNoEqualDifferencesForCertainty) {
  // 0.3 − 0.2 and 0.2 − 0.1 differ in the last bit.
  EXPECT_FALSE(paired_t_test(Values{0.3 - 0.2, 0.2 - 0.1}));
}

TEST(SeedsAndPictures, GivesTheWidthsAndPValuesOfScipysDistributions) {
  for (const auto& one : expected("both_parts")) {
    const MeanNoise noise{
        .seeds = one["seeds"], .seed_error = one["seed_error"], .picture_error = one["picture_error"]};
    EXPECT_NEAR(half_width(noise), one["half_width"], kTolerance);
    EXPECT_NEAR(*two_sided_p(one["difference"], noise), one["p"], kTolerance) << one;
  }
}

TEST(SeedsAndPictures, HasAPValueOfAlphaWhereTheIntervalEndsAtZero) {
  const MeanNoise noise{.seeds = 3, .seed_error = 0.02, .picture_error = 0.01};
  EXPECT_NEAR(*two_sided_p(half_width(noise, 0.03), noise), 0.03, 1e-12);
  EXPECT_EQ(two_sided_p(0, noise), 1.0);
  EXPECT_FALSE(two_sided_p(1, {.seeds = 3, .seed_error = 0, .picture_error = 0}));
}

// By simulation: the part of intervals of a mean of `seeds` around `truth` that hold zero, with the noise of single
// seeds and that of pictures, which all seeds share.
double holding_zero(int64_t seeds, double seed_share, double picture_share, double truth = 0, double alpha = 0.05) {
  constexpr int kTrials = 20'000;
  int held = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    Random random(7, static_cast<uint32_t>(seeds), static_cast<uint64_t>(trial));
    Values values;
    for (int64_t seed = 0; seed < seeds; ++seed) values.push_back(seed_share * random.normal());
    const double center = truth + mean(values) + picture_share * random.normal();
    const MeanNoise noise{.seeds = seeds,
                          .seed_error = *sample_standard_deviation(values) / std::sqrt(static_cast<double>(seeds)),
                          .picture_error = picture_share};
    if (std::abs(center) <= half_width(noise, alpha)) ++held;
  }
  return static_cast<double>(held) / kTrials;
}

TEST(Coverage, OfIntervalsOverSeedsIs95In100) {
  for (const int64_t seeds : {2, 3, 5, 10}) EXPECT_NEAR(holding_zero(seeds, 1, 0), 0.95, 0.006) << seeds;
}

TEST(Coverage, OfIntervalsOverSeedsAndPicturesIs93To97In100HoweverFewTheSeedsAre) {
  for (const int64_t seeds : {2, 3, 4, 5, 10})
    for (const double picture_share : {0.05, 0.25, 0.5, 1.0, 1.5, 4.0}) {
      EXPECT_GE(holding_zero(seeds, 1, picture_share), 0.938) << seeds << " " << picture_share;
      EXPECT_LE(holding_zero(seeds, 1, picture_share), 0.97) << seeds << " " << picture_share;
    }
}

TEST(Holm, AdjustsAsStatsmodelsDoes) {
  for (const auto& one : expected("holm")) {
    const Values adjusted = adjust_by_holm(one["p"].get<Values>());
    for (std::size_t i = 0; i < adjusted.size(); ++i) EXPECT_NEAR(adjusted[i], one["adjusted"][i], kTolerance);
  }
}

TEST(Holm, RejectsUntilTheFirstThatDoesNotPass) {
  // Sorted: 0.005 · 4 and 0.01 · 3 lie below 0.05, 0.03 · 2 does not, and 0.04 · 1 may not lie below that.
  EXPECT_THAT(adjust_by_holm(Values{0.01, 0.04, 0.03, 0.005}),
              testing::Pointwise(testing::DoubleNear(1e-15), {0.03, 0.06, 0.06, 0.02}));
}

TEST(Holm, HasNothingToAdjustAmongNone) { EXPECT_TRUE(adjust_by_holm(Values{}).empty()); }

TEST(Power, IsThatOfStatsmodels) {
  for (const auto& one : expected("power"))
    EXPECT_NEAR(power_of_t_test(one["effect"], one["n"], one["alpha"]), one["power"], kTolerance) << one;
}

TEST(Power, FindsTheDifferenceThatIsSeenInEightOfTenCases) {
  for (const auto& one : expected("detectable_difference"))
    EXPECT_NEAR(detectable_difference({.spread = one["spread"], .picture_error = 0}, one["seeds"], one["alpha"]),
                one["difference"], kTolerance)
        << one;
}

TEST(Power, FindsTheDifferenceThatPicturesAloneShowInEightOfTenCases) {
  for (const auto& one : expected("detectable_difference_of_pictures"))
    EXPECT_NEAR(detectable_difference({.spread = 0, .picture_error = one["picture_error"]}, 5, one["alpha"]),
                one["difference"], kTolerance)
        << one;
}

TEST(Power, PromisesNoMoreThanTheTestOverSeedsAndPicturesShows) {
  for (const double alpha : {0.05, 0.0125})
    for (const int64_t seeds : {2, 3, 5, 12})
      for (const double picture_share : {0.2, 0.5, 1.0, 2.0, 5.0}) {
        const double picture_error = picture_share / std::sqrt(static_cast<double>(seeds));
        const double difference = detectable_difference({.spread = 1, .picture_error = picture_error}, seeds, alpha);
        const double marked = 1 - holding_zero(seeds, 1, picture_error, difference, alpha);
        // From three standard deviations of the simulation below 0.8; on the safe side where pictures are most of the
        // noise of two seeds.
        EXPECT_GE(marked, 0.791) << seeds << " " << picture_share << " " << alpha;
        EXPECT_LE(marked, 0.95) << seeds << " " << picture_share << " " << alpha;
      }
}

TEST(Power, CountsTheSeedsThatADifferenceTakes) {
  const DifferenceNoise noise{.spread = 0.02, .picture_error = 0.001};
  const int64_t seeds = *seeds_to_detect(0.01, noise, 0.05);
  EXPECT_LE(detectable_difference(noise, seeds, 0.05), 0.01);
  EXPECT_GT(detectable_difference(noise, seeds - 1, 0.05), 0.01);
  EXPECT_EQ(seeds_to_detect(1, noise, 0.05), 2) << "two at the least, for a spread";
}

TEST(Power, KnowsThatSeedsDoNotMendTooFewPictures) {
  EXPECT_FALSE(seeds_to_detect(0.01, {.spread = 0.001, .picture_error = 0.01}, 0.05));
}

}  // namespace
}  // namespace silc
