// [search]: what is tuned, and that it never sees test data.
#include <gmock/gmock.h>

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "spec_testing.h"

namespace silc {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::DoubleEq;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const std::string kEvaluations = R"(
[[evaluate]]
name = "seen"
evaluator = "zero_shot_classification"
dataset = "fashion_scenes"

[[evaluate]]
evaluator = "zero_shot_segmentation"
dataset = "fashion_scenes"
)";

const std::string kRows = R"(
[[row]]
name = "CLIP"
objective = "clip"

[[row]]
name = "SILC"
objective = "silc"
[row.search]
space = { "objective.distillation_weight" = { range = [0.1, 2.0] } }
)";

const std::string kSearch = R"(
[search]
trials = 8
metric = "seen/acc1"
budget = 0.5
[search.space]
"optimizer.lr" = { log = [1e-4, 1e-2] }
optimizer.weight_decay = { choice = [0.01, 0.1] }
)";

const std::string kTuned = kHead + kEvaluations + kSearch + kRows;

class SearchTest : public SpecTest {
 protected:
  static std::string with(std::string text, const std::string& before, const std::string& after) {
    const std::size_t at = text.find(before);
    EXPECT_NE(at, std::string::npos) << before;
    return text.replace(at, before.size(), after);
  }

  static const SearchedRow& row(const Experiment& experiment, const std::string& name) {
    for (const SearchedRow& each : experiment.search->searched)
      if (each.row == name) return each;
    throw std::runtime_error("no searched row " + name);
  }

  static std::vector<double> values(const SearchedRow& row, const std::string& key) {
    std::vector<double> values;
    for (std::size_t i = 0; i < row.space.size(); ++i)
      if (row.space[i].key == key)
        for (const SearchPoint& point : row.points) values.push_back(std::get<double>(point[i].value));
    return values;
  }
};

TEST_F(SearchTest, ATrialIsTheRowWithThePointsValuesForAPartOfItsBudget) {
  const Experiment experiment = read(kTuned);
  const SearchedRow& silc = row(experiment, "SILC");
  const auto trials = trial_cells(*experiment.search, silc);
  ASSERT_THAT(trials, SizeIs(8));
  const ResolvedCell& trial = trials.at(3);
  EXPECT_EQ(trial.optimizer.lr, values(silc, "optimizer.lr")[3]);
  EXPECT_EQ(trial.optimizer.weight_decay, values(silc, "optimizer.weight_decay")[3]);
  EXPECT_EQ(trial.objective.options.values().at("distillation_weight"),
            OptionValue(values(silc, "objective.distillation_weight")[3]));
  EXPECT_EQ(trial.budget.amount, 20'000);
  EXPECT_EQ(trial.trial, 3);
  EXPECT_EQ(run_folder(trial).parent_path(), "test/silc");
  EXPECT_THAT(run_folder(trial).filename(),
              testing::ResultOf([](const auto& path) { return path.string(); }, testing::StartsWith("trial-3-")));
}

TEST_F(SearchTest, NoTrialNamesASplitThatAnEvaluationIsMadeOn) {
  const Experiment experiment = read(kTuned);
  for (const SearchedRow& row : experiment.search->searched)
    for (const auto& [number, trial] : trial_cells(*experiment.search, row)) {
      const std::string file = write_cell(trial);
      EXPECT_THAT(file, AllOf(Not(HasSubstr("split = \"test\"")), HasSubstr("split = \"validation\"")));
      ASSERT_THAT(trial.evaluations, SizeIs(1));
      EXPECT_EQ(trial.evaluations[0].name, "seen");
      EXPECT_EQ(trial.evaluations[0].data.fingerprint, "");
    }
}

TEST_F(SearchTest, EarlierPhasesOfATrialAreNotEvaluatedAtAll) {
  const std::string phases = R"(
[[row]]
name = "two"
objective = "clip"
[[row.phase]]
budget.examples = 4000
[[row.phase]]
budget.examples = 2000
)";
  const Experiment experiment = read(kTuned + phases);
  const ResolvedCell trial = trial_cells(*experiment.search, row(experiment, "two")).at(0);
  ASSERT_THAT(trial.earlier, SizeIs(1));
  EXPECT_THAT(trial.earlier[0].evaluations, IsEmpty());
  EXPECT_EQ(trial.earlier[0].budget.amount, 2000);
  EXPECT_EQ(trial.budget.amount, 1000);
}

