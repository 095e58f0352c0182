#include "registry/report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <numeric>
#include <sstream>

#include "files/durable_file.h"
#include "registry/columns.h"
#include "silc/error.h"
#include "tests/registry/fake_runs.h"
#include "tests/registry/valid_json.h"
#include "text/display.h"

namespace silc {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::ThrowsMessage;

void expect_valid(const std::vector<Table>& tables) {
  expect_valid_json(format_tables(tables, TableFormat::json), "report.schema.json");
}

class Report : public testing::Test {
 protected:
  // Four rows with three seeds: a baseline, one that is better beyond noise, one that is not and lost a seed, and one
  // that has not run.
  void SetUp() override {
    experiment_ = FakeRuns::experiment("ablation", {"CLIP", "+ views, EMA", "SILC", "50% 対照_\"x\""}, {0, 1, 2});
    experiment_.tables[0].columns = {"zero_shot_classification/acc1",
                                     "zero_shot_segmentation/miou",
                                     "zero_shot_classification/acc1@teacher",
                                     "cost/examples",
                                     "cost/flops",
                                     "cost/core_seconds"};
    registry_.plan(experiment_);
    const double seed_noise[] = {0.0, 0.013, -0.011};
    const double views_noise[] = {0.001, -0.001, 0.0005};
    const double silc_noise[] = {-0.04, 0.05, 0.0};
    for (std::size_t seed = 0; seed < 3; ++seed) {
      finish(0, seed, "student", 0.573 + seed_noise[seed], 0.141 + seed_noise[seed], 81.4 + static_cast<double>(seed));
      finish(1, seed, "student", 0.612 + seed_noise[seed] + views_noise[seed], 0.16 + silc_noise[seed], 163.0);
      if (seed < 2) finish(2, seed, "teacher", 0.58 + silc_noise[seed], 0.15, 351.0);
    }
    const PlannedCell& failed = cell(2, 2);
    fakes_.write_cell("ablation", failed);
    fakes_.event(failed, "failed", 100, {{"message", "the loss is not finite"}, {"plugin", "silc"}});
    registry_.ingest(failed.folder);
  }

  const PlannedCell& cell(std::size_t row, std::size_t seed) { return experiment_.cells[seed * 4 + row]; }

  void finish(std::size_t row, std::size_t seed, const std::string& weights, double acc1, double miou,
              double core_seconds) {
    const PlannedCell& cell = this->cell(row, seed);
    fakes_.write_cell("ablation", cell, weights);
    fakes_.event(cell, "finished", 100);
    fakes_.metrics(
        cell,
        {FakeRuns::metric(weights, "acc1", acc1), FakeRuns::metric(weights, "miou", miou, "zero_shot_segmentation")},
        {{"examples", 16384}, {"flops", 12.34e12}, {"core_seconds", core_seconds}});
    registry_.ingest(cell.folder);
  }

  Table table(const ReportRequest& request) {
    std::vector<Table> tables = build_tables(registry_, request);
    EXPECT_EQ(tables.size(), 1);
    return tables.at(0);
  }
  Table table() { return table({.experiment = "ablation", .table = "", .metrics = {}}); }

  static std::string golden(const std::string& name) {
    return read_file(std::filesystem::path(SILC_SOURCE_DIR) / "tests/data/report" / name);
  }

