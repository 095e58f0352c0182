#include "plot/terminal.h"

#include <gtest/gtest.h>

#include <cmath>

namespace silc::plot {
namespace {

TEST(Terminal, DrawsNumbersAsBlocks) {
  EXPECT_EQ(sparkline({8, 7, 6, 5, 4, 3, 2, 1}, 8), "█▇▆▅▄▃▂▁");
  EXPECT_EQ(sparkline({1, 3, 5, 7}, 2), "▁█") << "each the mean of its share";
  EXPECT_EQ(sparkline({1, NAN, 2}, 8), "▁█");
  EXPECT_EQ(sparkline({2, 2}, 8), "▅▅");
  EXPECT_EQ(sparkline({2}, 8), "");
}

TEST(Terminal, DrawsACurveOverItsAxes) {
  std::vector<Point> points;
  for (int i = 0; i <= 40; ++i) points.push_back({static_cast<double>(i), 4 - 0.1 * i});
  EXPECT_EQ(terminal_plot(points, {.label = "step"}, {.label = "loss"}, 23, 3),
            "4 ┤⠉⠒⠒⠤⠤⣀⡀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀\n"
            "  │⠀⠀⠀⠀⠀⠀⠈⠉⠑⠒⠤⢄⣀⡀⠀⠀⠀⠀⠀⠀\n"
            "0 ┤⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠀⠈⠉⠒⠒⠤⠤⣀\n"
            "  └────────────────────\n"
            "   0            step 40\n");
}

TEST(Terminal, DrawsNothingOfLessThanTwoPoints) {
  EXPECT_EQ(terminal_plot({{1, 1}}, {.label = "step"}, {.label = "loss"}, 40, 5), "");
}

}  // namespace
}  // namespace silc::plot
