// Training as parts in which every update costs the same: what predictions of a cell's cost are made of.
#pragma once

#include <cstdint>
#include <vector>

#include "silc/objective.h"
#include "spec/cell.h"

namespace silc {

// Between two of the objective's milestones, as fractions of training.
struct TrainingPart {
  double from = 0;
  double to = 1;

  [[nodiscard]] double middle() const { return (from + to) / 2; }
};

std::vector<TrainingPart> parts_between(std::vector<double> milestones);

// How many updates fall into a part, one of which costs so much (of all ranks).
double steps_in(const TrainingPart& part, const ResolvedCell& cell, double flops, double core_seconds);

// The update in the middle of the part, where a rounded number cannot fall into its neighbour; `number` where it is not
// known how many there will be.
Progress progress_in(const TrainingPart& part, const ResolvedCell& cell, int64_t number);

}  // namespace silc