  FakeRuns fakes_;
  Registry registry_ = fakes_.open();
  PlannedExperiment experiment_;
};

TEST_F(Report, ReadsAsBeforeInEveryFormat) {
  const auto check = [&](const std::string& name, TableFormat format, const FormatOptions& options, bool intervals) {
    ReportRequest request{.experiment = "ablation", .table = "", .metrics = {}};
    request.intervals = intervals;
    const std::string text = format_tables({table(request)}, format, options);
    const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / ("silc-report-" + name);
    if (text != golden(name)) FakeRuns::write(file, text);
    EXPECT_EQ(text, golden(name)) << "what it reads now lies in " << file;
  };
  check("terminal", TableFormat::terminal, {}, false);
  check("terminal-narrow", TableFormat::terminal, {.width = 60}, false);
  check("terminal-color", TableFormat::terminal, {.color = true}, false);
  check("terminal-intervals", TableFormat::terminal, {}, true);
  check("markdown", TableFormat::markdown, {}, false);
  check("csv", TableFormat::csv, {}, false);
  check("latex", TableFormat::latex, {}, false);
  check("latex-siunitx", TableFormat::latex, {.siunitx = true, .document = true}, false);
  check("json", TableFormat::json, {}, false);
}

TEST_F(Report, MarksADifferenceOnlyWhereTheTestShowsIt) {
  const Table table = this->table();
  EXPECT_TRUE(table.rows[1].entries[0].significant);
  EXPECT_LT(*table.rows[1].entries[0].p_value, 0.025) << "two comparisons";
  EXPECT_FALSE(table.rows[1].entries[1].significant);
  EXPECT_FALSE(table.rows[2].entries[0].significant);
  EXPECT_FALSE(table.rows[0].entries[0].difference) << "the baseline is not compared with itself";
}

TEST_F(Report, CorrectsForTheComparisonsOfAColumn) {
  // p = 0.0335 in a closed form for three pairs, t / √(t² + 2) with t = mean / (standard deviation / √3): alone below
  // 0.05, but not twice that.
  const double noise[] = {0.0, 0.003, -0.003};
  const double step = 0.00925;
  for (std::size_t seed = 0; seed < 3; ++seed) {
    finish(1, seed, "student", 0.573 + (seed == 0 ? 0 : seed == 1 ? 0.013 : -0.011) + step + noise[seed], 0.1, 1);
  }
  const double t = step / (0.003 / std::sqrt(3.0));
  const Table table = this->table();
  EXPECT_NEAR(*table.rows[1].entries[0].p_value, 1 - t / std::sqrt(t * t + 2), 1e-9);
  EXPECT_LT(*table.rows[1].entries[0].p_value, 0.05);
  EXPECT_FALSE(table.rows[1].entries[0].significant);
}

TEST_F(Report, ComparesOverCommonSeeds) {
  const TableEntry entry = table().rows[2].entries[0];
  EXPECT_EQ(entry.pairs, 2);
  // (0.54 − 0.573 + 0.63 − 0.586) / 2, without the baseline's third seed.
  EXPECT_NEAR(*entry.difference, 0.0055, 1e-12);
  EXPECT_THAT(entry.seeds, ElementsAre(0, 1));
}

TEST_F(Report, PoolsTheNoiseOfAColumnsComparisonsByTheirDegreesOfFreedom) {
  const Table table = this->table();
  const std::vector<ColumnNoise> noise = measured_noise(table);
  ASSERT_EQ(noise.size(), 2) << "acc1 and miou; no costs, nor what the baseline lacks";
  const double three_seeds = *table.rows[1].entries[0].difference_spread;
  const double two_seeds = *table.rows[2].entries[0].difference_spread;
  EXPECT_DOUBLE_EQ(noise[0].noise.spread, std::sqrt((2 * three_seeds * three_seeds + two_seeds * two_seeds) / 3));
  EXPECT_EQ(noise[0].seeds, 3);
  EXPECT_EQ(noise[0].comparisons, 3) << "one row has not run yet";
  EXPECT_TRUE(noise[0].marked);
  EXPECT_FALSE(noise[1].marked);
}

TEST_F(Report, DoesNotTestCosts) {
  for (const TableRow& row : table().rows)
    for (std::size_t column = 3; column < 6; ++column) EXPECT_FALSE(row.entries[column].p_value);
}

TEST_F(Report, SaysWhatIsMissingAndWhatFailed) {
  EXPECT_THAT(table().notes,
              AllOf(Contains("\"SILC\": 1 of 3 seeds failed."), Contains("\"50% 対照_\"x\"\": 3 of 3 seeds missing."),
                    Contains("\"CLIP\", \"+ views, EMA\": no zero_shot_classification/acc1@teacher was recorded.")));
}

TEST_F(Report, NotesWarningsUnderTheirRowInEveryFormat) {
  for (const std::size_t seed : {0, 1}) {
    fakes_.warning(cell(2, seed), 40 + static_cast<int64_t>(seed), "teacher_entropy_zero");
    registry_.ingest(cell(2, seed).folder);
  }
  const Table table = this->table();
  EXPECT_THAT(table.rows[1].warnings, IsEmpty());
  ASSERT_EQ(table.rows[2].warnings.size(), 2);
  EXPECT_THAT(table.notes,
              Contains("Warning: \"SILC\" (seed 0 at step 40, seed 1 at step 41): teacher_entropy 0.5 (below "
                       "1 for 30 steps): raise it."));
  const auto in = [&](TableFormat format) {
    std::string text = format_tables({table}, format);
    std::replace(text.begin(), text.end(), '\n', ' ');  // notes are broken into lines
    return text;
  };
  EXPECT_THAT(in(TableFormat::terminal), HasSubstr("(seed 0 at step 40, seed 1 at step 41): teacher_entropy 0.5"));
  EXPECT_THAT(in(TableFormat::markdown), HasSubstr("seed 1 at step 41): teacher\\_entropy 0.5"));
  EXPECT_THAT(in(TableFormat::latex), HasSubstr("seed 1 at step 41): teacher\\_entropy 0.5"));
  EXPECT_THAT(in(TableFormat::csv), HasSubstr("seed 0, step 40: teacher_entropy 0.5 (below 1 for 30 steps): raise it; "
                                              "seed 1, step 41: "));
  const auto json = nlohmann::json::parse(format_tables({table}, TableFormat::json));
  const auto& warning = json["tables"][0]["rows"][2]["warnings"][1];
  EXPECT_EQ(warning["seed"], 1);
  EXPECT_EQ(warning["step"], 41);
  EXPECT_EQ(warning["check"], "teacher_entropy_zero");
  EXPECT_EQ(warning["value"], 0.5);
}

// A CLIP without and a CapPa with captions, in a table of captioning alone.
class CaptioningReport : public testing::Test {
 protected:
  void SetUp() override {
    experiment_ = FakeRuns::experiment("captions", {"CLIP", "CapPa", "CoCa"}, {0});
    experiment_.tables[0].columns = {"captioning/cider"};
    registry_.plan(experiment_);
    finish(0, nlohmann::json::array(), nlohmann::json::array({FakeRuns::not_applicable("student", "captioning")}));
    finish(1, nlohmann::json::array({FakeRuns::metric("student", "cider", 0.25, "captioning")}),
           nlohmann::json::array());
  }

