#include "registry/curves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "registry/report.h"
#include "silc/error.h"
#include "tests/registry/fake_runs.h"

namespace silc {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Optional;
using testing::ThrowsMessage;

// Scores at 1, 2, 4 and 8 examples, of which each costs 10 FLOPs and 0.5 core-seconds.
Curve curve(const std::vector<double>& values) {
  Curve curve{.row = "SILC",
              .seed = 0,
              .evaluator = "zero_shot_classification",
              .dataset = "scenes",
              .weights = "student",
              .name = "acc1",
              .n = 100,
              .ended = true,
              .points = {}};
  double examples = 1;
  for (const double value : values) {
    curve.points.push_back(
        {.examples = examples, .flops = 10 * examples, .core_seconds = 0.5 * examples, .value = value});
    examples *= 2;
  }
  return curve;
}

TEST(Curves, HaveTheScoreOnTheLineBetweenPoints) {
  const Curve rising = curve({0.1, 0.2, 0.4});
  EXPECT_THAT(value_at(rising, CostUnit::examples, 2), Optional(0.2));
  EXPECT_THAT(value_at(rising, CostUnit::examples, 3), Optional(testing::DoubleEq(0.3)));
  EXPECT_THAT(value_at(rising, CostUnit::flops, 30), Optional(testing::DoubleEq(0.3)));
  EXPECT_THAT(value_at(rising, CostUnit::core_seconds, 0.5), Optional(0.1));
}

TEST(Curves, HaveNoScoreBeforeTheirFirstPointAndBehindTheirLast) {
  const Curve rising = curve({0.1, 0.2});
  EXPECT_FALSE(value_at(rising, CostUnit::examples, 0.9));
  EXPECT_FALSE(value_at(rising, CostUnit::examples, 2.1));
}

TEST(Curves, KnowWhatItCostToComeToAScoreFirst) {
  const Curve wavy = curve({0.1, 0.3, 0.2, 0.6});
  EXPECT_THAT(cost_of(wavy, CostUnit::examples, 0.2), Optional(testing::DoubleEq(1.5)));
  EXPECT_THAT(cost_of(wavy, CostUnit::examples, 0.3), Optional(2.0));
  EXPECT_THAT(cost_of(wavy, CostUnit::flops, 0.4), Optional(testing::DoubleEq(60)));
  EXPECT_THAT(cost_of(wavy, CostUnit::examples, 0.05), Optional(1.0));
  EXPECT_FALSE(cost_of(wavy, CostUnit::examples, 0.7));
}

TEST(Curves, AverageTheirLastPointsOnceTheyHaveEnded) {
  Curve rising = curve({0.1, 0.2, 0.4});
  EXPECT_THAT(mean_of_last(rising, 2), Optional(testing::DoubleEq(0.3)));
  EXPECT_FALSE(mean_of_last(rising, 4));
  rising.ended = false;
  EXPECT_FALSE(mean_of_last(rising, 2));
}

TEST(Curves, AreAveragedOverSeedsPointByPoint) {
  const Curve one = curve({0.1, 0.2}), other = curve({0.3, 0.6}), shorter = curve({0.9});
  const Curve mean = mean_curve({&one, &other, &shorter});
  ASSERT_EQ(mean.points.size(), 2);
  EXPECT_DOUBLE_EQ(mean.points[0].value, 0.2);
  EXPECT_DOUBLE_EQ(mean.points[1].value, 0.4);
  EXPECT_DOUBLE_EQ(mean.points[1].flops, 20);
}

TEST(Curves, AreOfUnitsThatExist) {
  EXPECT_EQ(parse_unit("core_seconds"), CostUnit::core_seconds);
  EXPECT_THAT([] { parse_unit("hours"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("hours"), HasSubstr("examples, flops or core_seconds"))));
}

// CLIP costs 20 steps and SILC 40; both were evaluated each 10.
class CurveTables : public testing::Test {
 protected:
  void SetUp() override {
    experiment_.tables[0].columns = {"zero_shot_classification/acc1", "cost/flops", "cost/examples",
                                     "cost/peak_memory"};
    registry_.plan(experiment_);
    for (std::size_t seed = 0; seed < 2; ++seed) {
      const double noise = 0.01 * static_cast<double>(seed);
      finish(2 * seed, {0.2 + noise, 0.3 + 2 * noise});
      finish(2 * seed + 1, {0.25, 0.35 + noise, 0.4, 0.5 - noise});
    }
  }

