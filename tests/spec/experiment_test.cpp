#include "spec/experiment.h"

#include <gmock/gmock.h>

#include "plugin/option_values.h"
#include "spec_testing.h"

namespace silc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ExperimentTest : public SpecTest {};

TEST_F(ExperimentTest, TheSmallestFileGivesOneCellWithDefaults) {
  const Experiment experiment = read(kOneRow);
  ASSERT_EQ(experiment.cells.size(), 1u);
  const ResolvedCell& cell = experiment.cells[0];
  EXPECT_EQ(cell.experiment, "test");
  EXPECT_EQ(cell.row, "CLIP");
  EXPECT_EQ(cell.seed, 0);
  EXPECT_EQ(cell.budget, (Budget{BudgetUnit::examples, 40000}));
  EXPECT_EQ(cell.image.backbone.name, "vit");
  EXPECT_EQ(cell.text.backbone.name, "text_transformer");
  EXPECT_EQ(cell.text.tokenizer.name, "words");
  EXPECT_EQ(cell.optimizer, OptimizerSettings());
  EXPECT_EQ(cell.engine, EngineSettings());
  EXPECT_EQ(cell.train.split, "train");
  EXPECT_EQ(cell.train.fingerprint, "");
  EXPECT_THAT(cell.weights, ElementsAre("student"));
}

TEST_F(ExperimentTest, EverySettingOfTheFileArrives) {
  const ResolvedCell cell = read(kFull).cells.at(0);
  EXPECT_EQ(cell.optimizer.lr, 1e-3);
  EXPECT_EQ(cell.optimizer.batch, 64);
  EXPECT_EQ(cell.optimizer.warmup, 0.1);
  EXPECT_EQ(cell.engine.precision, "bf16");
  EXPECT_EQ(cell.engine.log_every, 5);
  EXPECT_EQ(cell.text.context_length, 16);
  EXPECT_EQ(cell.text.tokenizer.name, "bytes");
  EXPECT_EQ(cell.train.dataset.version, 2u);
  EXPECT_EQ(cell.train.dataset.options.values().at("pictures"), OptionValue(int64_t{500}));
}

TEST_F(ExperimentTest, EvaluationsHaveTheirDefaultsAndNames) {
  const ResolvedCell cell = read(kFull).cells.at(0);
  ASSERT_EQ(cell.evaluations.size(), 2u);
  EXPECT_EQ(cell.evaluations[0].name, "zero_shot_classification");
  EXPECT_EQ(cell.evaluations[0].data.split, "test");
  EXPECT_EQ(cell.evaluations[1].name, "on_shapes");
  EXPECT_EQ(cell.evaluations[1].data.split, "validation");
  EXPECT_EQ(cell.evaluations[1].evaluator.options.values().at("templates"), OptionValue(Texts{"{}"}));
}

TEST_F(ExperimentTest, CellsComeSeedBySeedAndRowsInTheFilesOrder) {
  const Experiment experiment = read(kFull);
  EXPECT_THAT(experiment.rows,
              ElementsAre("CLIP [optimizer.lr=0.001]", "CLIP [optimizer.lr=0.0003]",
                          "+ additional views [optimizer.lr=0.001]", "+ additional views [optimizer.lr=0.0003]",
                          "SILC [optimizer.lr=0.001]", "SILC [optimizer.lr=0.0003]"));
  ASSERT_EQ(experiment.cells.size(), 18u);
  for (std::size_t i = 0; i < experiment.cells.size(); ++i) {
    EXPECT_EQ(experiment.cells[i].seed, static_cast<int64_t>(i / 6));
    EXPECT_EQ(experiment.cells[i].row, experiment.rows[i % 6]);
  }
}

TEST_F(ExperimentTest, TheMatrixSetsItsValues) {
  const Experiment experiment = read(kFull);
  EXPECT_EQ(experiment.cells[0].optimizer.lr, 1e-3);
  EXPECT_EQ(experiment.cells[1].optimizer.lr, 3e-4);
}

