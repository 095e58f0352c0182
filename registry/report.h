// Comparison tables: from recorded metrics to text. No LibTorch.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/curves.h"
#include "registry/registry.h"
#include "registry/statistics.h"

namespace silc {

// What a test or an interval takes its noise from: the choice of seeds, that of test pictures, or both. With pictures
// alone it says nothing about the noise of training.
enum class Evidence { none, seeds, pictures, seeds_and_pictures };

// "seeds", "pictures", "seeds_and_pictures": as machine output has it; empty for none.
std::string_view evidence_name(Evidence evidence);

// One measured quantity of one row: what stands in a cell of the table.
struct TableEntry {
  std::vector<double> values;  // one a seed, in order of seeds; missing seeds left out
  std::vector<int64_t> seeds;  // of the values; none of published ones
  int64_t planned = 0;         // seeds planned
  int64_t failed = 0;          // seeds failed
  int64_t finished = 0;        // seeds finished, with this value or without
  double mean = 0;
  std::optional<double> spread;  // sample standard deviation, from two seeds on
  // Of the mean, 95 %: Student's t over seeds; of one seed the bootstrap over test pictures, if there are their scores.
  std::optional<Interval> interval;
  Evidence interval_evidence = Evidence::none;
  std::optional<double> difference;             // mean − baseline's mean, over the seeds that both have
  int64_t pairs = 0;                            // number of those seeds
  std::optional<Interval> difference_interval;  // 95 %, without correction for several comparisons
  std::optional<double> difference_spread;      // over those seeds, from two on
  double picture_error = 0;                     // of the difference: what the choice of pictures adds to its noise
  int64_t pictures = 0;                         // whose scores were compared
  Evidence evidence = Evidence::none;           // of the comparison
  // Two-sided, paired by seed and picture: over seeds Student's t, from two pairs on, if their differences differ; over
  // pictures the bootstrap (samples.h), where the evaluator left scores of single pictures. Not of costs.
  std::optional<double> p_value;
  std::optional<double> p_adjusted;  // by Holm, over the comparisons of the column
  bool significant = false;          // p_adjusted < 0.05
  bool best = false;                 // of its column, where higher is better and two rows or more have a value
  bool of_row = false;               // one value of the row as a whole, not of its seeds: what its search cost
  // Why there is no value and will be none: "captioning does not apply: the model has no caption decoder". Empty: the
  // evaluation applies, or has not come to tell.
  std::string not_applicable;
  // Scores along training, one curve a seed that has them, ended or not. Not of costs.
  std::vector<Curve> curves = {};
  // The cost at which the row's mean curve first comes to the score at the end of the baseline's, in parts of what the
  // baseline cost. Not of costs, and not where one of both has no curve or the row does not come so far.
  std::optional<CurvePoint> reach = {};
  bool has_goal = false;  // both have curves, so that the row does not come so far where there is no `reach`
};

struct TableRow {
  std::string name;
  std::string label = {};  // what people read: the name without what all rows have in common and the title says
  std::string weights;     // whose weights its plain columns mean
  bool baseline = false;
  std::vector<TableEntry> entries;           // one a column
  std::vector<WarningRecord> warnings = {};  // of its seeds, finished or not
};

struct Table {
  std::string experiment;
  std::string name;
  std::string title;     // never empty of measured tables
  std::string matrix;    // " [optimizer.lr=0.001]": values of a matrix that all rows have, at the end of name and title
  std::string baseline;  // a row's name; empty: none
  bool intervals = false;  // shows 95 % intervals in place of spreads
  bool joint = false;      // of several experiments, whose names are in `experiment`
  // Values are those that rows had along training when they had cost `level` of it.
  std::optional<CostUnit> match = {};
  double level = 0;
  int64_t last = 0;  // values are means over so many last evaluations along training; 0: results after it
  std::vector<std::string>
      columns;             // "EVALUATOR/METRIC", "EVALUATOR/DATASET/METRIC", either with "@WEIGHTS"; "cost/NAME"
  bool published = false;  // of numbers that others published, one value an entry, and not measured here
  std::vector<TableRow> rows;
  std::vector<std::string> notes;  // test used, missing and failed cells, whose weights, warnings
};

// A row's name without the matrix's values that the title has.
std::string shown_name(const Table& table, const std::string& row);

inline constexpr int64_t kMostSampledCells = 150;

struct ReportRequest {
  std::string experiment;
  std::string table;                 // this one, and what a matrix made of it ("NAME [...]"); empty: all
  std::vector<std::string> metrics;  // keep only these columns, or those of these metrics; empty: all
  // Compares pictures in tables of any size. Without it, tables of more than kMostSampledCells cells are tested over
  // seeds alone, which they say: reading and drawing takes about 5 ms a cell.
  bool all_pictures = false;
  bool intervals = false;  // Table::intervals
  // Compares rows at equal cost, which is the least that any of their finished cells has come to, by scores along
  // training. Tested over seeds alone.
  std::optional<CostUnit> match = {};
  // Compares means over so many last evaluations along training in place of the results after it. Likewise.
  int64_t last = 0;
};

// A table without columns gets all metrics and the main costs; an experiment without tables gets one such table. Throws
// silc::Error for an experiment, table or metric that does not exist, naming those that do, and for a comparison along
// training of rows that were not evaluated there.
std::vector<Table> build_tables(const Registry& registry, const ReportRequest& request);

// The tables, rows and titles of `experiment` as it stands now, in its file say, filled with what the registry knows of
// the experiment of that name. Its cells are told by row and seed, so they need no ids; those that the registry does
// not have are missing.
std::vector<Table> build_tables(const Registry& registry, const PlannedExperiment& experiment,
                                const ReportRequest& request);

// The noise that a column's comparisons have shown so far: what more seeds would do about it.
struct ColumnNoise {
  std::string column;
  DifferenceNoise noise;    // pooled over the rows that were compared
  int64_t seeds = 0;        // the most that a comparison has
  int64_t comparisons = 0;  // of the column
  bool marked = false;      // one of them is significant
  [[nodiscard]] double alpha() const { return kSignificance / static_cast<double>(comparisons); }
};

// Of each column that is tested, from two seeds on.
std::vector<ColumnNoise> measured_noise(const Table& table);

// By how much a value is multiplied where tables show it: 100 for fractions, which read as percent.
double shown_scale(const std::string& column);

// "1.5" of 0.015 of acc1: two digits.
std::string shown_amount(const std::string& column, double difference);
// "1.5 points of acc1" of 0.015; "0.12 of cider". `name`: what the column is called.
std::string amount_text(const std::string& column, const std::string& name, double difference);

enum class TableFormat { terminal, markdown, csv, latex, json, html };

// Throws silc::Error for an unknown name.
TableFormat parse_format(const std::string& name);

// "acc1 46.2 %", "cider 0.12": a value as tables read, behind its metric's name.
std::string named_value(const std::string& metric, double value);

// An experiment as it is to be shown beside others.
struct ExperimentSource {
  const Registry* registry = nullptr;
  PlannedExperiment experiment;
  std::string label;  // of its rows: "LABEL/ROW"
};

// One table of the rows of several experiments, which may be in several registries: the rows and columns of all their
// tables that are asked for, compared with the baseline of the first, by common seeds. Throws as build_tables().
Table build_joint_table(const std::vector<ExperimentSource>& sources, const ReportRequest& request);

struct FormatOptions {
  std::size_t width = 120;  // columns of the terminal
  bool color = false;       // of the terminal: escapes for bold and for the colours of marks
  bool siunitx = false;     // latex: numbers in columns of siunitx, aligned at the point
  bool document = false;    // latex: a whole document, which compiles as it is
};

// terminal: aligned columns. A table that is wider than the terminal has its long headers broken into lines, then its
// differences left out, then its columns in several blocks, one below the other. markdown: as on GitHub. csv: RFC 4180,
// one line an entry, full precision, names that a spreadsheet would take for a formula behind an apostrophe; its row's
// warnings come last. latex: booktabs. json: full precision, with the value of every seed
// (docs/reference/report.schema.json). Not html, which is more than tables: registry/page/page.h.
std::string format_tables(const std::vector<Table>& tables, TableFormat format, const FormatOptions& options = {});

}  // namespace silc
