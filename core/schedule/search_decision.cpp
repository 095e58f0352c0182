#include "schedule/search_decision.h"

#include <algorithm>
#include <set>

#include "files/metrics.h"

namespace silc {
namespace {

// Trials with scores, the best first, of equal ones the first.
class Ranking {
 public:
  explicit Ranking(const SearchSettings& search) : more_is_better_(more_is_better(search.name)) {}

  void add(std::size_t trial, const TrialResult& result) {
    ++size_;
    if (!result.score) return;
    const std::pair entry(more_is_better_ ? -*result.score : *result.score, trial);
    ranked_.insert(std::upper_bound(ranked_.begin(), ranked_.end(), entry), entry);
  }

  [[nodiscard]] std::size_t size() const { return size_; }  // those without scores included
  [[nodiscard]] bool empty() const { return ranked_.empty(); }
  [[nodiscard]] std::size_t best() const { return ranked_.front().second; }

  // Of the best `count`, one that is not in `but`; nothing: all are.
  [[nodiscard]] std::optional<std::size_t> best_but(std::size_t count, const std::set<std::size_t>& but) const {
    for (std::size_t i = 0; i < std::min(count, ranked_.size()); ++i)
      if (!but.contains(ranked_[i].second)) return ranked_[i].second;
    return std::nullopt;
  }

 private:
  bool more_is_better_;
  std::size_t size_ = 0;
  std::vector<std::pair<double, std::size_t>> ranked_;
};

SearchDecision decide_flat(const SearchSettings& search, std::size_t points, const TrialResults& results) {
  SearchDecision decision;
  Ranking ranking(search);
  double spent = 0;
  // What a trial without a result is taken to cost, so that several can be trained side by side.
  double usual = 0;
  for (const auto& [goal, result] : results) usual = std::max(usual, result.flops);
  for (std::size_t trial = 0; trial < points && (search.flops == 0 || spent < search.flops); ++trial) {
    const auto result = results.find({trial, 0});
    if (result != results.end()) {
      ranking.add(trial, result->second);
      spent += result->second.flops;
    } else {
      decision.next.push_back({trial, 0});
      spent += usual;
    }
    decision.trials = trial + 1;
    if (search.flops > 0 && usual == 0 && !decision.next.empty()) break;  // the first must tell what trials cost
  }
  decision.complete = decision.next.empty();
  if (decision.complete && !ranking.empty()) decision.best = ranking.best();
  return decision;
}

class Halving {
 public:
  Halving(const SearchSettings& search, std::size_t points, const TrialResults& results)
      : search_(search), points_(points), results_(results) {
    rungs_.resize(static_cast<std::size_t>(search.rungs), Rung{Ranking(search), {}});
  }

  SearchDecision decide() {
    SearchDecision decision;
    while (const auto goal = next_goal()) {
      const auto result = results_.find(*goal);
      if (result == results_.end()) {
        decision.next.push_back(*goal);
        break;
      }
      rungs_[goal->rung].ranking.add(goal->trial, result->second);
    }
    // Every trial begins, whatever the others come to.
    for (; new_trials_ < points_; ++new_trials_)
      if (!results_.contains({new_trials_, 0})) decision.next.push_back({new_trials_, 0});
    decision.trials = points_;
    decision.complete = decision.next.empty();
    for (auto rung = rungs_.rbegin(); decision.complete && !decision.best && rung != rungs_.rend(); ++rung)
      if (!rung->ranking.empty()) decision.best = rung->ranking.best();
    return decision;
  }

 private:
  struct Rung {
    Ranking ranking;
    std::set<std::size_t> promoted;
  };

  TrialGoal promote(std::size_t rung, std::size_t trial) {
    rungs_[rung].promoted.insert(trial);
    return {trial, rung + 1};
  }

  std::optional<TrialGoal> next_goal() {
    for (std::size_t rung = rungs_.size() - 1; rung-- > 0;) {
      const std::size_t going_on = rungs_[rung].ranking.size() / static_cast<std::size_t>(search_.reduction);
      if (const auto trial = rungs_[rung].ranking.best_but(going_on, rungs_[rung].promoted))
        return promote(rung, *trial);
    }
    if (new_trials_ < points_) return TrialGoal{new_trials_++, 0};
    // A trial that failed on its way leaves its place to the next best.
    for (std::size_t rung = 0; rung + 1 < rungs_.size(); ++rung)
      if (rungs_[rung + 1].ranking.empty())
        if (const auto trial = rungs_[rung].ranking.best_but(points_, rungs_[rung].promoted))
          return promote(rung, *trial);
    return std::nullopt;
  }

  const SearchSettings& search_;
  std::size_t points_;
  const TrialResults& results_;
  std::vector<Rung> rungs_;
  std::size_t new_trials_ = 0;
};

}  // namespace

SearchDecision decide(const SearchSettings& search, std::size_t points, const TrialResults& results) {
  if (search.method == SearchMethod::halving) return Halving(search, points, results).decide();
  return decide_flat(search, points, results);
}

}  // namespace silc
