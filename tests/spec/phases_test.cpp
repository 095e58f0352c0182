// Rows that are trained in phases.
#include <gmock/gmock.h>

#include "spec_testing.h"

namespace silc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PhasesTest : public SpecTest {
 protected:
  static std::vector<std::string> names(const ResolvedCell& cell) {
    std::vector<std::string> names;
    for (const ResolvedCell& phase : phases_of(cell)) names.push_back(phase.row);
    return names;
  }
};

TEST_F(PhasesTest, ARowWithoutPhasesIsOneCellThatStartsFromNothing) {
  const ResolvedCell cell = read(kPhases).cells.at(0);
  EXPECT_THAT(cell.earlier, IsEmpty());
  EXPECT_THAT(phases_of(cell), ElementsAre(cell));
}

TEST_F(PhasesTest, PhasesAreCellsOfWhichTheLastBearsTheRowsName) {
  EXPECT_THAT(names(read(kPhases).cells.at(1)), ElementsAre("SILC* (pretraining)", "SILC*"));
}

TEST_F(PhasesTest, APhaseLaysItsSettingsOverTheRows) {
  const ResolvedCell cell = read(kPhases).cells.at(1);
  const ResolvedCell& first = cell.earlier.at(0);
  EXPECT_EQ(first.budget.amount, 40'000);
  EXPECT_EQ(cell.budget.amount, 10'000);
  EXPECT_EQ(first.optimizer.lr, OptimizerSettings().lr);
  EXPECT_EQ(cell.optimizer.lr, 1e-4);
  EXPECT_EQ(cell.train.dataset.options.values().at("pictures"), OptionValue(int64_t{100}));
  EXPECT_EQ(first.objective, cell.objective);
}

TEST_F(PhasesTest, APhaseStartsFromTheOneBeforeAndReadsWordsAsTheFirstDid) {
  const std::vector<ResolvedCell> phases = phases_of(read(kPhases).cells.at(1));
  EXPECT_EQ(phases[0].start, Start());
  EXPECT_EQ(phases[1].start.cell, cell_id(phases[0]));
  EXPECT_EQ("test/" + phases[1].start.folder, run_folder(phases[0]).string());
  EXPECT_EQ(phases[1].start.captions, phases[0].train);
}

TEST_F(PhasesTest, AFirstPhaseThatNamesARowIsThatRowsCell) {
  const Experiment experiment = read(kPhases);
  const std::vector<ResolvedCell> phases = phases_of(experiment.cells.at(2));
  ASSERT_THAT(names(experiment.cells.at(2)), ElementsAre("CLIP", "late SILC"));
  EXPECT_EQ(phases[0], experiment.cells.at(0));
  EXPECT_EQ(phases[1].objective.name, "silc");
  EXPECT_EQ(phases[1].budget.amount, 8'000);
}

TEST_F(PhasesTest, TheRowsOfAChainAreAllTrained) {
  const std::string text = kPhases + R"(
[[row]]
name = "last"
objective = "clip"
[[row.phase]]
row = "late SILC"
[[row.phase]]
)";
  EXPECT_THAT(names(read(text).cells.at(3)), ElementsAre("CLIP", "late SILC", "last"));
}

TEST_F(PhasesTest, ARowWithoutPhasesOfItsOwnHasThoseOfItsBase) {
  const Experiment experiment = read(kPhases + "[[row]]\nname = \"again\"\nbase = \"SILC*\"\noptimizer.batch = 16\n");
  EXPECT_THAT(names(experiment.cells.at(3)), ElementsAre("again (pretraining)", "again"));
  EXPECT_EQ(experiment.cells.at(3).earlier.at(0).optimizer.batch, 16);
}

TEST_F(PhasesTest, MatrixAndSetWinOverEveryPhase) {
  const std::string text = kPhases + "\n[matrix]\n\"optimizer.lr\" = [1e-3, 3e-4]\n";
  const ResolvedCell cell = read(text, {.sets = {"optimizer.batch=8"}}).cells.at(5);
  EXPECT_THAT(names(cell), ElementsAre("CLIP [optimizer.lr=0.0003]", "late SILC [optimizer.lr=0.0003]"));
  for (const ResolvedCell& phase : phases_of(cell)) {
    EXPECT_EQ(phase.optimizer.lr, 3e-4);
    EXPECT_EQ(phase.optimizer.batch, 8);
  }
}

TEST_F(PhasesTest, ALaterPhaseIsReadBackAsItWasWritten) {
  const ResolvedCell cell = phases_of(read(kPhases).cells.at(1)).back();
  const auto file = folder_ / "cell.toml";
  std::ofstream(file) << write_cell(cell);
  EXPECT_EQ(read_cell(file, fake_catalogue()), cell);
}

TEST_F(PhasesTest, WhatAPhaseStartsFromIsPartOfItsIdentityAndWhereThatLiesIsNot) {
  ResolvedCell cell = phases_of(read(kPhases).cells.at(1)).back();
  const std::string id = cell_id(cell);
  cell.start.folder = "elsewhere/seed-0-000000000000";
  EXPECT_EQ(cell_id(cell), id);
  cell.start.cell = "000000000000";
  EXPECT_NE(cell_id(cell), id);
}

TEST_F(PhasesTest, EveryPhaseDrawsOtherRandomNumbers) {
  const std::vector<ResolvedCell> phases = phases_of(read(kPhases).cells.at(1));
  EXPECT_EQ(training_seed(phases[0]), 0u);
  EXPECT_NE(training_seed(phases[1]), training_seed(phases[0]));
}

TEST_F(PhasesTest, AStarInANameIsKeptInItsFolder) {
  EXPECT_EQ(path_name("SILC*"), "silc-star");
  EXPECT_EQ(path_name("SILC* (phase 1)"), "silc-star-phase-1");
}

TEST_F(PhasesTest, RowsThatGoRoundInACircleAreRefused) {
  const std::string text = kHead + R"(
[[row]]
name = "one"
objective = "clip"
[[row.phase]]
row = "two"
[[row.phase]]

[[row]]
name = "two"
objective = "clip"
[[row.phase]]
row = "one"
[[row.phase]]
)";
  EXPECT_THAT(faults(text), HasSubstr("rows go round in a circle: \"one\" is trained before itself"));
}

TEST_F(PhasesTest, AnotherModelIsRefused) {
  const std::string text = kOneRow + R"(
[[row]]
name = "wide"
objective = "clip"
model.image.width = 64
[[row.phase]]
row = "CLIP"
[[row.phase]]
)";
  EXPECT_EQ(faults(text),
            "row \"wide\" starts from row \"CLIP\", which has another model; all phases of a row have the same");
}

}  // namespace
}  // namespace silc
