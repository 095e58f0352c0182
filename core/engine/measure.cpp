#include "engine/measure.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/assembly.h"
#include "engine/batches.h"
#include "engine/cost.h"
#include "engine/flop_counter.h"
#include "engine/parameters.h"
#include "engine/schedule.h"
#include "engine/training.h"
#include "engine/training_step.h"

namespace silc {
namespace {

// A part of training in which every step costs the same.
struct Part {
  double from = 0;
  double to = 1;
  int64_t flops = 0;  // of one step
  Cost cost;          // of one step
  double steps = 0;   // how many fall into it
};

std::vector<Part> parts_between(std::vector<double> milestones) {
  std::vector<Part> parts;
  double from = 0;
  milestones.push_back(1);
  for (const double to : milestones) {
    if (to > from) parts.push_back({.from = from, .to = to, .flops = 0, .cost = {}, .steps = 0});
    from = std::max(from, to);
  }
  return parts;
}

double steps_in(const Part& part, const ResolvedCell& cell) {
  const double share = part.to - part.from;
  switch (cell.budget.unit) {
    case BudgetUnit::examples:
      return share * static_cast<double>(*known_steps(cell));
    case BudgetUnit::flops:
      return share * cell.budget.amount / static_cast<double>(std::max<int64_t>(part.flops, 1));
    case BudgetUnit::core_seconds:
      return share * cell.budget.amount / std::max(part.cost.core_seconds, 1e-9);
  }
  return 0;
}

// Preparing the batch counts in the cost, as it does in training.
Cost time_step(Part& part, const ResolvedCell& cell, const Assembly& assembly, const BatchSource& source,
               TrainingStep& step, int64_t number) {
  // In the middle of the part, where a rounded step number cannot fall into its neighbour.
  const double fraction = (part.from + part.to) / 2;
  const std::optional<int64_t> total = known_steps(cell);
  const Progress progress{.step = total ? static_cast<int64_t>(fraction * static_cast<double>(*total)) : number,
                          .fraction = fraction,
                          .total_steps = total.value_or(0),
                          .seed = static_cast<uint64_t>(cell.seed)};
  const double lr = learning_rate(cell.optimizer, fraction, 0);
  const FlopCounter flops;
  const Stopwatch watch;
  int64_t batch = number * cell.optimizer.accumulate;
  step.run([&] { return to_device(source.batch(batch++), assembly.device); }, progress, lr);
  part.flops = flops.total();
  return watch.elapsed();
}

// The first step takes memory and warms up. Of the others the fastest counts: what slows the rest down is other work on
// the machine.
void measure_part(Part& part, const ResolvedCell& cell, const Assembly& assembly, const BatchSource& source,
                  TrainingStep& step, int64_t& number) {
  constexpr int kTimedSteps = 3;
  time_step(part, cell, assembly, source, step, number++);
  for (int i = 0; i < kTimedSteps; ++i) {
    const Cost cost = time_step(part, cell, assembly, source, step, number++);
    if (i == 0 || cost.seconds < part.cost.seconds) part.cost = cost;
  }
}

}  // namespace

nlohmann::json measure(const MeasureRequest& request) {
  const Catalogue catalogue = Catalogue::scan(plugin_folders(request.plugin_path));
  const ResolvedCell cell = read_cell(request.cell, catalogue);
  prepare_torch(request.threads, parse_device(cell.engine.device));
  const Assembly assembly = assemble(cell, catalogue);
  const BatchSource source = make_batch_source(cell, assembly, 0);
  TrainingStep step(assembly, cell);

  double total_steps = 0;
  double total_flops = 0;
  double seconds = 0;
  int64_t number = 0;
  auto described = nlohmann::json::array();
  for (Part& part : parts_between(assembly.objective->milestones())) {
    measure_part(part, cell, assembly, source, step, number);
    part.steps = steps_in(part, cell);
    total_steps += part.steps;
    total_flops += part.steps * static_cast<double>(part.flops);
    seconds += part.steps * part.cost.seconds;
    described.push_back({{"from", part.from},
                         {"to", part.to},
                         {"flops_per_step", part.flops},
                         {"seconds_per_step", part.cost.seconds}});
  }
  return {{"parameters", parameter_count(*assembly.model)},
          {"total_steps", std::llround(std::ceil(total_steps - 1e-6))},
          {"total_flops", total_flops},
          {"seconds", seconds},
          {"peak_memory", process_peak_memory()},
          {"parts", described}};
}

}  // namespace silc