TEST_F(ExperimentTest, TwoKeysOfAMatrixGiveEveryCombinationInTheFilesOrder) {
  const Experiment experiment = read(kOneRow + R"(
[matrix]
model.image = [{ backbone = "vit", width = 64 }, "convnet"]
"optimizer.batch" = [8, 16]
)");
  EXPECT_THAT(experiment.rows, ElementsAre(R"(CLIP [model.image={ backbone = "vit", width = 64 }, optimizer.batch=8])",
                                           R"(CLIP [model.image={ backbone = "vit", width = 64 }, optimizer.batch=16])",
                                           "CLIP [model.image=convnet, optimizer.batch=8]",
                                           "CLIP [model.image=convnet, optimizer.batch=16]"));
  EXPECT_EQ(experiment.cells[3].image.backbone.name, "convnet");
  EXPECT_EQ(experiment.cells[3].optimizer.batch, 16);
}

TEST_F(ExperimentTest, AMatrixMakesOneTableForEachCombination) {
  const Experiment experiment = read(kFull);
  ASSERT_EQ(experiment.tables.size(), 2u);
  EXPECT_EQ(experiment.tables[1].name, "components [optimizer.lr=0.0003]");
  EXPECT_EQ(experiment.tables[1].baseline, "CLIP [optimizer.lr=0.0003]");
  EXPECT_THAT(experiment.tables[1].rows,
              ElementsAre("CLIP [optimizer.lr=0.0003]", "+ additional views [optimizer.lr=0.0003]",
                          "SILC [optimizer.lr=0.0003]"));
}

TEST_F(ExperimentTest, ABaselineWithItsMatrixValueMakesOneTableOfAllRows) {
  const Experiment experiment = read(kOneRow + R"(
[matrix]
"optimizer.lr" = [1e-3, 3e-4]
[[table]]
name = "rates"
baseline = "CLIP [optimizer.lr=0.001]"
rows = ["CLIP"]
)");
  ASSERT_EQ(experiment.tables.size(), 1u);
  EXPECT_THAT(experiment.tables[0].rows, ElementsAre("CLIP [optimizer.lr=0.001]", "CLIP [optimizer.lr=0.0003]"));
}

TEST_F(ExperimentTest, AFileWithoutTablesGetsOneOfAllMetricsAgainstTheFirstRow) {
  const Experiment experiment = read(kOneRow);
  ASSERT_EQ(experiment.tables.size(), 1u);
  EXPECT_EQ(experiment.tables[0].baseline, "CLIP");
  EXPECT_THAT(experiment.tables[0].columns, IsEmpty());
}

TEST_F(ExperimentTest, RecallMetricsMayHoldAnAt) {
  EXPECT_EQ(faults(kOneRow + R"(
[[evaluate]]
evaluator = "zero_shot_classification"
dataset = "shapes"
[[table]]
name = "t"
columns = ["zero_shot_classification/image_retrieval_recall@5", "zero_shot_classification/recall@5@student"]
)"),
            "");
}

TEST_F(ExperimentTest, SetWinsOverFileRowAndMatrix) {
  const Experiment experiment = read(kOneRow + "optimizer.lr = 0.5\n[matrix]\n\"optimizer.batch\" = [8, 16]\n",
                                     {.sets = {"optimizer.lr=0.25", "optimizer.batch=32"}});
  for (const ResolvedCell& cell : experiment.cells) {
    EXPECT_EQ(cell.optimizer.lr, 0.25);
    EXPECT_EQ(cell.optimizer.batch, 32);
  }
}

TEST_F(ExperimentTest, SetOfAnotherBudgetReplacesTheFiles) {
  const Experiment experiment = read(kOneRow, {.sets = {"budget.flops=1e9"}});
  EXPECT_EQ(experiment.cells[0].budget, (Budget{BudgetUnit::flops, 1e9}));
}

TEST_F(ExperimentTest, SetChangesSeedsAndTitleToo) {
  const Experiment experiment = read(kOneRow, {.sets = {"experiment.seeds=[4, 5]", "experiment.title=\"new\""}});
  EXPECT_THAT(experiment.seeds, ElementsAre(4, 5));
  EXPECT_EQ(experiment.title, "new");
}

TEST_F(ExperimentTest, TheSourceTellsWhatWasSet) {
  EXPECT_EQ(read(kOneRow, {.sets = {"optimizer.lr=0.25"}}).source, kOneRow + "# --set optimizer.lr=0.25\n");
}

TEST_F(ExperimentTest, SeedsOfTheRequestReplaceTheFiles) {
  EXPECT_THAT(read(kFull, {.seeds = {7}}).seeds, ElementsAre(7));
}