  // The last score is the result after training.
  void finish(std::size_t number, const std::vector<double>& scores) {
    const PlannedCell& cell = experiment_.cells[number];
    fakes_.write_cell("ablation", cell);
    fakes_.event(cell, "started", 100, {{"step", 0}, {"total_steps", 20}, {"pid", 1}});
    const auto steps = [](std::size_t points) { return 10 * static_cast<int64_t>(points); };
    for (std::size_t i = 0; i + 1 < scores.size(); ++i)
      fakes_.along(cell, steps(i + 1), static_cast<double>(i + 1) / static_cast<double>(scores.size()), scores[i]);
    const auto last = static_cast<double>(steps(scores.size()));
    fakes_.metrics(cell, nlohmann::json::array({FakeRuns::metric("student", "acc1", scores.back())}),
                   {{"examples", 32 * last},
                    {"flops", 1e9 * last},
                    {"core_seconds", 0.1 * last},
                    {"peak_memory", 5e8},
                    {"device_seconds", 3.0}});
    fakes_.event(cell, "finished", 103);
    registry_.ingest(cell.folder);
  }

  Table table(const ReportRequest& request) {
    std::vector<Table> tables = build_tables(registry_, request);
    EXPECT_EQ(tables.size(), 1);
    return tables.at(0);
  }

