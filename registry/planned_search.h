// The search of an experiment as the registry keeps it: what is tuned, the trials, and what was chosen. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace silc {

// A setting that is tuned.
struct PlannedDimension {
  std::string key;   // "optimizer.lr"
  std::string kind;  // "choice", "range", "log"
  double low = 0;    // of range and log, ends included
  double high = 0;
  std::vector<std::string> choices = {};  // as TOML
};

// A trial that began or will.
struct PlannedTrial {
  int64_t number = 0;
  std::vector<std::string> values;  // of the row's dimensions, as TOML
  std::string id;                   // of its cell, which is that of an earlier trial with the same values
  std::filesystem::path folder;     // likewise, relative to the runs folder; empty: not known before another search
                                    // has chosen what it goes on from
  std::vector<std::filesystem::path> earlier = {};  // of its phases before, without those of other rows
};

// Where trials are compared: at a part of the budget of one of their phases.
struct PlannedRung {
  int64_t phase = 0;
  double fraction = 1;
};

struct PlannedRowSearch {
  std::string row;
  std::vector<PlannedDimension> space;
  std::vector<PlannedTrial> trials;
  bool complete = false;
  std::optional<int64_t> chosen =
      std::nullopt;                       // number of a trial; none where the search is not complete or all failed
  std::vector<double> phases = {1};       // that a trial trains, without those of other rows: their parts of the whole
  std::vector<PlannedRung> rungs = {{}};  // one for each of the search's
  std::string after = {};                 // the row that the trials go on from; empty: they begin anew
};

// A row whose settings a search chooses.
struct PlannedTuning {
  std::string row;
  std::string by;  // the searched row that decides: itself, another, or the one that decides about what it starts from
  std::string after = {};  // of a row whose own settings are as written: the tuned row that it starts from
};

struct PlannedSearch {
  std::string method;      // "random", "grid", "halving"
  std::string metric;      // "EVALUATION/METRIC", with @WEIGHTS or without
  std::string evaluation;  // of the metric
  std::string name;
  std::string weights;              // empty: those that a row's plain columns mean
  std::string split;                // that trials are evaluated on
  int64_t seed = 0;                 // that they are trained with
  double budget = 1;                // part of a row's budget that they train
  int64_t trials = 0;               // of each row; 0: it is in flops, or all of a grid
  double flops = 0;                 // of each row; 0: it is in trials
  std::vector<double> rungs = {1};  // of halving: where trials are compared, as parts of their budget
  std::vector<PlannedRowSearch> rows;
  std::vector<PlannedTuning> tuned;  // rows that are not here keep the settings that they were written with
};

// The search that decides about a row; null: none.
const PlannedRowSearch* search_of(const PlannedSearch& search, const std::string& row);

}  // namespace silc
