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
  std::vector<std::size_t> alike;                      // SearchedRow::alike
  std::map<std::size_t, std::vector<CellTask>> tasks;  // of each trial that is trained: its cell, behind earlier phases
};

// `cells`: those of trial_cells(), with fingerprints.
PlacedSearch place_search(const SearchedRow& row, const std::map<std::size_t, ResolvedCell>& cells,
                          const std::filesystem::path& runs);

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
  // The cells that a decision about a row makes known; called once a row that was not decided before.
  using Decided = std::function<std::vector<CellTask>(const std::string& row, std::optional<std::size_t> best)>;

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

  void look_again(Row& row);

  SearchSettings settings_;
  std::vector<double> rungs_;
  std::vector<Row> rows_;
  Decided decided_;
  std::vector<CellTask> ready_;  // of decided rows
  std::vector<std::string> hopeless_;
};

}  // namespace silc
