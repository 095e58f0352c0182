#include "registry/registry.h"
#include "registry/report.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "silc/error.h"
#include "tests/registry/fake_runs.h"

namespace silc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class RegistryTest : public testing::Test {
 protected:
  FakeRuns fakes_;
  Registry registry_ = fakes_.open();
  PlannedExperiment experiment_ = FakeRuns::experiment("ablation", {"CLIP", "SILC"}, {0, 1});
};

// A row in two phases, the first of which is the row CLIP.
class PhasesTest : public RegistryTest {
 protected:
  PhasesTest() {
    experiment_.cells = {FakeRuns::cell("ablation", "CLIP", 0, "aaaaaaaaaaa1"),
                         FakeRuns::cell("ablation", "SILC", 0, "aaaaaaaaaaa2")};
    registry_.plan(experiment_);
    fakes_.finish("ablation", first_, 0.5);
    fakes_.finish("ablation", second_, 0.6, "student", "CLIP/seed-0-aaaaaaaaaaa1");
  }

  std::map<std::string, MetricRecord> costs(const std::string& row) const {
    std::map<std::string, MetricRecord> costs;
    for (const MetricRecord& metric : registry_.metrics("ablation"))
      if (metric.row == row && metric.evaluator == "cost") costs[metric.name] = metric;
    return costs;
  }

  const PlannedCell first_ = FakeRuns::cell("ablation", "CLIP", 0, "aaaaaaaaaaa1");
  const PlannedCell second_ = FakeRuns::cell("ablation", "SILC", 0, "aaaaaaaaaaa2");
};

TEST_F(PhasesTest, TheCostOfARowIsThatOfAllItsPhases) {
  fakes_.metrics(first_, {}, {{"examples", 1000}, {"core_seconds", 10.0}, {"peak_memory", 5e8}, {"parameters", 77}});
  fakes_.metrics(second_, {}, {{"examples", 640}, {"core_seconds", 84.0}, {"peak_memory", 3e8}, {"parameters", 99}});
  registry_.ingest(first_.folder);
  registry_.ingest(second_.folder);
  EXPECT_EQ(costs("CLIP").at("examples").value, 1000);
  EXPECT_EQ(costs("SILC").at("examples").value, 1640);
  EXPECT_EQ(costs("SILC").at("core_seconds").value, 94);
  EXPECT_EQ(costs("SILC").at("peak_memory").value, 5e8) << "the greatest of them";
  EXPECT_EQ(costs("SILC").at("parameters").value, 99);
  EXPECT_EQ(costs("SILC").at("examples").phases, 2);
  EXPECT_EQ(costs("CLIP").at("examples").phases, 1);
}

TEST_F(PhasesTest, ACostIsNotKnownWhereAPhaseIsNot) {
  registry_.ingest(second_.folder);
  EXPECT_TRUE(costs("SILC").empty());
  EXPECT_FALSE(registry_.metrics("ablation").empty());
}

TEST_F(PhasesTest, TheCostOfAPhaseOfAnotherExperimentCountsToo) {
  registry_.ingest(first_.folder);
  const PlannedCell third = FakeRuns::cell("fine-tuning", "LiT", 0, "aaaaaaaaaaa3");
  fakes_.finish("fine-tuning", third, 0.7, "student", "../ablation/CLIP/seed-0-aaaaaaaaaaa1");
  PlannedExperiment experiment = FakeRuns::experiment("fine-tuning", {"LiT"}, {0});
  experiment.cells = {third};
  registry_.plan(experiment);
  registry_.ingest(third.folder);
  EXPECT_EQ(registry_.find_cell("fine-tuning/LiT/0").start, "ablation/CLIP/seed-0-aaaaaaaaaaa1");
  const std::vector<MetricRecord> metrics = registry_.metrics("fine-tuning");
  const auto examples = std::ranges::find(metrics, "examples", &MetricRecord::name);
  ASSERT_NE(examples, metrics.end());
  EXPECT_EQ(examples->value, 1280);
  EXPECT_EQ(examples->phases, 2);
}