  void finish(std::size_t row, const nlohmann::json& metrics, const nlohmann::json& not_applicable) {
    const PlannedCell& cell = experiment_.cells[row];
    fakes_.write_cell("captions", cell);
    fakes_.event(cell, "finished", 100);
    fakes_.metrics(cell, metrics, {{"flops", 1e12}}, not_applicable);
    registry_.ingest(cell.folder);
  }

  Table table() { return build_tables(registry_, {.experiment = "captions", .table = "", .metrics = {}}).at(0); }

  FakeRuns fakes_;
  Registry registry_ = fakes_.open();
  PlannedExperiment experiment_;
};

TEST_F(CaptioningReport, TellsWhatDoesNotApplyFromWhatIsMissing) {
  EXPECT_THAT(table().notes,
              AllOf(Contains("\"CLIP\": captioning does not apply: the model has no caption decoder."),
                    Contains("\"CoCa\": 1 of 1 seeds missing."), Not(Contains(HasSubstr("\"CLIP\": 1 of"))),
                    Not(Contains(HasSubstr("was recorded")))));
}

TEST_F(CaptioningReport, ShowsWhatDoesNotApplyInEveryFormat) {
  for (const TableFormat format : {TableFormat::terminal, TableFormat::markdown, TableFormat::csv, TableFormat::latex})
    EXPECT_THAT(format_tables({table()}, format), HasSubstr("n/a"));
  const auto json = nlohmann::json::parse(format_tables({table()}, TableFormat::json));
  const auto& rows = json["tables"][0]["rows"];
  EXPECT_EQ(rows[0]["entries"][0]["not_applicable"], "captioning does not apply: the model has no caption decoder");
  EXPECT_TRUE(rows[1]["entries"][0]["not_applicable"].is_null());
}

TEST_F(CaptioningReport, SaysInATableOfAllMetricsWhatAppliesToNoRow) {
  PlannedExperiment alone = FakeRuns::experiment("alone", {"CLIP"}, {0});
  alone.tables[0].columns.clear();
  registry_.plan(alone);
  fakes_.write_cell("alone", alone.cells[0]);
  fakes_.event(alone.cells[0], "finished", 100);
  fakes_.metrics(alone.cells[0], nlohmann::json::array(), {{"flops", 1e12}},
                 nlohmann::json::array({FakeRuns::not_applicable("student", "captioning")}));
  registry_.ingest(alone.cells[0].folder);
  const Table table = build_tables(registry_, {.experiment = "alone", .table = "", .metrics = {}}).at(0);
  EXPECT_THAT(table.notes, Contains("\"CLIP\": captioning does not apply: the model has no caption decoder."));
}

TEST_F(CaptioningReport, CountsTheSeedsThatFinishedWithoutAValue) {
  EXPECT_THAT(format_tables({table()}, TableFormat::terminal), HasSubstr("CLIP       n/a       1\n"));
}

TEST_F(CaptioningReport, SaysWhatIsNotRecordedOfRowsThatFinished) {
  finish(2, nlohmann::json::array(), nlohmann::json::array());
  EXPECT_THAT(table().notes, Contains("\"CoCa\": no captioning/cider was recorded."));
}

TEST_F(Report, ShowsARowWhoseSeedsAllFailedAsFailed) {
  for (std::size_t seed = 0; seed < 3; ++seed) {
    fakes_.write_cell("ablation", cell(3, seed));
    fakes_.event(cell(3, seed), "failed", 100, {{"message", "no"}, {"plugin", nullptr}});
    registry_.ingest(cell(3, seed).folder);
  }
  EXPECT_THAT(format_tables({table()}, TableFormat::terminal), HasSubstr("failed  failed"));
}

TEST_F(Report, MarksTheBestOnlyWhereHigherIsBetterAndSomethingIsCompared) {
  const Table table = this->table();
  EXPECT_TRUE(table.rows[1].entries[0].best);
  EXPECT_FALSE(table.rows[0].entries[0].best);
  EXPECT_FALSE(table.rows[2].entries[2].best) << "the only row with teacher weights";
  for (const TableRow& row : table.rows) EXPECT_FALSE(row.entries[4].best) << "a cost";
}

TEST_F(Report, ClaimsNothingFromOneSeed) {
  experiment_ = FakeRuns::experiment("ablation", {"CLIP", "SILC"}, {0});
  experiment_.cells.resize(2);
  registry_.plan(experiment_);
  for (std::size_t row = 0; row < 2; ++row) {
    const PlannedCell& cell = experiment_.cells[row];
    fakes_.finish("ablation", cell, 0.5 + 0.1 * static_cast<double>(row));
    registry_.ingest(cell.folder);
  }
  const Table table = this->table();
  EXPECT_FALSE(table.rows[1].entries[0].spread);
  EXPECT_FALSE(table.rows[1].entries[0].p_value);
  EXPECT_THAT(table.notes, ElementsAre(HasSubstr("one seed tells nothing about the noise of training")));
  EXPECT_THAT(format_tables({table}, TableFormat::terminal), AllOf(Not(HasSubstr("▲")), Not(HasSubstr("±"))));
}

// Rows whose pictures were scored one by one: "SILC" is right on `better` pictures of 400 where "CLIP" is wrong.
class PictureReport : public testing::Test {
 protected:
  static constexpr std::size_t kPictures = 400;

