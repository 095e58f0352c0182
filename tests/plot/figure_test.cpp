#include "plot/figure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace silc::plot {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

CurvePlot two_rows() {
  CurvePlot plot;
  plot.title = "loss along training";
  plot.x = {.label = "examples seen"};
  plot.y = {.label = "loss"};
  plot.series.push_back(
      {.name = "CLIP", .key = "CLIP", .style = 0, .lines = {{{0, 4}, {100, 2}}}, .mean = {}, .marks = {}});
  plot.series.push_back(
      {.name = "<SILC>", .key = "<SILC>", .style = 1, .lines = {{{0, 4}, {100, 1}}}, .mean = {}, .marks = {}});
  return plot;
}

TEST(Figure, KeepsLettersAsText) {
  EXPECT_THAT(draw(two_rows()), AllOf(HasSubstr(">examples seen</text>"), HasSubstr(">loss</text>")));
}

TEST(Figure, OfAFileIsAsWideAsAColumnAndNamesItsCurves) {
  const std::string svg = draw(two_rows(), one_column());
  EXPECT_THAT(svg, AllOf(HasSubstr("xmlns=\"http://www.w3.org/2000/svg\""), HasSubstr("width=\"84mm\""),
                         HasSubstr(">CLIP</text>"), HasSubstr("&lt;SILC&gt;</text>"), Not(HasSubstr("data-row"))));
  EXPECT_THAT(draw(two_rows(), two_columns()), HasSubstr("width=\"174mm\""));
}

TEST(Figure, OfAPageTellsItsRowsAndAxes) {
  EXPECT_THAT(draw(two_rows()),
              AllOf(HasSubstr("data-row=\"&lt;SILC&gt;\""), HasSubstr("data-x=\""), Not(HasSubstr("xmlns"))));
}

TEST(Figure, WritesCurvesAsDifferencesInTenths) {
  CurvePlot plot = two_rows();
  plot.series.pop_back();
  plot.series[0].lines = {{{0, 0}, {50, 1}, {100, 0}}};
  EXPECT_THAT(draw(plot), testing::ContainsRegex(R"(d="M[0-9]+ [0-9]+l[0-9]+-[0-9]+ [0-9]+ [0-9]+")"));
}

TEST(Figure, GivesNeighboursAnotherColourAndShapeAndTheFirstFiftyRowsNoTwoAlike) {
  std::set<std::string> keys;
  for (std::size_t style = 0; style < 50; ++style) keys.insert(draw_key(style));
  EXPECT_GE(keys.size(), 24);
}

TEST(Figure, SaysSoWhereThereIsNothingToDraw) {
  CurvePlot plot = two_rows();
  plot.series[0].lines = {{{NAN, 1}, {1, INFINITY}}};
  plot.series.pop_back();
  EXPECT_THAT(draw(plot), HasSubstr("No values yet."));
  EXPECT_THAT(draw(CurvePlot{}), HasSubstr("No values yet."));
}

TEST(Figure, LeavesOutOfALogarithmicAxisWhatIsNotAboveZero) {
  CurvePlot plot = two_rows();
  plot.y.logarithmic = true;
  plot.series[0].lines = {{{0, 0}, {50, 100}, {100, 0.1}}};
  EXPECT_THAT(draw(plot), AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
}

IntervalPlot three_rows() {
  IntervalPlot plot;
  plot.title = "acc1";
  plot.x = {.label = "acc1 %", .factor = 100};
  plot.reference = 0.573;
  plot.rows.push_back({.name = "CLIP",
                       .key = "CLIP",
                       .style = 0,
                       .values = {0.56, 0.58},
                       .mean = 0.57,
                       .interval = Range{0.55, 0.59},
                       .text = "57.0 ± 1.4",
                       .tip = "CLIP: 57.0"});
  plot.rows.push_back({.name = "SILC",
                       .key = "SILC",
                       .style = 1,
                       .values = {0.61},
                       .mean = 0.61,
                       .interval = {},
                       .text = "61.0",
                       .tip = ""});
  plot.rows.push_back({.name = "DINO",
                       .key = "DINO",
                       .style = 2,
                       .values = {},
                       .mean = {},
                       .interval = {},
                       .text = "failed",
                       .tip = "3 of 3 seeds failed"});
  return plot;
}

TEST(Figure, ShowsSeedsAsPointsUnderAMeanOnItsInterval) {
  const std::string svg = draw(three_rows());
  std::size_t points = 0;
  for (std::size_t at = svg.find("fill-opacity"); at != std::string::npos; at = svg.find("fill-opacity", at + 1))
    ++points;
  EXPECT_EQ(points, 2) << "a single seed is its mean";
  EXPECT_THAT(svg, AllOf(HasSubstr("57.0 ± 1.4"), HasSubstr("<title>CLIP: 57.0</title>")));
}

TEST(Figure, SaysOfARowWithoutAValueWhy) {
  EXPECT_THAT(draw(three_rows()), AllOf(HasSubstr(">failed</text>"), HasSubstr("3 of 3 seeds failed")));
}

TEST(Figure, CutsAnIntervalThatWouldLeaveNoRoomForTheOthers) {
  IntervalPlot plot = three_rows();
  plot.rows[0].interval = Range{-4, 5};
  const std::string svg = draw(plot);
  EXPECT_THAT(svg, HasSubstr(">60</text>")) << "the axis is still that of the values";
}

TEST(Figure, DrawsRowsOfWhichNoneHasAValue) {
  IntervalPlot plot = three_rows();
  plot.rows.erase(plot.rows.begin(), plot.rows.begin() + 2);
  plot.reference = {};
  EXPECT_THAT(draw(plot), AllOf(HasSubstr("failed"), Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
}

}  // namespace
}  // namespace silc::plot
