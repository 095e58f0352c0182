#include "engine/training_parts.h"

#include <algorithm>
#include <optional>

#include "engine/training.h"

namespace silc {

std::vector<TrainingPart> parts_between(std::vector<double> milestones) {
  std::vector<TrainingPart> parts;
  double from = 0;
  milestones.push_back(1);
  for (const double to : milestones) {
    if (to > from) parts.push_back({.from = from, .to = to});
    from = std::max(from, to);
  }
  return parts;
}

double steps_in(const TrainingPart& part, const ResolvedCell& cell, double flops, double core_seconds) {
  const double share = part.to - part.from;
  switch (cell.budget.unit) {
    case BudgetUnit::examples:
      return share * static_cast<double>(*known_steps(cell));
    case BudgetUnit::flops:
      return share * cell.budget.amount / std::max(flops, 1.0);
    case BudgetUnit::core_seconds:
      return share * cell.budget.amount / std::max(core_seconds, 1e-9);
  }
  return 0;
}

Progress progress_in(const TrainingPart& part, const ResolvedCell& cell, int64_t number) {
  const std::optional<int64_t> total = known_steps(cell);
  return {.step = total ? static_cast<int64_t>(part.middle() * static_cast<double>(*total)) : number,
          .fraction = part.middle(),
          .total_steps = total.value_or(0),
          .seed = training_seed(cell)};
}

}  // namespace silc
