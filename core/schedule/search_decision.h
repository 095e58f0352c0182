// What a search does next, and what it chooses: a pure function of the results of its trials. No LibTorch.
#pragma once

#include <compare>
#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "spec/search.h"

namespace silc {

// A trial that is to be trained as far as a rung; without halving there is one.
struct TrialGoal {
  std::size_t trial = 0;
  std::size_t rung = 0;

  friend auto operator<=>(const TrialGoal&, const TrialGoal&) = default;
};

struct TrialResult {
  std::optional<double> score;  // of the metric; none: it failed, or the metric is not finite
  double flops = 0;             // that training has cost up to here
};

using TrialResults = std::map<TrialGoal, TrialResult>;

struct SearchDecision {
  // Without a result yet, and needed, the most urgent first. Whatever comes of one, the others stay needed (of an
  // effort in FLOPs: if all trials cost the same).
  std::vector<TrialGoal> next;
  std::size_t trials = 0;           // that have begun, or will whatever comes: 0 to so many
  bool complete = false;            // nothing is needed any more
  std::optional<std::size_t> best;  // of a complete one the trial that is chosen; nothing if none has a score
};

// The state of a search with so many points, given the results so far. Results that the search does not ask for count
// for nothing, so that it does not matter in which order they came, or what else was trained.
//
// random, grid: all trials; with an effort in FLOPs each trial before which the row's trials together cost less. The
// best score is chosen, of equal ones the first.
//
// halving: asynchronous successive halving (Li 2020, MLSys: ASHA) as one worker would do it, who takes trials in the
// order of their numbers: of those that reached a rung the best 1/reduction go on, each as soon as it is one of them;
// the best of the highest rung that has one goes on before a new trial begins. At the end the best of each rung goes on
// to the next if none has, so that one at least reaches the last. The best score of the last rung is chosen.
SearchDecision decide(const SearchSettings& search, std::size_t points, const TrialResults& results);

}  // namespace silc
