#include "engine/measure.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "engine/accelerator.h"
#include "engine/assembly.h"
#include "engine/batches.h"
#include "engine/cost.h"
#include "engine/evaluation.h"
#include "engine/excerpt.h"
#include "engine/flop_counter.h"
#include "engine/learning_rate.h"
#include "engine/needs.h"
#include "engine/parameters.h"
#include "engine/rank_membership.h"
#include "engine/training_parts.h"
#include "engine/training_step.h"
#include "nn/ranks.h"

namespace silc {
namespace {

// A part of training, and what a step in it costs this rank.
struct Part : TrainingPart {
  int64_t flops = 0;
  Cost cost;
};

// Preparing the batch counts in the cost, as it does in training.
Cost time_step(Part& part, const ResolvedCell& cell, const Assembly& assembly, const BatchSource& source,
               TrainingStep& step, int64_t number) {
  const Progress progress = progress_in(part, cell, number);
  const double lr = learning_rate(cell.optimizer, progress.fraction, 0);
  const FlopCounter flops;
  const Stopwatch watch;
  int64_t batch = number * cell.optimizer.accumulate;
  const auto next = [&] { return to_device(source.batch(batch++), assembly.device); };
  if (assembly.device.is_meta())
    step.update(next, progress, lr);  // there are no figures to read
  else
    step.run(next, progress, lr);
  part.flops = flops.total();
  return watch.elapsed();
}

// The first step takes memory and warms up. Of the others the fastest counts: what slows the rest down is other work on
// the machine.
void measure_part(Part& part, const ResolvedCell& cell, const Assembly& assembly, const BatchSource& source,
                  TrainingStep& step, int64_t& number, int timed_steps) {
  time_step(part, cell, assembly, source, step, number++);
  for (int i = 0; i < timed_steps; ++i) {
    const Cost cost = time_step(part, cell, assembly, source, step, number++);
    if (i == 0 || cost.seconds < part.cost.seconds) part.cost = cost;
  }
}

// A step of each part, without how many there are.
std::vector<Part> measure_parts(const ResolvedCell& cell, const Assembly& assembly, int timed_steps) {
  const BatchSource source = make_batch_source(cell, assembly, 0);
  TrainingStep step(assembly, cell);
  std::vector<Part> parts;
  for (const TrainingPart& part : parts_between(assembly.objective->milestones())) parts.push_back({part, 0, {}});
  int64_t number = 0;
  for (Part& part : parts) measure_part(part, cell, assembly, source, step, number, timed_steps);
  return parts;
}

// The same with a batch of a few pictures on each rank. Towers that compute in chunks do so there too.
std::vector<Part> measure_small_batch(ResolvedCell cell, const Assembly& assembly, int64_t batch) {
  cell.optimizer.batch = batch * ranks().size();
  const int64_t chunk = cell.engine.chunk > 0 ? 1 : 0;
  assembly.model->image->set_chunk(chunk);
  assembly.model->text->set_chunk(chunk);
  std::vector<Part> parts = measure_parts(cell, assembly, 1);
  assembly.model->image->set_chunk(cell.engine.chunk);
  assembly.model->text->set_chunk(cell.engine.chunk);
  return parts;
}

// On the line through two measurements. Of time the slope may be noise.
double on_line(double x1, double y1, double x2, double y2, double x) {
  const double slope = (y2 - y1) / (x2 - x1);
  return slope > 0 ? y1 + slope * (x - x1) : y2 * x / x2;
}

// The cost of a step grows with the pictures, but for what the weights cost whatever the batch: the two unknowns that
// two small batches tell. (Similarities within the batch grow with its square, and are little beside the towers.)
std::vector<Part> extrapolate(const std::vector<Part>& two, const std::vector<Part>& four, double batch) {
  std::vector<Part> parts = two;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto line = [&](double y2, double y4) { return on_line(2, y2, 4, y4, batch); };
    parts[i].flops = std::llround(line(static_cast<double>(two[i].flops), static_cast<double>(four[i].flops)));
    parts[i].cost.seconds = line(two[i].cost.seconds, four[i].cost.seconds);
    parts[i].cost.core_seconds = line(two[i].cost.core_seconds, four[i].cost.core_seconds);
  }
  return parts;
}

// A number of each rank, put together.
double over_ranks(double own, at::Tensor (Ranks::*how)(const at::Tensor&) const) {
  return (ranks().*how)(at::scalar_tensor(own, at::kDouble)).item<double>();
}

struct Measurement {
  std::vector<Part> parts;
  bool extrapolated = false;
};

// A run for a cluster can be planned on a laptop: where a step would take too long, it is measured on small batches.
Measurement measure_steps(const ResolvedCell& cell, const Assembly& assembly) {
  constexpr int kTimedSteps = 3;
  constexpr double kLongestStep = 20;   // seconds
  constexpr int64_t kLargeBatch = 256;  // below it, a step takes long only for models that take long anyway
  const int64_t batch = cell.optimizer.batch / ranks().size();
  if (batch >= kLargeBatch) {
    const std::vector<Part> two = measure_small_batch(cell, assembly, 2);
    double longest = 0;
    for (const Part& part : two) longest = std::max(longest, part.cost.seconds * static_cast<double>(batch) / 2);
    // All ranks must decide alike.
    if (over_ranks(longest, &Ranks::max) > kLongestStep)
      return {extrapolate(two, measure_small_batch(cell, assembly, 4), static_cast<double>(batch)), true};
  }
  return {measure_parts(cell, assembly, kTimedSteps)};
}

// Datasets of evaluations, and a teacher's tower at work, take memory that training does not: each evaluation is tried
// on some pictures. One that fails says so before training (silc-engine preflight), and is no matter here.
void try_evaluations(const ResolvedCell& cell, const Catalogue& catalogue, const Assembly& assembly) {
  constexpr int64_t kSamples = 128;
  for (const Evaluation& evaluation : cell.evaluations) try {
      const PluginInfo& plugin = catalogue.require(PluginKind::evaluator, evaluation.evaluator.name);
      if (!why_not_applicable(plugin, cell, assembly).empty()) continue;
      DataSource source = evaluation.data;
      source.fingerprint.clear();  // compared when the cell starts; reading all of the data is not needed here
      const Excerpt excerpt(load_dataset(source, catalogue), kSamples);
      for (const std::string& weights : cell.weights) {
        TowerEncoder encoder = make_encoder(cell, assembly, weights);
        evaluate_excerpt(evaluation.evaluator, plugin, excerpt, encoder);
      }
    } catch (const std::exception&) {
    }
}

}  // namespace

