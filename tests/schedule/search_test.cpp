// Searches run by the scheduler, with the fake engine.
#include "schedule/search.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "fixture.h"

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SearchRunTest : public ::testing::Test {
 protected:
  SearchRunTest() {
    settings_.trials = 4;
    settings_.evaluation = "zero_shot_classification";
    settings_.name = "acc1";
  }

  // A row whose trials differ in their learning rate.
  PlacedSearch place(const std::string& row, std::size_t trials = 4) const {
    SearchedRow searched{row, {}, {}, {}};
    std::map<std::size_t, ResolvedCell> cells;
    for (std::size_t number = 0; number < trials; ++number) {
      ResolvedCell cell = make_cell(row, 1'000'000);
      cell.trial = static_cast<int64_t>(number);
      cell.optimizer.lr = 1e-3 * static_cast<double>(number + 1);
      cell.evaluations = {{{PluginKind::evaluator, "zero_shot_classification", 1, {}},
                           {{PluginKind::dataset, "shapes", 1, {}}, "validation", "shapes-validation"},
                           "zero_shot_classification"}};
      cells[number] = cell;
      searched.alike.push_back(number);
    }
    return place_search(settings_, searched, cells, {}, 0, folder_.path());
  }

  // Trials in two phases of the same length, each of which may be evaluated.
  PlacedSearch place_phased(const std::string& row, std::size_t trials) const {
    SearchedRow searched{row, {}, {}, {}};
    std::map<std::size_t, ResolvedCell> cells;
    for (const auto& [number, tasks] : place(row, trials).tasks) {
      ResolvedCell cell = tasks.back().cell;
      cell.earlier = {cell};
      cell.earlier[0].row = row + " (phase 1)";
      cells[number] = cell;
      searched.alike.push_back(number);
    }
    return place_search(settings_, searched, cells, {}, 0, folder_.path());
  }

  // Runs the searches and what they choose: a cell named after the row and the trial.
  std::vector<std::string> run(const std::vector<PlacedSearch>& rows, int64_t jobs = 1) {
    std::vector<CellTask> tasks;
    const auto decided = [&](const std::string& row, std::optional<std::size_t> best) -> SearchRun::Known {
      chosen_[row] = best;
      if (!best) return {};
      const std::vector<ResolvedCell> cells = {make_cell(fmt::format("{} with {}", row, *best))};
      SearchRun::Known known{place_cells(cells, folder_.path())};
      if (const auto later = later_.find(row); later != later_.end()) known.searches.push_back(later->second(*best));
      return known;
    };
    SearchRun source(settings_, rows, decided);
    RunObserver observer;
    outcomes_ = run_cells(tasks, source, {fake_engine(), {2, jobs}}, observer);
    std::vector<std::string> names;
    for (const CellTask& task : tasks)
      names.push_back(task.cell.row + (task.cell.trial ? fmt::format(" {}", *task.cell.trial) : "") +
                      (task.until ? fmt::format(" to {:.2f}", *task.until) : ""));
    return names;
  }

  TemporaryFolder folder_;
  SearchSettings settings_;
  std::map<std::string, std::optional<std::size_t>> chosen_;
  std::map<std::string, std::function<PlacedSearch(std::size_t)>> later_;  // searches that wait for a row's choice
  std::vector<CellOutcome> outcomes_;
};

TEST_F(SearchRunTest, TrainsTrialByTrialThroughTheRowsAndThenWhatIsChosen) {
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-2=0.9");
  EXPECT_THAT(run({place("A", 3), place("B", 3)}),
              ElementsAre("A 0", "B 0", "A 1", "B 1", "A 2", "A with 2", "B 2", "B with 2"));
  EXPECT_EQ(chosen_["A"], 2U);
}

TEST_F(SearchRunTest, GoesOnWhereItWasInterruptedToTheSameChoice) {
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-1=0.9");
  const PlacedSearch search = place("A");
  RunObserver observer;
  run_cells(search.tasks.at(0), {fake_engine(), {2, 1}}, observer);
  run_cells(search.tasks.at(2), {fake_engine(), {2, 1}}, observer);
  EXPECT_THAT(run({search}), ElementsAre("A 1", "A 3", "A with 1"));
  EXPECT_EQ(chosen_["A"], 1U);
}

