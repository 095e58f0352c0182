// Metrics as metrics.json of a run folder has them. No LibTorch.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/run_folder.h"

namespace silc {

// One number of metrics.json.
struct CellMetric {
  std::string evaluator;
  std::string dataset;
  std::string weights;
  std::string name;
  double value = 0;
};

// Of a finished cell; those that are not finite are left out. Empty if there is no metrics.json.
std::vector<CellMetric> read_metrics(const RunFolder& folder);

// A cost of a finished cell ("flops"); nothing if it is not there.
std::optional<double> read_cost(const RunFolder& folder, const std::string& name);

// By its name: of losses, errors and perplexities less is better, of all else more.
bool more_is_better(std::string_view metric);

}  // namespace silc
