// A search as it stands in the run folders, and as it goes on while cells run. No LibTorch.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "schedule/schedule.h"
#include "schedule/search_decision.h"
#include "spec/experiment.h"

namespace silc {

// A searched row's trials, with identities and places.
struct PlacedSearch {
  std::string row;
  std::vector<std::size_t> alike;  // SearchedRow::alike
  std::size_t phases = 1;          // of the row itself, in a trial
  std::vector<RungPlace> rungs;    // where trials are compared, the end included
  // What all trials go on from: a trial that another search has chosen, with its phases. No cost of this search.
  std::vector<CellTask> start = {};
  // Of each trial that is trained: its phases, the row's own at the end. What other rows train before these is the same
  // for all, and is the first one's.
  std::map<std::size_t, std::vector<CellTask>> tasks = {};
  // Searched rows that have not chosen yet, so that identities and places are as if their first trials were chosen.
  std::vector<std::string> waits_for = {};
};

// `cells`: those of trial_cells(), with fingerprints, `start`: of start_of_trials(), `others`: TunedRow::others.
PlacedSearch place_search(const SearchSettings& settings, const SearchedRow& row,
                          const std::map<std::size_t, ResolvedCell>& cells, const std::vector<ResolvedCell>& start,
                          std::size_t others, const std::filesystem::path& runs);

// The phases that a trial is to train to come to a rung, the last of them as far as it.
std::vector<CellTask> tasks_to(const PlacedSearch& search, const TrialGoal& goal);

// What training a cell has cost so far, by metrics.json, or else by the last step event.
struct Spent {
  double flops = 0;
  double core_seconds = 0;
};
Spent spent_on(const RunFolder& folder);

// What the run folders hold of a row's trials. A trial that failed has no result: it is tried again, as all cells are.
TrialResults results_of(const SearchSettings& settings, const PlacedSearch& search);

// The decision about a row by these results. A trial with the point of an earlier one has its result, and costs
// nothing.
SearchDecision decide(const SearchSettings& settings, const PlacedSearch& search, const TrialResults& results);

// Hands out the trials of a search, promotions first, then trial by trial through the rows, and the cells of a row as
// soon as its search has chosen.
class SearchRun : public CellSource {
 public:
  // What a decision about a row makes known.
  struct Known {
    std::vector<CellTask> cells = {};
    std::vector<PlacedSearch> searches = {};  // that waited for it
  };
  // Called once a row that was not decided before.
  using Decided = std::function<Known(const std::string& row, std::optional<std::size_t> best)>;

  // `rows`: searches that wait for none.
  SearchRun(const SearchSettings& settings, std::vector<PlacedSearch> rows, Decided decided);

  std::vector<CellTask> next() override;
  void ended(const CellTask& task, const CellOutcome& outcome) override;
  [[nodiscard]] std::vector<ResolvedCell> to_come() const override;

  // Rows that are complete from the beginning, and have no trial with a value.
  [[nodiscard]] const std::vector<std::string>& hopeless() const { return hopeless_; }
  // Trials that are known to be needed and were not handed out yet.
  [[nodiscard]] std::size_t trials_left() const;

 private:
  struct Row {
    PlacedSearch search;
    TrialResults results;
    SearchDecision decision;
    std::set<TrialGoal> given;
  };

  void add(PlacedSearch search);
  void look_again(std::size_t row);
  void take_in(Known known);

  SearchSettings settings_;
  std::vector<Row> rows_;
  Decided decided_;
  std::vector<CellTask> ready_;                 // of decided rows
  std::set<std::filesystem::path> handed_out_;  // whole phases of trials
  std::vector<std::string> hopeless_;
};

}  // namespace silc