  Table table(const std::vector<int64_t>& seeds, std::size_t better, bool all_pictures = false) {
    PlannedExperiment experiment = FakeRuns::experiment("ablation", {"CLIP", "SILC"}, seeds);
    experiment.tables[0].columns = {"zero_shot_classification/acc1", "cost/flops"};
    registry_.plan(experiment);
    for (std::size_t seed = 0; seed < seeds.size(); ++seed) {
      finish(experiment.cells[2 * seed], 200 + 2 * seed);
      finish(experiment.cells[2 * seed + 1], 200 + better + seed);
    }
    return build_tables(registry_, {.experiment = "ablation", .table = "", .metrics = {}, .all_pictures = all_pictures})
        .at(0);
  }

  void finish(const PlannedCell& cell, std::size_t correct) {
    std::vector<float> scores(kPictures, 0);
    std::fill_n(scores.begin(), correct, 1.0F);
    fakes_.finish("ablation", cell, static_cast<double>(correct) / kPictures);
    fakes_.samples(cell, "acc1", scores);
    registry_.ingest(cell.folder);
  }

  FakeRuns fakes_;
  Registry registry_ = fakes_.open();
};

TEST_F(PictureReport, TestsOneSeedOverPicturesAloneAndSaysWhatThatLeavesOut) {
  const Table table = this->table({0}, 40);
  const TableEntry& entry = table.rows[1].entries[0];
  EXPECT_EQ(entry.evidence, Evidence::pictures);
  EXPECT_EQ(entry.pictures, 400);
  // 40 of 400 pictures differ, all in favour: the standard error is √(0.1 · 0.9 / 399).
  const double error = std::sqrt(0.1 * 0.9 / 399);
  EXPECT_NEAR(entry.picture_error, error, 0.08 * error);
  EXPECT_NEAR(entry.difference_interval->low, 0.1 - 1.96 * error, 0.01);
  EXPECT_NEAR(entry.difference_interval->high, 0.1 + 1.96 * error, 0.01);
  EXPECT_TRUE(entry.significant);
  EXPECT_EQ(table.rows[1].entries[0].interval_evidence, Evidence::pictures);
  EXPECT_THAT(table.notes, ElementsAre(HasSubstr("One seed only"), HasSubstr("The noise of training is not in it")));
  EXPECT_THAT(format_tables({table}, TableFormat::terminal), AllOf(HasSubstr("(+10.0 △)"), Not(HasSubstr("▲"))));
}

TEST_F(PictureReport, TestsSeveralSeedsOverSeedsAndPictures) {
  const Table table = this->table({0, 1, 2}, 40);
  const TableEntry& entry = table.rows[1].entries[0];
  EXPECT_EQ(entry.evidence, Evidence::seeds_and_pictures);
  EXPECT_GT(entry.picture_error, 0.01);
  // Differences of 40, 39 and 38 pictures: over seeds alone they would be certain to a quarter of a point.
  EXPECT_LT(entry.difference_interval->low, 0.0975 - 1.96 * 0.01);
  EXPECT_TRUE(entry.significant);
  EXPECT_THAT(table.notes, Contains(AllOf(HasSubstr("common seeds (n = 3; Student's t)"),
                                          HasSubstr("test pictures (n = 400; bootstrap"))));
}

TEST_F(PictureReport, SaysWhatItsSeedsCouldNotHaveShown) {
  const Table table = this->table({0, 1, 2}, 2);
  EXPECT_FALSE(table.rows[1].entries[0].significant);
  EXPECT_THAT(table.notes,
              Contains(AllOf(HasSubstr("with 3 seeds, differences below 0.82 points of acc1 cannot be seen"),
                             HasSubstr("12 seeds would show"))));
}

TEST_F(PictureReport, LeavesPicturesOutOfLargeTablesUnlessAsked) {
  std::vector<int64_t> seeds(76);
  std::iota(seeds.begin(), seeds.end(), 0);
  const Table table = this->table(seeds, 40);
  EXPECT_EQ(table.rows[1].entries[0].evidence, Evidence::seeds);
  EXPECT_THAT(table.notes, Contains(HasSubstr("More than 150 cells: tested over seeds alone")));
  EXPECT_EQ(this->table(seeds, 40, true).rows[1].entries[0].evidence, Evidence::seeds_and_pictures);
}

TEST_F(Report, GivesTablesWithoutColumnsAllMetricsAndTheMainCosts) {
  experiment_.tables.clear();
  registry_.plan(experiment_);
  EXPECT_THAT(table().columns, ElementsAre("zero_shot_classification/acc1", "zero_shot_segmentation/miou",
                                           "cost/examples", "cost/flops", "cost/core_seconds", "cost/peak_memory"));
  EXPECT_TRUE(table().rows[0].baseline);
}

TEST_F(Report, GivesAnEvaluatorOnTwoDatasetsTwoColumns) {
  auto other = FakeRuns::metric("student", "acc1", 0.25);
  other["dataset"] = "digits";
  fakes_.metrics(cell(0, 0), {FakeRuns::metric("student", "acc1", 0.5), other}, nlohmann::json::object());
  registry_.ingest(cell(0, 0).folder);
  const Table table = this->table({.experiment = "ablation", .table = "main", .metrics = {"acc1"}});
  EXPECT_THAT(table.columns, Contains("zero_shot_classification/digits/acc1"));
  EXPECT_EQ(table.rows[0].entries[0].values, std::vector<double>{0.25});
}

TEST_F(Report, MarksPublishedNumbersAndCountsNoSeedsOfThem) {
  Table table;
  table.title = "A paper";
  table.columns = {"a/b/acc1"};
  table.published = true;
  TableEntry entry;
  entry.values = {0.741};
  entry.mean = 0.741;
  table.rows = {{.name = "baseline", .weights = {}, .baseline = false, .entries = {entry}}};
  EXPECT_EQ(format_tables({table}, TableFormat::terminal),
            "A paper  (published, not measured here)\n\nrow       acc1 %\n────────────────\nbaseline    74.1\n\n");
  EXPECT_THAT(format_tables({table}, TableFormat::json), HasSubstr("\"published\": true"));
  expect_valid({table});
}

TEST_F(Report, KeepsOnlyTheMetricsAskedFor) {
  EXPECT_THAT(table({.experiment = "ablation", .table = "main", .metrics = {"acc1", "cost/flops"}}).columns,
              ElementsAre("zero_shot_classification/acc1", "zero_shot_classification/acc1@teacher", "cost/flops"));
}

TEST_F(Report, KeepsOnlyTheRowsOfTheTable) {
  experiment_.tables[0].rows = {"SILC"};
  registry_.plan(experiment_);
  ASSERT_EQ(table().rows.size(), 1);
  EXPECT_TRUE(table().rows[0].entries[0].difference) << "compared with a baseline that is not shown";
}

TEST_F(Report, TakesTablesAndRowsFromAnExperimentAsItStandsNow) {
  PlannedExperiment now = experiment_;
  now.rows = {"SILC", "new row"};
  now.tables = {{.name = "other", .title = "Another title", .baseline = "", .columns = {"cost/flops"}, .rows = {}}};
  now.cells.clear();
  for (const std::string& row : now.rows)
    for (const int64_t seed : {0, 1}) now.cells.push_back({.row = row, .seed = seed, .id = "", .folder = {}});
  const auto tables = build_tables(registry_, now, {.experiment = "ablation", .table = "", .metrics = {}});
  ASSERT_EQ(tables.size(), 1);
  EXPECT_EQ(tables[0].title, "Another title");
  ASSERT_EQ(tables[0].rows.size(), 2);
  EXPECT_THAT(tables[0].rows[0].entries[0].values, ElementsAre(12.34e12, 12.34e12));
  EXPECT_EQ(tables[0].rows[0].entries[0].planned, 2) << "its third seed, which failed, is not asked for any more";
  EXPECT_EQ(tables[0].rows[0].entries[0].failed, 0);
  EXPECT_THAT(tables[0].notes, Contains("\"new row\": 2 of 2 seeds missing."));
}

TEST_F(Report, FindsTheTablesThatAMatrixMadeOfOne) {
  const PlannedTable table = experiment_.tables[0];
  experiment_.tables.clear();
  for (const std::string name : {"main [optimizer.lr=0.001]", "main [optimizer.lr=0.01]", "mainly"}) {
    experiment_.tables.push_back(table);
    experiment_.tables.back().name = name;
  }
  registry_.plan(experiment_);
  EXPECT_EQ(build_tables(registry_, {.experiment = "ablation", .table = "main", .metrics = {}}).size(), 2);
  EXPECT_EQ(build_tables(registry_, {.experiment = "ablation", .table = "mainly", .metrics = {}}).size(), 1);
}

TEST_F(Report, SaysTheValuesOfAMatrixOnceInTheTitle) {
  const std::string matrix = " [optimizer.lr=0.001]";
  experiment_ = FakeRuns::experiment("ablation", {"CLIP" + matrix, "SILC" + matrix}, {0, 1}, 100);
  experiment_.tables[0].name += matrix;
  experiment_.tables[0].title = matrix;  // of a table that has none of its own
  registry_.plan(experiment_);
  for (std::size_t i = 0; i < 4; ++i) {
    fakes_.finish("ablation", experiment_.cells[i], 0.5 + 0.01 * static_cast<double>(i * i));
    registry_.ingest(experiment_.cells[i].folder);
  }
  const Table table = this->table();
  EXPECT_EQ(table.rows[0].name, "CLIP" + matrix);
  const std::string text = format_tables({table}, TableFormat::terminal);
  EXPECT_THAT(text, testing::StartsWith("Does it help? [optimizer.lr=0.001]  (experiment ablation, table main)\n"));
  EXPECT_EQ(text.find(matrix), text.rfind(matrix)) << text;
  EXPECT_THAT(text, AllOf(HasSubstr("\nCLIP  "), HasSubstr("▼ below \"CLIP\"")));
}

TEST_F(Report, NamesATableByItsExperimentWhereThereIsNoTitle) {
  experiment_.title = experiment_.tables[0].title = "";
  registry_.plan(experiment_);
  EXPECT_EQ(table().title, "ablation");
}

TEST_F(Report, OrdersStandardColumnsByTheirNumbers) {
  experiment_.tables.clear();
  registry_.plan(experiment_);
  nlohmann::json metrics;
  for (const char* name : {"recall@10", "recall@5", "recall@1"})
    metrics.push_back(FakeRuns::metric("student", name, 0.5, "retrieval"));
  fakes_.metrics(cell(0, 0), metrics, nlohmann::json::object());
  registry_.ingest(cell(0, 0).folder);
  const auto columns = table().columns;
  EXPECT_THAT(std::vector(columns.begin(), columns.begin() + 3),
              ElementsAre("retrieval/recall@1", "retrieval/recall@5", "retrieval/recall@10"));
}

TEST_F(Report, StacksColumnsThatDoNotFitBesideEachOther) {
  for (const std::size_t width : {40, 60, 80}) {
    const std::string text = format_tables({table()}, TableFormat::terminal, {.width = width});
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), width) << line;
    for (const char* part : {"61.3 ± 1.1 (+3.9 ▲)", "16 384", "5 min 51 s", "2 of 3", "teacher"})
      EXPECT_THAT(text, HasSubstr(part)) << width;
  }
}

