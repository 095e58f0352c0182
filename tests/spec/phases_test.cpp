// Rows that are trained in phases.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "spec_testing.h"

namespace silc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

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

// A file beside the experiment's, with rows to start from.
class ElsewhereTest : public PhasesTest {
 protected:
  ElsewhereTest() { std::ofstream(folder_ / "pretraining.toml") << kPretraining; }

  static std::string starting_from(const std::string& row, const std::string& file = "pretraining.toml") {
    return kHead + "[[row]]\nname = \"LiT\"\nobjective = \"siglip\"\n[[row.phase]]\nexperiment = \"" + file +
           "\"\nrow = \"" + row + "\"\n[[row.phase]]\nbudget.examples = 500\n";
  }

  static inline const std::string kPretraining = R"([experiment]
name = "pretraining"
seeds = [0]

[budget]
examples = 70_000

[data]
train = "shapes"

[[evaluate]]
evaluator = "zero_shot_classification"
dataset = "shapes"

[[row]]
name = "CLIP"
objective = "clip"

[[row]]
name = "twice"
objective = "silc"
[[row.phase]]
row = "CLIP"
[[row.phase]]
)";
};

TEST_F(ElsewhereTest, AFirstPhaseMayBeARowOfAnotherFile) {
  const ResolvedCell cell = read(starting_from("CLIP")).cells.at(0);
  const std::vector<ResolvedCell> phases = phases_of(cell);
  ASSERT_THAT(names(cell), ElementsAre("CLIP", "LiT"));
  EXPECT_EQ(phases[0].experiment, "pretraining");
  EXPECT_EQ(phases[0].budget.amount, 70'000);
  EXPECT_THAT(phases[0].evaluations, SizeIs(1));
  EXPECT_TRUE(phases[0].elsewhere);
  EXPECT_FALSE(phases[1].elsewhere);
  EXPECT_THAT(phases[1].evaluations, IsEmpty());
  EXPECT_EQ(row_label(phases[0]), "CLIP of pretraining");
  EXPECT_EQ(phases[1].start.captions, phases[0].train);
}

TEST_F(ElsewhereTest, ItIsTheVeryCellThatTheOtherFileTrains) {
  const Experiment there = read_experiment({.file = folder_ / "pretraining.toml"}, fake_catalogue());
  const std::vector<ResolvedCell> here = phases_of(read(starting_from("twice")).cells.at(0));
  ASSERT_THAT(names(read(starting_from("twice")).cells.at(0)), ElementsAre("CLIP", "twice", "LiT"));
  EXPECT_EQ(cell_id(here[0]), cell_id(there.cells.at(0)));
  EXPECT_EQ(cell_id(here[1]), cell_id(phases_of(there.cells.at(1)).back()));
  EXPECT_EQ(run_folder(here[1]), run_folder(phases_of(there.cells.at(1)).back()));
}

TEST_F(ElsewhereTest, ItsFolderIsTheOtherExperiments) {
  const std::vector<ResolvedCell> phases = phases_of(read(starting_from("CLIP")).cells.at(0));
  EXPECT_EQ(("test" / std::filesystem::path(phases[1].start.folder)).lexically_normal(), run_folder(phases[0]));
  EXPECT_EQ(*run_folder(phases[0]).begin(), "pretraining");
}

TEST_F(ElsewhereTest, ItHasTheSeedsOfTheFileThatAsks) {
  const Experiment experiment = read(starting_from("CLIP"), {.seeds = {3, 4}});
  EXPECT_EQ(experiment.cells.at(1).earlier.at(0).seed, 4);
}

TEST_F(ElsewhereTest, SetDoesNotChangeIt) {
  const ResolvedCell cell = read(starting_from("CLIP"), {.sets = {"optimizer.batch=8"}}).cells.at(0);
  EXPECT_EQ(cell.optimizer.batch, 8);
  EXPECT_EQ(cell.earlier.at(0).optimizer.batch, OptimizerSettings().batch);
}

TEST_F(ElsewhereTest, AnUnknownRowIsRefusedWithTheNearestName) {
  EXPECT_THAT(faults(starting_from("CLIPP")),
              HasSubstr("there is no row \"CLIPP\" in pretraining.toml; did you mean \"CLIP\"?"));
}

TEST_F(ElsewhereTest, AFileThatIsNotThereIsRefused) {
  EXPECT_THAT(faults(starting_from("CLIP", "nowhere.toml")), HasSubstr("nowhere.toml"));
}

TEST_F(ElsewhereTest, FaultsOfTheOtherFileAreToldWithTheirPlace) {
  std::ofstream(folder_ / "pretraining.toml") << kPretraining << "\n[tabel]\n";
  try {
    read(starting_from("CLIP"));
    FAIL() << "no fault";
  } catch (const SpecError& error) {
    EXPECT_THAT(error.what(), HasSubstr("pretraining.toml:"));
    EXPECT_THAT(error.what(), HasSubstr("tabel"));
  }
}

TEST_F(ElsewhereTest, TheFileItselfIsRefused) {
  EXPECT_THAT(faults(starting_from("CLIP", "experiment.toml")),
              HasSubstr("this is the file itself; leave experiment out to name one of its rows"));
}

TEST_F(ElsewhereTest, FilesThatNeedEachOtherAreRefused) {
  std::ofstream(folder_ / "pretraining.toml") << starting_from("LiT", "experiment.toml");
  EXPECT_THAT(faults(starting_from("LiT")), HasSubstr("experiments go round in a circle"));
}

TEST_F(ElsewhereTest, AnotherModelIsRefused) {
  EXPECT_THAT(faults(starting_from("CLIP") + "[model]\nembed_dim = 64\n"), HasSubstr("which has another model"));
}

TEST_F(ElsewhereTest, AnExperimentWithoutARowIsRefused) {
  const std::string text = kHead +
                           "[[row]]\nname = \"LiT\"\nobjective = \"clip\"\n[[row.phase]]\nexperiment = "
                           "\"pretraining.toml\"\n[[row.phase]]\n";
  EXPECT_THAT(faults(text), HasSubstr("which row of pretraining.toml this phase is must be said too: row = \"…\""));
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
