// Figures as SVG, one for pages and papers alike: letters stay text, colours are told apart by the colour-blind, and
// every row has a dash and a marker besides. Colours stand as attributes, so that any reader shows them, and as classes
// ("s0" …, "plot-ink", "plot-faint"), by which a page gives them others in the dark. No LibTorch.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "plot/scale.h"
#include "plot/thin.h"

namespace silc::plot {

struct Axis {
  std::string label;
  double factor = 1;  // numbers are shown multiplied by this: 100 for percent
  bool logarithmic = false;
};

// A value of its own on a plot of curves: a final score.
struct Mark {
  Point at;
  std::optional<Range> interval;  // of y
  std::string text;               // what it says when pointed at
};

// A row of an experiment. `style` says how it is drawn: 0, in ink, is the baseline.
struct Series {
  std::string name;
  std::string key;  // by which a page knows the row
  std::size_t style = 0;
  std::vector<std::vector<Point>> lines;  // one a seed, in order of x
  std::vector<Point> mean;                // of them; empty: `lines` alone
  std::vector<Mark> marks;
};

struct CurvePlot {
  std::string title;
  Axis x;
  Axis y;
  std::vector<Series> series;
};

// A row of a plot of intervals, from top to bottom.
struct IntervalRow {
  std::string name;
  std::string key;  // by which a page knows the row
  std::size_t style = 0;
  std::vector<double> values;     // of seeds
  std::optional<double> mean;     // none: there is no value
  std::optional<Range> interval;  // of the mean
  std::string text;               // at its end: the value as a table has it, or why there is none
  std::string tip;                // what it says when pointed at
};

struct IntervalPlot {
  std::string title;
  Axis x;
  std::vector<IntervalRow> rows;
  std::optional<double> reference;  // a line from top to bottom: the baseline's mean
};

struct Layout {
  double width = 480;
  double font = 13;          // size of letters, in the units of `width`
  double aspect = 0.6;       // height of curves over width
  std::string measure;       // "84mm": how wide a file is in print; empty: inside a page
  bool legend = false;       // names of curves below them
  std::size_t points = 160;  // at most, of a curve
};

// The column of a paper, and its two columns: 84 and 174 mm with letters of 7.5 points.
Layout one_column();
Layout two_columns();

std::string draw(const CurvePlot& plot, const Layout& layout = {});
std::string draw(const IntervalPlot& plot, const Layout& layout = {});

// A row's line and marker alone, for a legend of a page.
std::string draw_key(std::size_t style);

// The course of a few numbers, without axes, for a line of text. Empty for fewer than two finite ones.
std::string draw_sparkline(const std::vector<Point>& points, std::size_t style = 1);

}  // namespace silc::plot