TEST_F(Report, ShowsIntervalsInPlaceOfSpreads) {
  ReportRequest request{.experiment = "ablation", .table = "", .metrics = {}};
  request.intervals = true;
  const Table table = this->table(request);
  const std::string text = format_tables({table}, TableFormat::terminal);
  // 0.57367 ± 4.3027 · 0.012014 / √3; 0.039167 ± 4.3027 · 0.0010408 / √3.
  EXPECT_THAT(text,
              AllOf(HasSubstr("57.4 [54.4, 60.4]"), HasSubstr("(+3.9 [+3.7, +4.2] ▲)"), HasSubstr("82.4 ± 1.0 s")));
  EXPECT_THAT(table.notes, Contains(HasSubstr("95 % confidence interval (Student's t)")));
}

TEST_F(Report, CallsATableWithoutTitleByThatOfItsExperiment) {
  experiment_.title = "Which component helps?";
  experiment_.tables[0].title = "";
  registry_.plan(experiment_);
  EXPECT_THAT(format_tables({table()}, TableFormat::terminal),
              testing::StartsWith("Which component helps?  (experiment ablation, table main)\n"));
}

TEST_F(Report, NamesWhatThereIsWhenAskedForSomethingElse) {
  EXPECT_THAT([&] { table({.experiment = "scaling", .table = "", .metrics = {}}); },
              ThrowsMessage<Error>(AllOf(HasSubstr("no experiment \"scaling\""), HasSubstr("\"ablation\""))));
  EXPECT_THAT([&] { table({.experiment = "ablation", .table = "mian", .metrics = {}}); },
              ThrowsMessage<Error>(AllOf(HasSubstr("no table \"mian\""), HasSubstr("\"main\""))));
  EXPECT_THAT([&] { table({.experiment = "ablation", .table = "", .metrics = {"acc2"}}); },
              ThrowsMessage<Error>(AllOf(HasSubstr("column \"acc2\""), HasSubstr("zero_shot_classification/acc1"))));
  EXPECT_THAT([] { parse_format("pdf"); }, ThrowsMessage<Error>(HasSubstr("there are: terminal, markdown")));
}