TEST_F(SearchRunTest, ACompleteSearchHasNothingToTrain) {
  run({place("A")});
  EXPECT_THAT(run({place("A")}), IsEmpty());
}

TEST_F(SearchRunTest, MoreTrialsTrainThoseAlone) {
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-1=0.9");
  run({place("A", 3)});
  EXPECT_THAT(run({place("A", 5)}), ElementsAre("A 3", "A 4", "A with 1"));
}

TEST_F(SearchRunTest, InterruptedAndExtendedItTrainsWhatIsMissing) {
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-4=0.9");
  const PlacedSearch few = place("A", 4);
  RunObserver observer;
  run_cells(few.tasks.at(0), {fake_engine(), {2, 1}}, observer);
  run_cells(few.tasks.at(2), {fake_engine(), {2, 1}}, observer);
  EXPECT_THAT(run({place("A", 6)}), ElementsAre("A 1", "A 3", "A 4", "A 5", "A with 4"));
}

TEST_F(SearchRunTest, HalvingExtendedByMoreTrialsChoosesAsIfThereHadBeenSoManyFromTheBeginning) {
  settings_.method = SearchMethod::halving;
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-1=0.7;trial-3=0.8;trial-6=0.9;trial-8=0.85");
  run({place("A", 4)});
  EXPECT_EQ(chosen_["A"], 3U);
  run({place("A", 9)});
  run({place("B", 9)});
  EXPECT_EQ(chosen_["A"], chosen_["B"]);
  EXPECT_EQ(chosen_["A"], 6U);
}

TEST_F(SearchRunTest, AFailedTrialIsNeverChosenAndStopsNothing) {
  const ScopedVariable behaviour("FAKE_ENGINE", "trial-0=fail");
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-0=0.99;trial-3=0.9");
  run({place("A")});
  EXPECT_EQ(chosen_["A"], 3U);
  EXPECT_EQ(outcomes_.front().end, CellEnd::failed);
  EXPECT_EQ(outcomes_.back().end, CellEnd::finished);
}

TEST_F(SearchRunTest, AFailedTrialIsTriedAgainByTheNextRun) {
  {
    const ScopedVariable behaviour("FAKE_ENGINE", "trial-0=segv");
    run({place("A")});
  }
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-0=0.99");
  EXPECT_THAT(run({place("A")}), ElementsAre("A 0", "A with 0"));
}

TEST_F(SearchRunTest, AMetricThatIsNotFiniteIsNeverChosen) {
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-0=nan;trial-1=0.1;trial-2=nan;trial-3=0.2");
  run({place("A")});
  EXPECT_EQ(chosen_["A"], 3U);
}

TEST_F(SearchRunTest, WhereEveryTrialFailsThereIsNothingToChoose) {
  const ScopedVariable behaviour("FAKE_ENGINE", "trial-=fail");
  run({place("A"), place("B")});
  ASSERT_THAT(chosen_, SizeIs(2));
  EXPECT_EQ(chosen_["A"], std::nullopt);
}

TEST_F(SearchRunTest, HalvingPausesTrialsAndLetsTheBestGoOn) {
  settings_.method = SearchMethod::halving;
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-1=0.9;trial-4=0.8");
  const std::vector<std::string> trained = run({place("A", 6)});
  EXPECT_THAT(trained, ElementsAre("A 0 to 0.11", "A 1 to 0.11", "A 2 to 0.11", "A 1 to 0.33", "A 3 to 0.11",
                                   "A 4 to 0.11", "A 5 to 0.11", "A 4 to 0.33", "A 1", "A with 1"));
  EXPECT_EQ(chosen_["A"], 1U);
}

TEST_F(SearchRunTest, HalvingDoesTheSameWithSeveralJobsAndAfterAnInterruption) {
  settings_.method = SearchMethod::halving;
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-1=0.9;trial-4=0.8");
  const PlacedSearch search = place("A", 6);
  std::vector<CellTask> begun;
  for (const std::size_t trial : {5U, 1U}) {
    begun.push_back(search.tasks.at(trial).back());
    begun.back().until = 1.0 / 9;
  }
  RunObserver observer;
  run_cells(begun, {fake_engine(), {2, 2}}, observer);
  std::vector<std::string> trained = run({search}, 3);
  std::sort(trained.begin(), trained.end());
  EXPECT_THAT(trained, ElementsAre("A 0 to 0.11", "A 1", "A 1 to 0.33", "A 2 to 0.11", "A 3 to 0.11", "A 4 to 0.11",
                                   "A 4 to 0.33", "A with 1"));
}

