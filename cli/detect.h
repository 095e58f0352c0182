// How many seeds it takes to see a difference: silc plan --detect. No LibTorch.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.h"

namespace silc {

// Of one column of one table.
struct ColumnDetection {
  std::string table;
  std::string column;
  double spread = 0;              // of differences between rows of the same seed, in the unit of the table
  int64_t seeds_measured = 0;     // that it is known from
  int64_t comparisons = 0;        // that Holm corrects for
  std::optional<int64_t> seeds;   // that it takes; nothing: the test pictures are too few, whatever the seeds
  int64_t cells = 0;              // that are not finished yet
  std::optional<double> seconds;  // of wall time for those; nothing: how long a cell takes is not known
};

struct DetectionPlan {
  double difference = 0;  // in the unit of the tables
  int64_t jobs = 1;
  std::vector<ColumnDetection> columns;  // none: no spread was measured so far
};

// `planned`: the experiment as its file stands. `seconds`: of a cell of each row, where it was predicted; of other rows
// and where `seconds` is empty it is taken from the attempts on record.
DetectionPlan plan_detection(const Session& session, const PlannedExperiment& planned, double difference,
                             const std::map<std::string, double>& seconds, int64_t jobs);

std::string describe(const DetectionPlan& plan);
nlohmann::ordered_json json_of(const DetectionPlan& plan);

}  // namespace silc