TEST_F(Report, UsesBoldOnATerminalOnlyWhenAsked) {
  EXPECT_THAT(format_tables({table()}, TableFormat::terminal, {.color = true}), HasSubstr("\x1b[1m61.3 ± 1.1"));
  EXPECT_THAT(format_tables({table()}, TableFormat::terminal), Not(HasSubstr("\x1b")));
}

// Two experiments in two registries; cells of the second are of another batch, and of one seed more.
class JointReport : public testing::Test {
 protected:
  void SetUp() override {
    run(fakes_[0], registries_[0], "ablation", {"CLIP", "SILC"}, {0, 1}, 32);
    run(fakes_[1], registries_[1], "scaling", {"CLIP"}, {0, 1, 2}, 64);
  }

  static void run(FakeRuns& fakes, Registry& registry, const std::string& name, const std::vector<std::string>& rows,
                  const std::vector<int64_t>& seeds, int batch) {
    const PlannedExperiment experiment = FakeRuns::experiment(name, rows, seeds);
    registry.plan(experiment);
    double score = 0.5;
    for (const PlannedCell& cell : experiment.cells) {
      fakes.finish(name, cell, score += 0.01 * static_cast<double>(cell.seed + 1));
      std::ofstream(fakes.folder(cell).cell(), std::ios::app) << "[optimizer]\nbatch = " << batch << "\n";
      registry.ingest(cell.folder);
    }
  }

  Table table(const ReportRequest& request = {}) {
    return build_joint_table({{&registries_[0], *registries_[0].experiment("ablation"), "ablation"},
                              {&registries_[1], *registries_[1].experiment("scaling"), "scaling"}},
                             request);
  }

  FakeRuns fakes_[2];
  Registry registries_[2] = {fakes_[0].open(), fakes_[1].open()};
};