TEST_F(SearchRunTest, HalvingComparesPhasedTrialsByTheWholeOfTheirPhases) {
  settings_.method = SearchMethod::halving;
  settings_.reduction = 2;
  settings_.rungs = 3;  // a half of the first phase, its end, and the end of the second
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-1=0.9;trial-2=0.8");
  EXPECT_THAT(run({place_phased("A", 4)}),
              ElementsAre("A (phase 1) 0 to 0.50", "A (phase 1) 1 to 0.50", "A (phase 1) 1", "A (phase 1) 2 to 0.50",
                          "A (phase 1) 3 to 0.50", "A (phase 1) 2", "A 1", "A with 1"));
  EXPECT_EQ(chosen_["A"], 1U);
  EXPECT_THAT(run({place_phased("A", 4)}), IsEmpty());
}

TEST_F(SearchRunTest, AFirstPhaseThatFailsIsAFailedTrial) {
  const ScopedVariable behaviour("FAKE_ENGINE", "trial-0=fail");
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-1=0.9");
  EXPECT_THAT(run({place_phased("A", 2)}), ElementsAre("A (phase 1) 0", "A 0", "A (phase 1) 1", "A 1", "A with 1"));
  EXPECT_EQ(chosen_["A"], 1U);
}

TEST_F(SearchRunTest, TrialsOfARowThatStartsFromASearchedOneGoOnFromWhatItChose) {
  const ScopedVariable scores("FAKE_ENGINE_SCORES", "trial-1=0.9");
  const PlacedSearch first = place("A", 2);
  later_["A"] = [&](std::size_t best) {
    SearchedRow searched{"late", {}, {}, {0, 1}};
    std::map<std::size_t, ResolvedCell> cells;
    for (const auto& [number, tasks] : place("late", 2).tasks) cells[number] = tasks.back().cell;
    return place_search(settings_, searched, cells, {first.tasks.at(best).back().cell}, 0, folder_.path());
  };
  EXPECT_THAT(run({first}), ElementsAre("A 0", "A 1", "A with 1", "late 0", "late 1", "late with 1"));
  const PlacedSearch late = later_["A"](1);
  EXPECT_EQ(late.start.at(0).id, first.tasks.at(1).back().id);
  EXPECT_EQ(late.tasks.at(0).front().cell.start.cell, first.tasks.at(1).back().id);
  EXPECT_EQ(results_of(settings_, late).at({0, 0}).flops, 4e6)
      << "what it goes on from is paid for by the other search";
  EXPECT_THAT(run({first}), IsEmpty()) << "its choice is known beforehand";
}

TEST_F(SearchRunTest, WhatAllTrialsStartFromIsTrainedOnceAndIsTheFirstOnesCost) {
  SearchedRow searched{"late", {}, {}, {0, 1, 2}};
  std::map<std::size_t, ResolvedCell> cells;
  for (const auto& [number, tasks] : place("late", 3).tasks) {
    cells[number] = tasks.back().cell;
    cells[number].earlier = {make_cell("as it is", 1'000'000)};
    cells[number].earlier[0].trial = 0;
  }
  const PlacedSearch late = place_search(settings_, searched, cells, {}, 1, folder_.path());
  EXPECT_THAT(run({late}, 2),
              ::testing::UnorderedElementsAre("as it is 0", "late 0", "late 1", "late 2", "late with 0"));
  const TrialResults results = results_of(settings_, late);
  EXPECT_EQ(results.at({0, 0}).flops, 8e6);
  EXPECT_EQ(results.at({2, 0}).flops, 4e6);
}

TEST_F(SearchRunTest, ATrialThatAnotherMethodHasTrainedWholeHasItsLastScoreAtEveryRung) {
  run({place("A", 3)});
  settings_.method = SearchMethod::halving;
  run({place("A", 6)});
  EXPECT_TRUE(chosen_["A"].has_value());
}

}  // namespace
}  // namespace silc