TEST_F(PhasesTest, ACellAloneHasItsOwnCosts) {
  registry_.ingest(first_.folder);
  registry_.ingest(second_.folder);
  const CellRecord cell = registry_.find_cell("ablation/SILC/0");
  EXPECT_EQ(cell.start, "ablation/CLIP/seed-0-aaaaaaaaaaa1");
  const std::vector<MetricRecord> metrics = registry_.metrics(cell);
  const auto examples = std::ranges::find(metrics, "examples", &MetricRecord::name);
  ASSERT_NE(examples, metrics.end());
  EXPECT_EQ(examples->value, 640);
}

TEST_F(PhasesTest, ATableSaysThatCostsAreOfAllPhases) {
  registry_.ingest(first_.folder);
  registry_.ingest(second_.folder);
  const std::vector<Table> tables = build_tables(registry_, {.experiment = "ablation", .table = "", .metrics = {}});
  EXPECT_THAT(tables.at(0).notes, testing::Contains("Costs of \"SILC\": of all phases of training together."));
}

TEST_F(RegistryTest, KnowsAnExperimentAsItWasPlanned) {
  registry_.plan(experiment_);
  const auto known = registry_.experiment("ablation");
  ASSERT_TRUE(known);
  EXPECT_EQ(known->title, experiment_.title);
  EXPECT_EQ(known->source, experiment_.source);
  EXPECT_EQ(known->rows, experiment_.rows);
  EXPECT_EQ(known->seeds, experiment_.seeds);
  ASSERT_EQ(known->tables.size(), 1);
  EXPECT_EQ(known->tables[0].baseline, "CLIP");
  EXPECT_EQ(known->tables[0].columns, experiment_.tables[0].columns);
  ASSERT_EQ(known->cells.size(), 4);
  EXPECT_EQ(known->cells[1].row, "SILC");
  EXPECT_EQ(known->cells[1].folder, experiment_.cells[1].folder);
}

TEST_F(RegistryTest, KnowsNothingOfOtherExperiments) {
  registry_.plan(experiment_);
  EXPECT_FALSE(registry_.experiment("scaling"));
  EXPECT_TRUE(registry_.cells("scaling").empty());
}

TEST_F(RegistryTest, ListsExperimentsLastPlannedFirst) {
  registry_.plan(experiment_);
  registry_.plan(FakeRuns::experiment("scaling", {"CLIP"}, {0}));
  EXPECT_THAT(registry_.experiments(), ElementsAre("scaling", "ablation"));
  registry_.plan(experiment_);
  EXPECT_THAT(registry_.experiments(), ElementsAre("ablation", "scaling"));
}

TEST_F(RegistryTest, StartsCellsAsPlanned) {
  registry_.plan(experiment_);
  for (const CellRecord& cell : registry_.cells("ablation")) {
    EXPECT_EQ(cell.state, CellState::planned);
    EXPECT_TRUE(cell.current);
  }
}

TEST_F(RegistryTest, KeepsCellsOfEarlierVersionsOutOfTheExperiment) {
  registry_.plan(experiment_);
  fakes_.finish("ablation", experiment_.cells[0], 0.5);
  registry_.ingest(fakes_.folder(experiment_.cells[0]).path);
  registry_.plan(FakeRuns::experiment("ablation", {"CLIP"}, {0}, 50));
  const auto cells = registry_.cells("ablation");
  ASSERT_EQ(cells.size(), 2) << "cells that were never run are forgotten";
  EXPECT_TRUE(cells[0].current);
  EXPECT_EQ(cells[1].cell.id, experiment_.cells[0].id);
  EXPECT_FALSE(cells[1].current);
  EXPECT_TRUE(registry_.metrics("ablation").empty());
}

TEST_F(RegistryTest, KeepsFinishedCellsFinishedWhenPlannedAgain) {
  registry_.plan(experiment_);
  fakes_.finish("ablation", experiment_.cells[0], 0.5);
  registry_.ingest(experiment_.cells[0].folder);
  registry_.plan(experiment_);
  EXPECT_EQ(registry_.cells("ablation")[0].state, CellState::finished);
}