TEST_F(JointReport, NamesRowsByTheirExperimentAndComparesThemWithTheFirstBaseline) {
  const Table table = this->table();
  ASSERT_EQ(table.rows.size(), 3);
  EXPECT_EQ(table.rows[0].name, "ablation/CLIP");
  EXPECT_TRUE(table.rows[0].baseline);
  EXPECT_EQ(table.rows[2].name, "scaling/CLIP");
  EXPECT_FALSE(table.rows[2].baseline);
  EXPECT_EQ(table.rows[2].entries[0].pairs, 2);
  EXPECT_THAT(table.columns, ElementsAre("zero_shot_classification/acc1", "cost/flops"));
  EXPECT_THAT(format_tables({table}, TableFormat::terminal),
              testing::StartsWith("Does it help?  (experiments ablation, scaling)\n"));
  expect_valid({table});
}

TEST_F(JointReport, WarnsOfConditionsThatTheTableDoesNotName) {
  EXPECT_THAT(
      table().notes,
      Contains("Rows differ in what the table does not name: seeds (0, 1: \"ablation/CLIP\", \"ablation/SILC\"; "
               "0, 1, 2: \"scaling/CLIP\"), optimizer.batch (32: \"ablation/CLIP\", \"ablation/SILC\"; 64: "
               "\"scaling/CLIP\")."));
}

TEST_F(JointReport, KnowsTheMetricsOfAllExperiments) {
  EXPECT_THAT(table({.experiment = "", .table = "", .metrics = {"acc1"}}).columns,
              ElementsAre("zero_shot_classification/acc1"));
  EXPECT_THAT([&] { table({.experiment = "", .table = "", .metrics = {"acc2"}}); },
              ThrowsMessage<Error>(HasSubstr("column \"acc2\"")));
}

// Lines of a terminal table up to the notes.
std::vector<std::string> table_lines(const std::string& text) {
  std::istringstream stream(text.substr(text.find("\n\n") + 2));
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line) && !line.empty();) lines.push_back(line);
  return lines;
}

TEST_F(Report, BreaksLongHeadersToFitTheTerminal) {
  experiment_.tables[0].columns = {"retrieval/image_retrieval_recall@1", "retrieval/text_retrieval_recall@1",
                                   "retrieval/image_retrieval_recall@5", "retrieval/text_retrieval_recall@5",
                                   "zero_shot_segmentation/miou@teacher"};
  registry_.plan(experiment_);
  const auto lines = table_lines(format_tables({table()}, TableFormat::terminal));
  for (const std::string& line : lines) EXPECT_LE(display_width(line), 120) << line;
  EXPECT_THAT(lines[0], AllOf(HasSubstr("image_retrieval_  "), Not(HasSubstr("recall"))));
  EXPECT_THAT(lines[1], AllOf(testing::StartsWith("row "), HasSubstr(" recall@1 %"), HasSubstr(" miou@teacher %")));
}

TEST_F(Report, SaysOnceWhichWeightsAllRowsHave) {
  experiment_.tables[0].rows = {"CLIP", "+ views, EMA"};
  registry_.plan(experiment_);
  const std::string text = format_tables({table()}, TableFormat::terminal);
  EXPECT_THAT(text, testing::EndsWith("Weights evaluated: student.\n"));
  EXPECT_THAT(table_lines(text)[0], Not(HasSubstr("weights")));
}

TEST_F(Report, AlignsWideCharactersByTheirWidth) {
  std::istringstream lines(format_tables({table()}, TableFormat::terminal));
  std::vector<std::string> rows;
  for (std::string line; std::getline(lines, line);)
    if (line.ends_with("student") || line.ends_with("teacher") || line.ends_with("–")) rows.push_back(line);
  ASSERT_EQ(rows.size(), 4);
  for (const std::string& row : rows)
    EXPECT_EQ(display_width(row.substr(0, row.rfind(' '))), display_width(rows[0].substr(0, rows[0].rfind(' '))));
}

// A reader of RFC 4180: fields quoted where needed, quotes doubled, lines ended by CR LF.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
  std::vector<std::vector<std::string>> records{{""}};
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string& field = records.back().back();
    if (quoted && text.compare(i, 2, "\"\"") == 0) {
      field += text[i++];
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && text[i] == ',') {
      records.back().emplace_back();
    } else if (!quoted && text.compare(i, 2, "\r\n") == 0) {
      records.push_back({""});
      ++i;
    } else {
      field += text[i];
    }
  }
  records.pop_back();
  return records;
}

