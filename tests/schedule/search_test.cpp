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
    return place_search(searched, cells, folder_.path());
  }

  // Runs the searches and what they choose: a cell named after the row and the trial.
  std::vector<std::string> run(const std::vector<PlacedSearch>& rows, int64_t jobs = 1) {
    std::vector<CellTask> tasks;
    const auto decided = [&](const std::string& row, std::optional<std::size_t> best) -> std::vector<CellTask> {
      chosen_[row] = best;
      if (!best) return {};
      const std::vector<ResolvedCell> cells = {make_cell(fmt::format("{} with {}", row, *best))};
      return place_cells(cells, folder_.path());
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

}  // namespace
}  // namespace silc
