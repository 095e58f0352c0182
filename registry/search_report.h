// What a search came to: for the notes of tables, and for `silc report --search`. No LibTorch.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "registry/registry.h"
#include "registry/report.h"

namespace silc {

// Expected best of n trials that are drawn like a row's (Dodge et al. 2019, EMNLP: "Show Your Work"): of the empirical
// distribution of its scores, with replacement. Trials that failed count as the worst that was seen.
struct ExpectedBest {
  int64_t n = 0;
  double mean = 0;
  Interval interval;  // that holds the best of n in 95 of 100 such searches
};

// For n from 1 to the number of trials. `scores`: one a trial, nothing where it failed. Empty if none has a score.
std::vector<ExpectedBest> expected_best(const std::vector<std::optional<double>>& scores, bool more_is_better);

// Where trials lie in a dimension, and what came of them there.
struct SensitivityBin {
  std::string label;  // "0.001 to 0.0032"; of a choice its value
  int64_t trials = 0;
  int64_t scored = 0;
  double mean = 0;  // of scores, if there are any
  double best = 0;
};

struct Sensitivity {
  PlannedDimension dimension;
  std::vector<double> positions;  // of each trial in the range, 0 to 1; of a choice its number
  std::vector<SensitivityBin> bins;
};

struct SearchedRowReport {
  std::string row;
  PlannedRowSearch search;
  std::vector<TrialRecord> trials;
  std::vector<ExpectedBest> expected;
  std::vector<Sensitivity> sensitivity;  // one a dimension
  double flops = 0;
  double core_seconds = 0;
};

struct SearchReport {
  std::string experiment;
  std::string title;
  PlannedSearch search;
  std::vector<SearchedRowReport> rows;
  std::vector<std::string> notes;
};

// Throws silc::Error for an experiment without a search.
SearchReport build_search_report(const Registry& registry, const PlannedExperiment& experiment);

// terminal and markdown: every trial, expected best, sensitivity. csv: one line a trial. json: everything
// (docs/reference/search.schema.json). Not latex: throws silc::Error.
std::string format_search_report(const SearchReport& report, TableFormat format, const FormatOptions& options = {});

// By which trials can be compared: by halving they were trained alike as far as the first rung alone.
std::optional<double> compared_score(const PlannedSearch& search, const TrialRecord& trial);

// Every trial of a row as tables have it; the first line is the header, and the chosen one has an asterisk.
std::vector<std::vector<std::string>> trial_grid(const SearchReport& report, const SearchedRowReport& row);

// What stands below tables: space, effort, chosen values, those at the end of their range, rows that were not tuned,
// and a warning where rows differ in effort. `rows`: names with the labels that the table shows.
std::vector<std::string> search_notes(const PlannedSearch& search, std::span<const TrialRecord> trials,
                                      const std::vector<std::pair<std::string, std::string>>& rows);

// What the trials of a searched row have cost together.
struct SearchCost {
  int64_t trials = 0;  // that have begun
  int64_t failed = 0;
  double flops = 0;
  double core_seconds = 0;
};
SearchCost search_cost(std::span<const TrialRecord> trials, const std::string& row);

}  // namespace silc