  FakeRuns fakes_;
  Registry registry_ = fakes_.open();
  PlannedExperiment experiment_ = FakeRuns::experiment("ablation", {"CLIP", "SILC"}, {0, 1});
};

TEST_F(CurveTables, EndCurvesWithTheResultAfterTraining) {
  const std::vector<Curve> curves = read_curves(registry_, "ablation", registry_.metrics("ablation"));
  ASSERT_EQ(curves.size(), 4);
  const Curve& silc = curves[1];
  EXPECT_EQ(silc.row, "SILC");
  EXPECT_TRUE(silc.ended);
  ASSERT_EQ(silc.points.size(), 4);
  EXPECT_DOUBLE_EQ(silc.points[1].flops, 2e10);
  EXPECT_DOUBLE_EQ(silc.points[3].value, 0.5);
  EXPECT_DOUBLE_EQ(silc.points[3].examples, 1280);
}

TEST_F(CurveTables, LeaveTheResultOutWhereItIsOfOtherSamples) {
  const PlannedCell& cell = experiment_.cells[0];
  nlohmann::json whole = FakeRuns::metric("student", "acc1", 0.9);
  whole["n"] = 5000;
  fakes_.metrics(cell, nlohmann::json::array({whole}), {{"examples", 640}, {"flops", 2e10}, {"core_seconds", 2.0}});
  fakes_.along(cell, 20, 1, 0.31);
  fakes_.event(cell, "finished", 104);
  registry_.ingest(cell.folder);
  const Curve curve = read_curves(registry_, "ablation", registry_.metrics("ablation")).front();
  EXPECT_TRUE(curve.ended);
  EXPECT_EQ(curve.points.size(), 2);
  EXPECT_EQ(curve.points.back().value, 0.31);
}

TEST_F(CurveTables, StandInTheEntriesOfTables) {
  const Table table = this->table({.experiment = "ablation", .table = "", .metrics = {}});
  EXPECT_EQ(table.rows[1].entries[0].curves.size(), 2);
  EXPECT_TRUE(table.rows[1].entries[1].curves.empty());
}

TEST_F(CurveTables, CompareRowsAtEqualCost) {
  const Table table = this->table({.experiment = "ablation", .table = "", .metrics = {}, .match = CostUnit::flops});
  EXPECT_DOUBLE_EQ(table.level, 2e10);
  EXPECT_THAT(table.rows[0].entries[0].values, testing::ElementsAre(0.3, 0.32));
  EXPECT_THAT(table.rows[1].entries[0].values, testing::ElementsAre(0.35, 0.36));
  EXPECT_DOUBLE_EQ(table.rows[1].entries[1].mean, 2e10);
  EXPECT_DOUBLE_EQ(table.rows[1].entries[2].mean, 640);
  EXPECT_DOUBLE_EQ(table.rows[1].entries[3].mean, 5e8);
  EXPECT_THAT(table.notes, Contains(AllOf(HasSubstr("Rows at equal FLOPs"), HasSubstr("20.0 G"), HasSubstr("n = 1000"),
                                          HasSubstr("learning rate"))));
}

TEST_F(CurveTables, CompareMeansOfTheLastEvaluationsAndSayWhetherThatLowersTheSpread) {
  const Table table = this->table({.experiment = "ablation", .table = "", .metrics = {}, .last = 2});
  EXPECT_DOUBLE_EQ(table.rows[0].entries[0].values[0], 0.25);
  EXPECT_DOUBLE_EQ(table.rows[1].entries[0].values[1], 0.445);
  EXPECT_DOUBLE_EQ(table.rows[0].entries[1].mean, 2e10);
  // Differences between seeds: 0.015 and 0.005 of means, 0.02 and 0.01 of the last.
  EXPECT_THAT(table.notes, Contains(HasSubstr("lowers the spread over seeds to this part of that of the last "
                                              "evaluation: acc1 0.71.")));
}

TEST_F(CurveTables, SayWhatItTakesToComeToTheBaselinesScore) {
  const Table table = this->table({.experiment = "ablation", .table = "", .metrics = {}});
  ASSERT_TRUE(table.rows[1].entries[0].reach);
  // SILC's means are 0.25 and 0.355 after 10 and 20 steps; CLIP's 0.31 after 20.
  EXPECT_NEAR(table.rows[1].entries[0].reach->flops, 0.5 * (1 + 0.06 / 0.105), 1e-12);
  EXPECT_THAT(table.notes, Contains(HasSubstr("\"SILC\" comes to the last scores of \"CLIP\" along training with this "
                                              "part of its FLOPs: acc1 0.79.")));
}

TEST_F(CurveTables, SayThatTheScoreIsNotReached) {
  for (std::size_t seed = 0; seed < 2; ++seed) finish(2 * seed, {0.2, 0.6});
  const Table table = this->table({.experiment = "ablation", .table = "", .metrics = {}});
  EXPECT_FALSE(table.rows[1].entries[0].reach);
  EXPECT_THAT(table.notes, Contains(HasSubstr("\"SILC\" does not come to the last scores of \"CLIP\"")));
}

TEST_F(CurveTables, SayNothingOfAScoreThatTheBaselineHasNot) {
  for (std::size_t seed = 0; seed < 2; ++seed) {
    const PlannedCell& cell = experiment_.cells[2 * seed];
    fakes_.write(fakes_.folder(cell).events(), "");
    finish(2 * seed, {0.5});
  }
  const Table table = this->table({.experiment = "ablation", .table = "", .metrics = {}});
  EXPECT_FALSE(table.rows[1].entries[0].has_goal);
  EXPECT_THAT(table.notes, testing::Not(Contains(HasSubstr("last scores"))));
}

TEST_F(CurveTables, NameRowsThatWereNotEvaluatedAlongTraining) {
  for (std::size_t seed = 0; seed < 2; ++seed) {
    const PlannedCell& cell = experiment_.cells[2 * seed + 1];
    fakes_.write(fakes_.folder(cell).events(), "");
    finish(2 * seed + 1, {0.5});
  }
  const Table table =
      this->table({.experiment = "ablation", .table = "", .metrics = {}, .match = CostUnit::core_seconds});
  EXPECT_TRUE(table.rows[1].entries[0].values.empty());
  EXPECT_THAT(table.notes,
              Contains(AllOf(HasSubstr("\"SILC\": not evaluated along training"), HasSubstr("engine.evaluate_every"))));
}

TEST_F(CurveTables, RefuseToCompareAlongTrainingWhereNothingWasEvaluatedThere) {
  const PlannedExperiment other = FakeRuns::experiment("other", {"CLIP"}, {0}, 50);
  registry_.plan(other);
  fakes_.finish("other", other.cells[0], 0.5);
  registry_.ingest(other.cells[0].folder);
  EXPECT_THAT(
      [&] { build_tables(registry_, ReportRequest{.experiment = "other", .table = "", .metrics = {}, .last = 3}); },
      ThrowsMessage<Error>(AllOf(HasSubstr("table \"main\""), HasSubstr("engine.evaluate_every"))));
}

TEST_F(CurveTables, CountTheCostsOfEarlierPhases) {
  const PlannedCell later = FakeRuns::cell("phased", "LiT", 0, "aaaaaaaaaa98");
  const PlannedCell first = FakeRuns::cell("phased", "CLIP", 0, "aaaaaaaaaa99");
  PlannedExperiment phased = FakeRuns::experiment("phased", {"CLIP", "LiT"}, {0}, 98);
  phased.cells = {first, later};
  registry_.plan(phased);
  fakes_.finish("phased", first, 0.5);
  fakes_.finish("phased", later, 0.6, "student", "CLIP/seed-0-aaaaaaaaaa99");
  fakes_.along(later, 10, 0.5);
  for (const PlannedCell& cell : {first, later}) {
    fakes_.metrics(cell, nlohmann::json::array({FakeRuns::metric("student", "acc1", 0.6)}),
                   {{"examples", 640}, {"flops", 1.5e12}, {"core_seconds", 84.0}, {"seconds", 42.0}});
    registry_.ingest(cell.folder);
  }
  const std::vector<AlongRecord> records = registry_.metrics_along("phased");
  ASSERT_EQ(records.size(), 1);
  EXPECT_EQ(records[0].examples, 640 + 320);
  EXPECT_EQ(records[0].seconds, 42.5);
  const std::vector<Curve> curves = read_curves(registry_, "phased", registry_.metrics("phased"));
  EXPECT_EQ(curves[0].points.back().examples, 1280);
}

}  // namespace
}  // namespace silc
