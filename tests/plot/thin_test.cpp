#include "plot/thin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace silc::plot {
namespace {

std::vector<Point> flat(std::size_t count) {
  std::vector<Point> points;
  for (std::size_t i = 0; i < count; ++i) points.push_back({static_cast<double>(i), 1});
  return points;
}

TEST(Thin, KeepsShortCurvesAsTheyAre) { EXPECT_EQ(thinned(flat(10), 10).size(), 10); }

TEST(Thin, KeepsEndsAndPeaksInOrder) {
  std::vector<Point> points = flat(10'000);
  points[4321].y = 50;
  const std::vector<Point> few = thinned(points, 60);
  EXPECT_EQ(few.size(), 60);
  EXPECT_EQ(few.front().x, 0);
  EXPECT_EQ(few.back().x, 9999);
  EXPECT_TRUE(std::ranges::any_of(few, [](const Point& point) { return point.x == 4321 && point.y == 50; }));
  EXPECT_TRUE(std::ranges::is_sorted(few, {}, &Point::x));
}

TEST(Thin, LeavesOutWhatIsNotFinite) {
  EXPECT_EQ(thinned({{0, 1}, {1, NAN}, {2, INFINITY}, {3, 2}}, 10).size(), 2);
  EXPECT_TRUE(thinned({{0, NAN}}, 10).empty());
}

TEST(Thin, MakesDoWithTwoPoints) { EXPECT_EQ(thinned(flat(100), 2).size(), 2); }

}  // namespace
}  // namespace silc::plot