TEST_F(RegistryTest, SaysWhichMetricsAreOfTheWeightsThatTablesMean) {
  registry_.plan(experiment_);
  fakes_.finish("ablation", experiment_.cells[0], 0.5, "teacher");
  registry_.ingest(experiment_.cells[0].folder);
  std::vector<std::string> primary;
  for (const MetricRecord& metric : registry_.metrics("ablation"))
    if (metric.primary) primary.push_back(metric.evaluator + " " + metric.name + " " + metric.weights);
  EXPECT_THAT(primary, ElementsAre("cost core_seconds ", "cost examples ", "cost flops ",
                                   "zero_shot_classification acc1 teacher"));
}

TEST_F(RegistryTest, ShowsResultsByNameToThoseWhoQueryByHand) {
  registry_.plan(experiment_);
  fakes_.finish("ablation", experiment_.cells[0], 0.5);
  registry_.ingest(experiment_.cells[0].folder);
  SQLite::Database database(fakes_.registry_file().string());
  SQLite::Statement query(database, R"sql(
    SELECT experiment, row, seed, state, current, evaluator, dataset, metric, value, n FROM result
    WHERE weights = 'student')sql");
  ASSERT_TRUE(query.executeStep());
  EXPECT_EQ(query.getColumn(0).getString(), "ablation");
  EXPECT_EQ(query.getColumn(1).getString(), "CLIP");
  EXPECT_EQ(query.getColumn(2).getInt(), 0);
  EXPECT_EQ(query.getColumn(3).getString(), "finished");
  EXPECT_EQ(query.getColumn(4).getInt(), 1);
  EXPECT_EQ(query.getColumn(5).getString(), "zero_shot_classification");
  EXPECT_EQ(query.getColumn(6).getString(), "scenes");
  EXPECT_EQ(query.getColumn(7).getString(), "acc1");
  EXPECT_EQ(query.getColumn(8).getDouble(), 0.5);
  EXPECT_EQ(query.getColumn(9).getInt(), 1000);
  EXPECT_FALSE(query.executeStep());
}

TEST_F(RegistryTest, FindsACellByItsIdTheStartOfItOrItsNames) {
  registry_.plan(experiment_);
  EXPECT_EQ(registry_.find_cell("aaaaaaaaaaa3").cell.seed, 1);
  registry_.plan(FakeRuns::experiment("other", {"CLIP"}, {7}, 999));
  EXPECT_EQ(registry_.find_cell("aaaaaaaaa9").cell.seed, 7);
  EXPECT_EQ(registry_.find_cell("ablation/SILC/1").cell.id, "aaaaaaaaaaa4");
}

TEST_F(RegistryTest, ListsTheCellsThatAShortIdMayMean) {
  registry_.plan(experiment_);
  EXPECT_THAT([&] { (void)registry_.find_cell("aaaa"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("may mean 4 cells"), HasSubstr("ablation/SILC/1 (aaaaaaaaaaa4)"))));
}

TEST_F(RegistryTest, SaysHowToNameACellThatItDoesNotKnow) {
  registry_.plan(experiment_);
  EXPECT_THAT([&] { (void)registry_.find_cell("b"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("no cell \"b\""), HasSubstr("EXPERIMENT/ROW/SEED"))));
  EXPECT_THROW((void)registry_.find_cell(""), Error);
  EXPECT_THROW((void)registry_.find_cell("a%"), Error);
}

TEST_F(RegistryTest, ForgetsACellThatWasRemoved) {
  registry_.plan(experiment_);
  fakes_.finish("ablation", experiment_.cells[0], 0.5);
  registry_.ingest(experiment_.cells[0].folder);
  registry_.forget(registry_.cells("ablation")[0]);
  const auto cells = registry_.cells("ablation");
  ASSERT_EQ(cells.size(), 4);
  EXPECT_EQ(cells[0].state, CellState::planned);
  EXPECT_TRUE(registry_.metrics(cells[0]).empty());
  EXPECT_TRUE(registry_.check().empty());
}

TEST_F(RegistryTest, ReportsRowsThatBelongToNothing) {
  SQLite::Database(fakes_.registry_file().string(), SQLite::OPEN_READWRITE)
      .exec("INSERT INTO step_metric VALUES (77, 1, 'loss', 1.0)");
  EXPECT_THAT(registry_.check(), ElementsAre(AllOf(HasSubstr("step_metric"), HasSubstr("cell"))));
}

}  // namespace
}  // namespace silc