TEST_F(ExperimentTest, RowsOfTheRequestKeepTheirMatrix) {
  const Experiment experiment = read(kFull, {.rows = {"SILC"}});
  EXPECT_THAT(experiment.rows, ElementsAre("SILC [optimizer.lr=0.001]", "SILC [optimizer.lr=0.0003]"));
  EXPECT_EQ(experiment.cells.size(), 6u);
}

TEST_F(ExperimentTest, ARowOfTheRequestMayBeOnePointOfTheMatrix) {
  EXPECT_THAT(read(kFull, {.rows = {"SILC [optimizer.lr=0.001]"}}).rows, ElementsAre("SILC [optimizer.lr=0.001]"));
}

TEST_F(ExperimentTest, AnUnknownRowOfTheRequestIsAFault) {
  try {
    read(kFull, {.rows = {"SLIC"}});
    FAIL() << "nothing was thrown";
  } catch (const SpecError& error) {
    EXPECT_STREQ(error.what(), "--rows: there is no row \"SLIC\"; did you mean \"SILC\"?");
  }
}

TEST_F(ExperimentTest, ANegativeSeedOfTheRequestIsAFault) {
  EXPECT_EQ(faults(kOneRow, {.seeds = {-1}}), "seeds must not be negative: -1");
}

TEST_F(ExperimentTest, AFaultOfSetSaysSo) {
  try {
    read(kOneRow, {.sets = {"optimizer.lr=-1", "optimizer.lrr=1"}});
    FAIL() << "nothing was thrown";
  } catch (const SpecError& error) {
    EXPECT_STREQ(error.what(),
                 "--set: optimizer.lr must be a number above 0, not -1\n"
                 "--set: unknown key \"optimizer.lrr\"; did you mean \"optimizer.lr\"?");
  }
}

TEST_F(ExperimentTest, ATextWithoutQuotesInSetIsExplained) {
  EXPECT_EQ(faults(kOneRow, {.sets = {"optimizer.schedule=constant"}}),
            "\"optimizer.schedule=constant\" is not KEY=VALUE with VALUE in TOML; a text needs its quotes, as in "
            "'optimizer.schedule=\"constant\"'");
}

TEST_F(ExperimentTest, SetWithoutAValueIsAFault) {
  EXPECT_EQ(faults(kOneRow, {.sets = {"optimizer.lr"}}), "\"optimizer.lr\" is not KEY=VALUE, as in optimizer.lr=1e-3");
}

TEST_F(ExperimentTest, AFileThatDoesNotExistIsAnErrorThatNamesIt) {
  try {
    read_experiment({.file = "/nowhere/x.toml"}, fake_catalogue());
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nowhere/x.toml"));
  }
}

TEST_F(ExperimentTest, OptionsOfEveryTypeAreReadFromToml) {
  const Experiment experiment = read(kHead + R"(
[[row]]
name = "SILC"
objective = { name = "silc", distillation_weight = 2, distillation = "mse", local_views = 8, local_area = [0, 0.5], normalize_head = false, note = "ä" }
)");
  const auto& values = experiment.cells[0].objective.options.values();
  EXPECT_EQ(values.at("distillation_weight"), OptionValue(2.0));
  EXPECT_EQ(values.at("distillation"), OptionValue(std::string("mse")));
  EXPECT_EQ(values.at("local_views"), OptionValue(int64_t{8}));
  EXPECT_EQ(values.at("local_area"), OptionValue(Pair{0, 0.5}));
  EXPECT_EQ(values.at("normalize_head"), OptionValue(false));
  EXPECT_EQ(values.at("note"), OptionValue(std::string("ä")));
}

TEST(SpecErrorTest, WhatSeveralFaultsSayInFurtherLinesIsSaidOnceBelowThem) {
  const SpecError error({{"a.toml", 1, 2, "there is no objective \"x\"\n  not used: old.so\n  not used: older.so"},
                         {"a.toml", 3, 4, "there is no dataset \"y\"\n  not used: old.so\n  not used: older.so"},
                         {"a.toml", 5, 6, "cannot be read\n  its own detail"}});
  EXPECT_STREQ(error.what(),
               "a.toml:1:2: there is no objective \"x\"\na.toml:3:4: there is no dataset \"y\"\na.toml:5:6: cannot be "
               "read\n  its own detail\n  not used: old.so\n  not used: older.so");
}

}  // namespace
}  // namespace silc