TEST_F(Report, GivesCsvThatReadsBackAsTheSameNumbers) {
  const Table table = this->table();
  const auto records = parse_csv(format_tables({table}, TableFormat::csv));
  ASSERT_EQ(records.size(), 1 + table.rows.size() * table.columns.size());
  const auto number = [](const std::string& field) {
    return field.empty() ? std::nullopt : std::optional(std::stod(field));
  };
  std::size_t at = 1;
  for (const TableRow& row : table.rows)
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      const TableEntry& entry = row.entries[column];
      const std::vector<std::string>& record = records[at++];
      ASSERT_EQ(record.size(), 23);
      EXPECT_EQ(record[0], "ablation");
      EXPECT_EQ(record[1], "main");
      EXPECT_EQ(record[2], row.name.starts_with("+") ? "'" + row.name : row.name);
      EXPECT_EQ(record[3], row.weights);
      EXPECT_EQ(record[4], table.columns[column]);
      EXPECT_EQ(number(record[5]), entry.values.empty() ? std::nullopt : std::optional(entry.mean));
      EXPECT_EQ(number(record[6]), entry.spread);
      EXPECT_EQ(record[7], std::to_string(entry.values.size()));
      EXPECT_EQ(record[8], std::to_string(entry.planned));
      EXPECT_EQ(record[9], std::to_string(entry.failed));
      EXPECT_EQ(number(record[10]), entry.interval ? std::optional(entry.interval->low) : std::nullopt);
      EXPECT_EQ(record[12], evidence_name(entry.interval_evidence));
      EXPECT_EQ(number(record[13]), entry.difference);
      EXPECT_EQ(number(record[16]), entry.p_value);
      EXPECT_EQ(number(record[17]), entry.p_adjusted);
      EXPECT_EQ(record[19], evidence_name(entry.evidence));
    }
}

TEST_F(Report, GivesCsvInWhichNoNameRunsAsAFormula) {
  Table table = this->table();
  const std::vector<std::string> hostile = {"=1+1", "+CLIP", "-CLIP", "@CLIP", "=HYPERLINK(\"x\",\"y\")"};
  for (const std::string& name : hostile) {
    table.rows[0].name = name;
    EXPECT_EQ(parse_csv(format_tables({table}, TableFormat::csv)).at(1).at(2), "'" + name);
  }
}

TEST_F(Report, GivesLatexLabelsOfSafeCharactersOnly) {
  Table table = this->table();
  table.experiment = "100% a_b & c";
  table.name = "{x}~\\y";
  EXPECT_THAT(format_tables({table}, TableFormat::latex), HasSubstr("\\label{tab:100-a-b-c-x-y}\n"));
}

TEST_F(Report, GivesLatexThatCompilesWithHostileNames) {
  if (std::system("pdflatex --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "there is no pdflatex";
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "silc-latex";
  std::filesystem::create_directories(folder);
  Table table = this->table();
  const std::string hostile = "100% a_b & c #1 $x^2$ {y} ~ \\z <t> |u| \"v\" 'w' `x` ± µ × é";
  table.experiment = table.name = table.title = hostile;
  table.notes = {hostile};
  table.rows[0].name = hostile;
  table.rows[1].name = "[2ex] a row that begins as an argument does";
  table.rows[2].name = "*starred";
  table.rows[3].name = "what pdflatex knows";
  for (TableRow& row : table.rows) row.label.clear();
  const bool has_siunitx = std::system("kpsewhich siunitx.sty > /dev/null 2>&1") == 0;
  for (const bool siunitx : {false, true}) {
    if (siunitx && !has_siunitx) continue;
    FakeRuns::write(folder / "table.tex",
                    format_tables({table}, TableFormat::latex, {.siunitx = siunitx, .document = true}));
    const std::string command =
        "cd '" + folder.string() + "' && pdflatex -halt-on-error -interaction=nonstopmode table.tex";
    EXPECT_EQ(std::system((command + " > output.txt").c_str()), 0) << read_file(folder / "table.log");
    EXPECT_TRUE(std::filesystem::exists(folder / "table.pdf"));
    std::filesystem::remove(folder / "table.pdf");
  }
}

TEST_F(Report, GivesJsonThatTheSchemaDescribes) {
  fakes_.warning(cell(2, 0), 40, "teacher_entropy_zero", nullptr);
  registry_.ingest(cell(2, 0).folder);
  expect_valid({table()});
}

TEST_F(CaptioningReport, GivesJsonThatTheSchemaDescribes) { expect_valid({table()}); }

TEST_F(PictureReport, GivesJsonThatTheSchemaDescribes) { expect_valid({table({0}, 40), table({0, 1}, 40)}); }

TEST_F(Report, GivesJsonWithTheValueOfEverySeed) {
  const auto json = nlohmann::json::parse(format_tables({table()}, TableFormat::json));
  const auto& entry = json["tables"][0]["rows"][2]["entries"][0];
  EXPECT_EQ(entry["column"], "zero_shot_classification/acc1");
  EXPECT_EQ(entry["values"].size(), 2);
  EXPECT_EQ(entry["values"][1]["seed"], 1);
  EXPECT_EQ(entry["values"][1]["value"].get<double>(), 0.58 + 0.05);
  EXPECT_EQ(entry["failed"], 1);
  EXPECT_TRUE(json["tables"][0]["rows"][3]["entries"][0]["mean"].is_null());
}

TEST_F(Report, LeavesDifferencesOutWhereTheyWouldNotFit) {
  experiment_.tables[0].columns = {"zero_shot_classification/acc1", "zero_shot_segmentation/miou"};
  registry_.plan(experiment_);
  EXPECT_THAT(format_tables({table()}, TableFormat::terminal), HasSubstr("(+3.9 ▲)"));
  for (int i = 0; i < 3; ++i) experiment_.tables[0].columns.emplace_back("zero_shot_segmentation/miou");
  registry_.plan(experiment_);
  EXPECT_THAT(format_tables({table()}, TableFormat::terminal), AllOf(HasSubstr(" ▲"), Not(HasSubstr("(+3.9"))));
}

}  // namespace
}  // namespace silc