TEST_F(SearchTest, TrialsAreTrainedWithASeedThatIsNoneOfTheExperiments) {
  const Experiment experiment = read(kTuned);
  const auto seed = trial_cells(*experiment.search, row(experiment, "CLIP")).at(0).seed;
  EXPECT_THAT(experiment.seeds, Not(Contains(seed)));
  EXPECT_THAT(faults(with(kTuned, "name = \"test\"", "name = \"test\"\nseeds = [1000000]")),
              HasSubstr("1000000 is the seed of the search's trials"));
}

TEST_F(SearchTest, RowsHaveTheSameValuesInTheDimensionsThatTheyShare) {
  const Experiment experiment = read(kTuned);
  EXPECT_EQ(values(row(experiment, "CLIP"), "optimizer.lr"), values(row(experiment, "SILC"), "optimizer.lr"));
  EXPECT_THAT(row(experiment, "CLIP").space, SizeIs(2));
  EXPECT_THAT(row(experiment, "SILC").space, SizeIs(3));
  EXPECT_THAT(row(experiment, "SILC").points, SizeIs(8));
}

TEST_F(SearchTest, MoreTrialsLeaveTheFirstAsTheyAre) {
  const auto few = values(row(read(kTuned), "SILC"), "objective.distillation_weight");
  const auto many =
      values(row(read(with(kTuned, "trials = 8", "trials = 20")), "SILC"), "objective.distillation_weight");
  ASSERT_THAT(many, SizeIs(20));
  EXPECT_EQ(few, std::vector<double>(many.begin(), many.begin() + 8));
}

TEST_F(SearchTest, AnotherSeedOfTheSearchGivesOtherPoints) {
  EXPECT_NE(values(row(read(kTuned), "CLIP"), "optimizer.lr"),
            values(row(read(with(kTuned, "trials = 8", "trials = 8\nseed = 1")), "CLIP"), "optimizer.lr"));
}

