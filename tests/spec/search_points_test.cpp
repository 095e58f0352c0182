// The quasi-random points, against SciPy's Sobol' sequence and a scrambling written in Python
// (tests/reference/search_points.py).
#include "spec/search_points.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace silc {
namespace {

TEST(SearchPoints, AreTheScrambledSobolSequence) {
  const auto cases = nlohmann::json::parse(std::ifstream(SILC_SOURCE_DIR "/tests/data/search_points.json"));
  for (const auto& expected : cases) {
    const uint64_t seed = expected.at("seed");
    const std::vector<std::string> names = expected.at("names");
    const std::vector<std::vector<double>> points = expected.at("points");
    for (std::size_t number = 0; number < points.size(); ++number)
      for (std::size_t axis = 0; axis < names.size(); ++axis)
        ASSERT_EQ(quasi_random(axis, static_cast<int64_t>(number), seed, names[axis]), points[number][axis])
            << "point " << number << ", " << names[axis];
  }
}

TEST(SearchPoints, OfAPowerOfTwoEachHasAnIntervalOfItsOwnInEveryAxis) {
  constexpr int64_t kPoints = 64;
  for (std::size_t axis = 0; axis < kMostDimensions; ++axis) {
    std::set<int64_t> intervals;
    for (int64_t number = 0; number < kPoints; ++number)
      intervals.insert(static_cast<int64_t>(quasi_random(axis, number, 3, "x") * kPoints));
    EXPECT_EQ(intervals.size(), static_cast<std::size_t>(kPoints)) << "axis " << axis;
  }
}

TEST(SearchPoints, DependOnSeedAndName) {
  EXPECT_NE(quasi_random(0, 0, 0, "optimizer.lr"), quasi_random(0, 0, 1, "optimizer.lr"));
  EXPECT_NE(quasi_random(0, 0, 0, "optimizer.lr"), quasi_random(0, 0, 0, "optimizer.beta1"));
}

}  // namespace
}  // namespace silc
