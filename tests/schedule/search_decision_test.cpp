// What a search does next, as a function of its trials' results.
#include "schedule/search_decision.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

SearchSettings flat(int64_t trials) {
  SearchSettings search;
  search.trials = trials;
  search.name = "acc1";
  return search;
}

SearchSettings halving(int64_t trials) {
  SearchSettings search = flat(trials);
  search.method = SearchMethod::halving;
  return search;
}

std::vector<std::size_t> trials_of(const std::vector<TrialGoal>& goals) {
  std::vector<std::size_t> trials;
  for (const TrialGoal& goal : goals) trials.push_back(goal.trial);
  return trials;
}

TEST(SearchDecision, AllTrialsAreNeededAndTheBestIsChosen) {
  TrialResults results;
  EXPECT_THAT(trials_of(decide(flat(3), 3, results).next), ElementsAre(0, 1, 2));
  results[{1, 0}] = {0.5, 1};
  EXPECT_THAT(trials_of(decide(flat(3), 3, results).next), ElementsAre(0, 2));
  EXPECT_FALSE(decide(flat(3), 3, results).complete);
  results[{0, 0}] = {0.4, 1};
  results[{2, 0}] = {0.3, 1};
  const SearchDecision decision = decide(flat(3), 3, results);
  EXPECT_TRUE(decision.complete);
  EXPECT_EQ(decision.best, 1U);
}

TEST(SearchDecision, OfEqualScoresTheFirstIsChosen) {
  EXPECT_EQ(decide(flat(3), 3, {{{0, 0}, {0.4, 1}}, {{1, 0}, {0.5, 1}}, {{2, 0}, {0.5, 1}}}).best, 1U);
}

TEST(SearchDecision, OfALossTheLeastIsChosen) {
  SearchSettings search = flat(2);
  search.name = "validation_loss";
  EXPECT_EQ(decide(search, 2, {{{0, 0}, {0.5, 1}}, {{1, 0}, {0.4, 1}}}).best, 1U);
}

TEST(SearchDecision, ATrialWithoutAScoreIsNeverChosen) {
  const TrialResults results = {{{0, 0}, {std::nullopt, 1}}, {{1, 0}, {-3.0, 1}}};
  EXPECT_EQ(decide(flat(2), 2, results).best, 1U);
  const SearchDecision none = decide(flat(1), 1, {{{0, 0}, {std::nullopt, 1}}});
  EXPECT_TRUE(none.complete);
  EXPECT_EQ(none.best, std::nullopt);
}

TEST(SearchDecision, AnEffortInFlopsIsSpentByTrialsInTheirOrder) {
  SearchSettings search = flat(0);
  search.flops = 10;
  TrialResults results;
  EXPECT_THAT(trials_of(decide(search, 100, results).next), ElementsAre(0)) << "what one costs is not known";
  results[{0, 0}] = {0.5, 4};
  EXPECT_THAT(trials_of(decide(search, 100, results).next), ElementsAre(1, 2));
  results[{1, 0}] = {0.6, 4};
  results[{2, 0}] = {0.7, 4};
  results[{3, 0}] = {0.9, 4};  // one too many, which somebody trained nevertheless
  const SearchDecision decision = decide(search, 100, results);
  EXPECT_TRUE(decision.complete);
  EXPECT_EQ(decision.trials, 3U);
  EXPECT_EQ(decision.best, 2U);
}

// Trains what is needed, `jobs` at a time, those under way in an order that chance decides.
struct Trained {
  SearchDecision decision;
  TrialResults results;
};

Trained train(const SearchSettings& search, const std::vector<std::optional<double>>& quality, std::size_t jobs,
              unsigned chance) {
  std::mt19937 random(chance);
  Trained trained;
  while (true) {
    trained.decision = decide(search, quality.size(), trained.results);
    std::vector<TrialGoal> next = trained.decision.next;
    if (next.empty()) return trained;
    next.resize(std::min(jobs, next.size()));
    const TrialGoal goal = next[random() % next.size()];
    const auto score = quality[goal.trial];
    trained.results[goal] = {score ? std::optional(*score * static_cast<double>(goal.rung + 1)) : std::nullopt, 1};
  }
}

std::vector<std::optional<double>> qualities(std::size_t count) {
  std::vector<std::optional<double>> quality;
  for (std::size_t i = 0; i < count; ++i) quality.emplace_back(static_cast<double>((i * 7) % count) + 1);
  return quality;
}

std::size_t reached(const TrialResults& results, std::size_t rung) {
  return static_cast<std::size_t>(
      std::count_if(results.begin(), results.end(), [&](const auto& each) { return each.first.rung == rung; }));
}

TEST(Halving, OneInThreeGoesOnAndTheBestIsChosen) {
  const Trained trained = train(halving(27), qualities(27), 1, 0);
  EXPECT_EQ(reached(trained.results, 0), 27U);
  EXPECT_GE(reached(trained.results, 1), 9U);
  EXPECT_GE(reached(trained.results, 2), 3U);
  EXPECT_LE(reached(trained.results, 2), 6U) << "asynchronous halving promotes some that turn out not to be the best";
  ASSERT_TRUE(trained.decision.best);
  EXPECT_EQ(qualities(27)[*trained.decision.best], 27);
}

TEST(Halving, DoesTheSameWhateverTheNumberOfJobsAndTheOrderOfTheirEnds) {
  const Trained alone = train(halving(30), qualities(30), 1, 0);
  for (unsigned chance = 0; chance < 20; ++chance) {
    const Trained many = train(halving(30), qualities(30), 1 + chance % 6, chance);
    EXPECT_EQ(many.decision.best, alone.decision.best);
    ASSERT_EQ(many.results.size(), alone.results.size());
    for (const auto& [goal, result] : alone.results) EXPECT_TRUE(many.results.contains(goal));
  }
}

TEST(Halving, FewTrialsLetOneReachTheEnd) {
  const Trained trained = train(halving(2), qualities(2), 2, 0);
  EXPECT_EQ(reached(trained.results, 2), 1U);
  EXPECT_TRUE(trained.decision.best);
}

TEST(Halving, ATrialThatFailsOnItsWayLeavesItsPlaceToTheNext) {
  TrialResults results = {{{0, 0}, {0.9, 1}}, {{1, 0}, {0.8, 1}}};
  SearchSettings search = halving(2);
  EXPECT_THAT(trials_of(decide(search, 2, results).next), ElementsAre(0));
  results[{0, 1}] = {std::nullopt, 1};
  const SearchDecision decision = decide(search, 2, results);
  ASSERT_THAT(decision.next, SizeIs(1));
  EXPECT_EQ(decision.next[0], (TrialGoal{1, 1}));
}

TEST(Halving, WithoutAnyScoreThereIsNothingToChoose) {
  const Trained trained = train(halving(6), std::vector<std::optional<double>>(6), 2, 0);
  EXPECT_TRUE(trained.decision.complete);
  EXPECT_EQ(trained.decision.best, std::nullopt);
}

TEST(Halving, MoreTrialsGoOnFromWhatFewerHaveTrained) {
  const Trained few = train(halving(12), qualities(12), 1, 0);
  std::vector<std::optional<double>> quality = qualities(12);
  for (int i = 0; i < 12; ++i) quality.emplace_back(0.5);
  const Trained many = train(halving(24), quality, 1, 0);
  for (const auto& [goal, result] : many.results)
    EXPECT_TRUE(goal.rung > 0 || goal.trial >= 12 || few.results.contains(goal));
  EXPECT_EQ(many.decision.best, few.decision.best);
}

}  // namespace
}  // namespace silc