TEST_F(SearchTest, TunedRowsHaveNoCellsUntilTheirSearchHasChosen) {
  Experiment experiment = read(kTuned);
  EXPECT_THAT(experiment.cells, IsEmpty());
  choose(experiment, {{"SILC", 5}});
  ASSERT_THAT(experiment.cells, SizeIs(1));
  EXPECT_EQ(experiment.cells[0].row, "SILC");
  choose(experiment, {{"SILC", 5}, {"CLIP", 2}});
  ASSERT_THAT(experiment.cells, SizeIs(2));
  EXPECT_EQ(experiment.cells[0].row, "CLIP");
  EXPECT_EQ(experiment.cells[0].optimizer.lr, values(row(experiment, "CLIP"), "optimizer.lr")[2]);
  EXPECT_THAT(experiment.cells[0].evaluations, SizeIs(2));
  EXPECT_EQ(experiment.cells[0].evaluations[0].data.split, "test");
  EXPECT_EQ(experiment.cells[0].budget.amount, 40'000);
}

TEST_F(SearchTest, ARowTunedToValuesIsTheCellOfARowThatIsWrittenWithThem) {
  Experiment experiment = read(kTuned);
  choose(experiment, {{"CLIP", 2}});
  const double lr = experiment.cells.at(0).optimizer.lr;
  const double decay = experiment.cells.at(0).optimizer.weight_decay;
  const std::string written = fmt::format(
      "\n[[row]]\nname = \"CLIP\"\nobjective = \"clip\"\noptimizer.lr = {}\n"
      "optimizer.weight_decay = {}\n",
      lr, decay);
  EXPECT_EQ(cell_id(read(kHead + kEvaluations + written).cells.at(0)), cell_id(experiment.cells[0]));
}

TEST_F(SearchTest, ARowKeepsItsSettingsWhereItsSearchIsFalse) {
  const Experiment experiment =
      read(kTuned + "\n[[row]]\nname = \"as it is\"\nobjective = \"siglip\"\nsearch = false\n");
  ASSERT_THAT(experiment.cells, SizeIs(1));
  EXPECT_EQ(experiment.cells[0].row, "as it is");
}

TEST_F(SearchTest, ARowTakesTheValuesOfTheRowThatItNames) {
  Experiment experiment = read(kTuned + "\n[[row]]\nname = \"SigLIP\"\nobjective = \"siglip\"\nsearch = \"CLIP\"\n");
  EXPECT_THAT(experiment.search->searched, SizeIs(2));
  choose(experiment, {{"CLIP", 4}});
  ASSERT_THAT(experiment.cells, SizeIs(2));
  EXPECT_EQ(experiment.cells[1].row, "SigLIP");
  EXPECT_EQ(experiment.cells[1].optimizer.lr, experiment.cells[0].optimizer.lr);
}

TEST_F(SearchTest, ARowThatStartsFromATunedOneWaitsForItsSearch) {
  Experiment experiment = read(kTuned + R"(
[[row]]
name = "late"
objective = "clip"
search = false
[[row.phase]]
row = "SILC"
[[row.phase]]
budget.examples = 8000
)");
  EXPECT_THAT(experiment.cells, IsEmpty());
  choose(experiment, {{"SILC", 1}});
  ASSERT_THAT(experiment.cells, SizeIs(2));
  EXPECT_EQ(experiment.cells[1].row, "late");
  EXPECT_EQ(phases_of(experiment.cells[1]).front(), experiment.cells[0]);
}

// A row that starts from another one, and what it says of its search.
std::string starting_from(const std::string& row, const std::string& search = "") {
  return "\n[[row]]\nname = \"late\"\nobjective = \"clip\"\n" + search + "\n[[row.phase]]\nrow = \"" + row +
         "\"\n[[row.phase]]\nbudget.examples = 8000\n";
}

TEST_F(SearchTest, TrialsOfARowThatStartsFromATunedOneGoOnFromItsChosenTrial) {
  const Experiment experiment = read(kTuned + starting_from("SILC"));
  const Search& search = *experiment.search;
  EXPECT_THAT(before_trials(search, "late"), ElementsAre("SILC"));
  TrialCells trials;
  for (const SearchedRow& each : search.searched) trials[each.row] = trial_cells(search, each);
  EXPECT_THAT(trials.at("late").at(2).earlier, IsEmpty());
  const std::vector<ResolvedCell> start = start_of_trials(search, "late", trials, {{"SILC", 5}});
  ASSERT_THAT(start, SizeIs(1));
  EXPECT_EQ(start[0], trials.at("SILC").at(5)) << "trained once, whichever row asks for it";
  const ResolvedCell& trial = trials.at("late").at(2);
  EXPECT_EQ(trial.budget.amount, 4000);
  EXPECT_EQ(trial.seed, start[0].seed);
}

TEST_F(SearchTest, ARowThatStartsFromATunedOneIsWhatBothSearchesChoose) {
  Experiment experiment = read(kTuned + starting_from("SILC"));
  choose(experiment, {{"late", 3}});
  EXPECT_THAT(experiment.cells, IsEmpty());
  choose(experiment, {{"late", 3}, {"SILC", 1}});
  ASSERT_THAT(experiment.cells, SizeIs(2));
  const ResolvedCell& late = experiment.cells[1];
  EXPECT_EQ(late.optimizer.lr, values(row(experiment, "late"), "optimizer.lr")[3]);
  EXPECT_EQ(phases_of(late).front(), experiment.cells[0]);
  EXPECT_EQ(experiment.cells[0].optimizer.lr, values(row(experiment, "SILC"), "optimizer.lr")[1]);
}

TEST_F(SearchTest, TrialsOfARowThatStartsFromOneAsWrittenShareWhatTheyStartFrom) {
  const std::string fixed = "\n[[row]]\nname = \"as it is\"\nobjective = \"siglip\"\nsearch = false\n";
  const Experiment experiment = read(kTuned + fixed + starting_from("as it is"));
  EXPECT_THAT(before_trials(*experiment.search, "late"), IsEmpty());
  const auto trials = trial_cells(*experiment.search, row(experiment, "late"));
  ASSERT_THAT(trials.at(4).earlier, SizeIs(1));
  EXPECT_EQ(trials.at(4).earlier[0], trials.at(0).earlier[0]);
  EXPECT_EQ(trials.at(4).earlier[0].budget.amount, 20'000);
  EXPECT_EQ(trials.at(4).earlier[0].seed, trials.at(4).seed);
  EXPECT_THAT(trials.at(4).earlier[0].evaluations, IsEmpty());
}

TEST_F(SearchTest, TrialsOfARowThatStartsFromAnotherExperimentsTrainThatOneForThemselves) {
  std::ofstream(folder_ / "before.toml") << with(kOneRow, "name = \"test\"", "name = \"before\"");
  const Experiment experiment =
      read(kTuned + with(starting_from("CLIP"), "row = \"CLIP\"\n", "row = \"CLIP\"\nexperiment = \"before.toml\"\n"));
  const auto trials = trial_cells(*experiment.search, row(experiment, "late"));
  ASSERT_THAT(trials.at(1).earlier, SizeIs(1));
  const ResolvedCell& start = trials.at(1).earlier[0];
  EXPECT_FALSE(start.elsewhere);
  EXPECT_EQ(run_folder(start).parent_path(), "test/clip-of-before");
  EXPECT_EQ(start.budget.amount, 20'000);
  EXPECT_EQ(start.seed, trials.at(1).seed);
}

TEST_F(SearchTest, ARowThatStartsFromAnotherMayTakeItsValuesElsewhere) {
  Experiment experiment = read(kTuned + starting_from("SILC", "search = \"CLIP\""));
  choose(experiment, {{"CLIP", 2}, {"SILC", 1}});
  ASSERT_THAT(experiment.cells, SizeIs(3));
  EXPECT_EQ(experiment.cells[2].optimizer.lr, values(row(experiment, "CLIP"), "optimizer.lr")[2]);
}

TEST_F(SearchTest, RefusesASearchThatNeedsItsOwnChoiceFirst) {
  EXPECT_THAT(faults(kTuned + "\n[[row]]\nname = \"first\"\nobjective = \"clip\"\nsearch = \"late\"\n" +
                     starting_from("first")),
              HasSubstr("row \"late\" starts from \"first\", which takes its values from a search that needs those of "
                        "\"late\" first"));
}

TEST_F(SearchTest, RefusesAModelThatOneOfTwoSearchesWouldChoose) {
  const std::string model =
      with(kTuned, "\"optimizer.lr\" = { log = [1e-4, 1e-2] }", "\"model.embed_dim\" = { choice = [64, 128] }");
  EXPECT_THAT(
      faults(model + starting_from("SILC", "search = \"CLIP\"")),
      HasSubstr("starts from \"SILC\", for which \"model.embed_dim\" is tuned, and all phases of a row have the "
                "same model; search = \"SILC\" takes what is chosen there"));
  EXPECT_EQ(faults(model + starting_from("CLIP", "search = \"CLIP\"")), "");
}

const std::string kTwoPhases = R"(
[[row]]
name = "two"
objective = "clip"
[[row.phase]]
budget.examples = 4000
[[row.phase]]
budget.examples = 2000
)";

TEST_F(SearchTest, RungsOfAPhasedRowArePartsOfAllItsPhases) {
  const std::string halving = with(kTuned, "trials = 8", "trials = 8\nmethod = \"halving\"");
  const Experiment experiment = read(halving + kTwoPhases);
  const ResolvedCell trial = trial_cells(*experiment.search, row(experiment, "two")).at(0);
  const std::vector<double> parts = parts_of(trial, 0);
  EXPECT_THAT(parts, ElementsAre(DoubleEq(2.0 / 3), DoubleEq(1.0 / 3)));
  const auto rungs = rung_places(experiment.search->settings, parts);
  ASSERT_THAT(rungs, SizeIs(3));
  EXPECT_EQ(rungs[0].phase, 0U);
  EXPECT_DOUBLE_EQ(rungs[0].fraction, 1.0 / 6);
  EXPECT_EQ(rungs[1].phase, 0U);
  EXPECT_DOUBLE_EQ(rungs[1].fraction, 0.5);
  EXPECT_EQ(rungs[2], (RungPlace{1, 1}));
  ASSERT_THAT(trial.earlier[0].evaluations, SizeIs(1));
  EXPECT_EQ(trial.earlier[0].evaluations[0].data.split, "validation");
}

TEST_F(SearchTest, ARungAtTheEndOfAPhaseIsItsEnd) {
  SearchSettings search;
  search.method = SearchMethod::halving;
  EXPECT_THAT(rung_places(search, {1.0 / 3, 2.0 / 3}),
              ElementsAre(RungPlace{0, 1.0 / 3}, RungPlace{0, 1}, RungPlace{1, 1}));
  search.method = SearchMethod::random;
  EXPECT_THAT(rung_places(search, {0.5, 0.5}), ElementsAre(RungPlace{1, 1}));
}

TEST_F(SearchTest, RefusesARungBeforeTheFirstUpdate) {
  EXPECT_THAT(
      faults(with(kTuned, "trials = 8", "trials = 8\nmethod = \"halving\"\nrungs = 6")),
      HasSubstr("row \"CLIP\" would have its trials compared after 82.3 examples already: less than one update of "
                "128; fewer rungs or a larger budget are needed"));
}

TEST_F(SearchTest, RefusesHalvingWherePhasesHaveNoCommonUnit) {
  const std::string halving = with(kTuned, "trials = 8", "trials = 8\nmethod = \"halving\"");
  EXPECT_THAT(faults(halving + with(kTwoPhases, "budget.examples = 2000", "budget = { flops = 1e12 }")),
              HasSubstr("row \"two\" has phases with budgets of different units"));
}

TEST_F(SearchTest, ARowLeavesADimensionOutByFalseAndInheritsTheSpaceOfItsBase) {
  const Experiment experiment = read(kTuned + R"(
[[row]]
name = "SILC-S"
base = "SILC"
[row.search]
space = { "optimizer.weight_decay" = false }
)");
  std::vector<std::string> keys;
  for (const Dimension& dimension : row(experiment, "SILC-S").space) keys.push_back(dimension.key);
  EXPECT_THAT(keys, ElementsAre("optimizer.lr", "objective.distillation_weight"));
}

TEST_F(SearchTest, WholeNumbersStayWhole) {
  const Experiment experiment = read(
      with(kTuned, "optimizer.weight_decay = { choice = [0.01, 0.1] }", "\"optimizer.batch\" = { log = [16, 256] }"));
  std::set<int64_t> batches;
  for (const auto& [number, trial] : trial_cells(*experiment.search, row(experiment, "CLIP"))) {
    EXPECT_GE(trial.optimizer.batch, 16);
    EXPECT_LE(trial.optimizer.batch, 256);
    batches.insert(trial.optimizer.batch);
  }
  EXPECT_GE(batches.size(), 6U);
}

TEST_F(SearchTest, AGridIsEveryCombinationWithTheLastFastest) {
  const std::string grid =
      with(with(with(kTuned, "trials = 8", "method = \"grid\""), "log = [1e-4, 1e-2]", "log = [1e-4, 1e-2], steps = 3"),
           "range = [0.1, 2.0]", "range = [0.1, 2.0], steps = 2");
  const Experiment experiment = read(grid);
  EXPECT_THAT(values(row(experiment, "CLIP"), "optimizer.lr"), ElementsAre(1e-4, 1e-4, 1e-3, 1e-3, 1e-2, 1e-2));
  EXPECT_THAT(values(row(experiment, "CLIP"), "optimizer.weight_decay"), ElementsAre(0.01, 0.1, 0.01, 0.1, 0.01, 0.1));
  EXPECT_THAT(row(experiment, "SILC").points, SizeIs(12));
  EXPECT_THAT(faults(with(grid, "method = \"grid\"", "method = \"grid\"\ntrials = 6")),
              HasSubstr("the grid of row \"SILC\" has 12 points, and 6 trials are what each row gets"));
}

TEST_F(SearchTest, FewValuesGiveAlikeTrialsOfWhichOneIsTrained) {
  const Experiment experiment = read(kHead + kEvaluations + R"(
[search]
trials = 8
metric = "seen/acc1"
space = { "optimizer.weight_decay" = { choice = [0.01, 0.1] } }

[[row]]
name = "CLIP"
objective = "clip"
)");
  EXPECT_THAT(row(experiment, "CLIP").points, SizeIs(8));
  EXPECT_THAT(trial_cells(*experiment.search, row(experiment, "CLIP")), SizeIs(2));
}

TEST_F(SearchTest, TheMatrixGivesEachOfItsRowsASearch) {
  const Experiment experiment = read(kTuned + "\n[matrix]\n\"optimizer.batch\" = [64, 128]\n");
  EXPECT_THAT(experiment.search->searched, SizeIs(4));
  EXPECT_THAT(faults(kTuned + "\n[matrix]\n\"optimizer.lr\" = [1e-3, 1e-4]\n"),
              HasSubstr("\"optimizer.lr\" cannot be tuned, as the matrix says what it is"));
  EXPECT_THAT(faults(kTuned, {.sets = {"optimizer.lr=1e-3"}}),
              HasSubstr("\"optimizer.lr\" cannot be tuned, as --set says what it is"));
}

TEST_F(SearchTest, RefusesASplitThatIsEvaluatedOrTrainedOn) {
  EXPECT_THAT(faults(with(kTuned, "budget = 0.5", "split = \"test\"")),
              HasSubstr("search.split: \"test\" is what evaluation \"seen\" measures the chosen settings on"));
  EXPECT_THAT(faults(with(kTuned, "budget = 0.5", "split = \"train\"")),
              HasSubstr("search.split: \"train\" is what row \"CLIP\" trains on"));
}

TEST_F(SearchTest, RefusesASpaceThatLeavesAnOptionsRange) {
  EXPECT_EQ(faults(with(kTuned, "range = [0.1, 2.0]", "range = [0.1, 20.0]")),
            "objective \"silc\": distillation_weight must be a number from 0 to 10, not 20.0");
  EXPECT_EQ(faults(with(kTuned, "choice = [0.01, 0.1]", "choice = [0.01, -1]")),
            "optimizer.weight_decay must be a number of at least 0, not -1");
  EXPECT_EQ(
      faults(with(kTuned, "\"optimizer.lr\" = { log = [1e-4, 1e-2] }", "\"optimizer.beta1\" = { range = [0.5, 1.5] }")),
      "optimizer.beta1 must be a number of at least 0 and below 1, not 1.5")
      << "of every row, and not again for each of its trials";
  EXPECT_THAT(faults(with(kTuned, "objective.distillation_weight", "objective.weihgt")),
              HasSubstr("objective \"silc\" has no option \"weihgt\""));
}

TEST_F(SearchTest, RefusesWhatWouldNotBeTheSameEffortOrNoSetting) {
  const auto tuning = [&](const std::string& key) { return faults(with(kTuned, "optimizer.lr", key)); };
  EXPECT_THAT(tuning("budget.examples"), HasSubstr("trials of different budget are not the same effort"));
  EXPECT_THAT(tuning("optimiser.lr"), HasSubstr("is no setting of a row; did you mean \"optimizer\"?"));
}

TEST_F(SearchTest, RefusesAMetricThatNoEvaluationGives) {
  EXPECT_THAT(faults(with(kTuned, "\"seen/acc1\"", "\"sen/acc1\"")),
              HasSubstr("search.metric \"sen/acc1\": no [[evaluate]] is named \"sen\"; did you mean \"seen\"?"));
  EXPECT_THAT(faults(with(kTuned, "\"seen/acc1\"", "\"acc1\"")), HasSubstr("must look like \"evaluation/metric\""));
  EXPECT_THAT(faults(with(kTuned, "\"seen/acc1\"", "\"seen/acc1@teacher\"")),
              HasSubstr("row \"CLIP\" does not evaluate the teacher, by which the search chooses"));
  EXPECT_THAT(faults(with(kTuned, "metric = \"seen/acc1\"\n", "")), HasSubstr("[search] has no metric to choose by"));
}

TEST_F(SearchTest, RefusesAnEffortThatIsNotSaidOrSaidTwice) {
  EXPECT_THAT(faults(with(kTuned, "trials = 8\n", "")), HasSubstr("does not say how much effort each row gets"));
  EXPECT_THAT(faults(with(kTuned, "trials = 8", "trials = 8\nflops = 1e12")), HasSubstr("is one too many"));
}

TEST_F(SearchTest, RefusesRowsThatCannotBeTuned) {
  EXPECT_THAT(faults(kTuned + "\n[[row]]\nname = \"X\"\nobjective = \"clip\"\nsearch = \"SLIC\"\n"),
              HasSubstr("there is no row \"SLIC\" with a search of its own, whose values this row could take; did you "
                        "mean \"SILC\"?"));
  EXPECT_THAT(faults(with(kTuned, "budget = 0.5", "budget = 0.001")), HasSubstr("less than one update of 128"));
  EXPECT_THAT(faults(kHead + kEvaluations + kRows), HasSubstr("there is no [search] that this could be part of"));
}

TEST_F(SearchTest, RowsThatAreAskedForBringTheSearchThatTheyNeed) {
  const std::string text = kTuned + "\n[[row]]\nname = \"SigLIP\"\nobjective = \"siglip\"\nsearch = \"CLIP\"\n";
  Experiment experiment = read(text, {.rows = {"SigLIP"}});
  ASSERT_THAT(experiment.search->searched, SizeIs(1));
  EXPECT_EQ(experiment.search->searched[0].row, "CLIP");
  choose(experiment, {{"CLIP", 0}});
  ASSERT_THAT(experiment.cells, SizeIs(1));
  EXPECT_EQ(experiment.cells[0].row, "SigLIP");
}

TEST_F(SearchTest, ATrialsFileReadsBackAsTheTrial) {
  const Experiment experiment = read(kTuned);
  const ResolvedCell trial = trial_cells(*experiment.search, row(experiment, "SILC")).at(6);
  EXPECT_EQ(parse_cell(write_cell(trial), "cell.toml", fake_catalogue()), trial);
}

TEST_F(SearchTest, FaultsOfATrialsEvaluationStandWhereTheFileHasIt) {
  const std::string other =
      "\n[[evaluate]]\nname = \"first\"\nevaluator = \"zero_shot_classification\"\ndataset = "
      "\"fashion_scenes\"\n";
  const Experiment experiment = read(kHead + other + kEvaluations + kSearch + kRows);
  const ResolvedCell trial = trial_cells(*experiment.search, row(experiment, "CLIP")).at(0);
  EXPECT_EQ(place_of(experiment, trial, "evaluate.0.dataset", "").line, 18U);
}

TEST_F(SearchTest, AColumnOfTheSearchsCostNeedsASearch) {
  const std::string table = "\n[[table]]\nname = \"t\"\ncolumns = [\"search/flops\", \"search/core_seconds\"]\n";
  EXPECT_EQ(faults(kTuned + table), "");
  EXPECT_THAT(faults(kOneRow + table), HasSubstr("there is no [search] that could cost something"));
  EXPECT_THAT(faults(kTuned + "\n[[table]]\nname = \"t\"\ncolumns = [\"search/flop\"]\n"),
              HasSubstr("a search has no cost \"flop\"; did you mean \"flops\"?"));
}

}  // namespace
}  // namespace silc