void try_steps(const ResolvedCell& cell, const Assembly& assembly) { measure_parts(cell, assembly, 0); }

std::optional<nlohmann::json> measure(const MeasureRequest& request) {
  const Catalogue catalogue = Catalogue::scan(plugin_folders(request.plugin_path));
  const ResolvedCell cell = read_cell(request.cell, catalogue);
  const at::Device device = parse_device(cell.engine.device);
  prepare_torch(request.threads, device);
  RankMembership membership(rank_environment());
  EventLog no_events(std::nullopt);
  membership.join(cell, catalogue, device, no_events);
  const Assembly assembly = assemble(cell, catalogue);
  const DeviceMeter meter(assembly.device);
  Measurement measurement = is_evaluated_only(cell) ? Measurement{} : measure_steps(cell, assembly);
  if (!measurement.extrapolated && membership.rank() == 0) try_evaluations(cell, catalogue, assembly);

  // Of all ranks together: a step takes as long as the slowest of them.
  double total_steps = 0;
  double total_flops = 0;
  double seconds = 0;
  auto described = nlohmann::json::array();
  for (const Part& part : measurement.parts) {
    const double flops = over_ranks(static_cast<double>(part.flops), &Ranks::sum);
    const double seconds_per_step = over_ranks(part.cost.seconds, &Ranks::max);
    const double steps = steps_in(part, cell, flops, over_ranks(part.cost.core_seconds, &Ranks::sum));
    total_steps += steps;
    total_flops += steps * flops;
    seconds += steps * seconds_per_step;
    described.push_back({{"from", part.from},
                         {"to", part.to},
                         {"flops_per_step", std::llround(flops)},
                         {"seconds_per_step", seconds_per_step}});
  }
  const auto memory = std::llround(over_ranks(static_cast<double>(process_peak_memory()), &Ranks::sum));
  const auto on_device = meter.elapsed();
  const auto device_peak =
      std::llround(over_ranks(on_device ? static_cast<double>(on_device->peak_memory) : 0, &Ranks::max));
  membership.leave();
  if (membership.rank() != 0) return std::nullopt;
  nlohmann::json result = {{"parameters", parameter_count(*assembly.model)},
                           {"total_steps", std::llround(std::ceil(total_steps - 1e-6))},
                           {"total_flops", total_flops},
                           {"seconds", seconds},
                           {"peak_memory", measurement.extrapolated ? nlohmann::json(nullptr) : nlohmann::json(memory)},
                           {"extrapolated", measurement.extrapolated},
                           {"parts", described}};
  if (on_device && !measurement.extrapolated) result["device_peak_memory"] = device_peak;
  if (const auto there = device_memory(assembly.device)) result["device_memory"] = there->total;
  return result;
}

nlohmann::json bench(const MeasureRequest& request, int64_t steps) {
  constexpr int64_t kWarmUp = 3;
  constexpr int64_t kBatches = 4;  // that are made, and used in turn
  const Catalogue catalogue = Catalogue::scan(plugin_folders(request.plugin_path));
  const ResolvedCell cell = read_cell(request.cell, catalogue);
  prepare_torch(request.threads, parse_device(cell.engine.device));
  const Assembly assembly = assemble(cell, catalogue);
  const BatchSource source = make_batch_source(cell, assembly, 0);
  std::vector<Batch> batches;
  for (int64_t i = 0; i < kBatches; ++i) batches.push_back(to_device(source.batch(i), assembly.device));

  TrainingStep step(assembly, cell);
  const DeviceMeter meter(assembly.device);
  int64_t flops = 0;
  int64_t used = 0;
  auto seconds = nlohmann::json::array();
  for (int64_t i = 0; i < kWarmUp + steps; ++i) {
    // In the last part of training, where all that an objective has takes part.
    const Progress progress{.step = i, .fraction = 0.99, .total_steps = 0, .seed = training_seed(cell)};
    const FlopCounter counter;
    const Stopwatch watch;  // a step ends when its loss was read, so no other synchronisation is needed
    step.run([&] { return batches[static_cast<std::size_t>(used++ % kBatches)]; }, progress, cell.optimizer.lr);
    if (i >= kWarmUp) seconds.push_back(watch.elapsed().seconds);
    flops = counter.total();
  }
  nlohmann::json result = {{"seconds", seconds},
                           {"batch", cell.optimizer.batch},
                           {"flops_per_step", flops},
                           {"parameters", parameter_count(*assembly.model)},
                           {"peak_memory", process_peak_memory()}};
  write_measured({.device = meter.elapsed()}, result);
  return result;
}

}  // namespace silc
