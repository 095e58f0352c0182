#include "schedule/forecast.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "schedule/temporary_file.h"
#include "silc/error.h"

namespace silc {
namespace {

using Json = nlohmann::json;

CountedPart part_of(const Json& json) {
  CountedPart part{.steps = json.at("steps").get<double>(),
                   .rank_flops = json.at("rank_flops").get<double>(),
                   .input_bytes = json.at("input_bytes").get<double>(),
                   .transfers = {}};
  for (const Json& each : json.at("transfers"))
    part.transfers.push_back({each.at("after").get<double>(), each.at("bytes").get<double>(),
                              each.at("latencies").get<double>(), each.at("beside").get<bool>()});
  return part;
}

CountedMemory memory_of(const Json& json) {
  const auto bytes = [&](const char* key) { return json.at(key).get<double>(); };
  return {.weights = bytes("weights"),
          .kept = bytes("kept"),
          .gradients = bytes("gradients"),
          .optimizer = bytes("optimizer"),
          .buckets = bytes("buckets"),
          .activations = bytes("activations"),
          .peak = bytes("peak")};
}

// An update of rank 0 in time: it computes, sends beside that, and waits for the rest. One operation at a time uses the
// link.
struct Timeline {
  double waiting = 0;
  double sending = 0;  // with what is hidden
};

Timeline play(const CountedPart& part, double flops_per_second, double link, double latency) {
  Timeline timeline;
  double free_at = 0;
  for (const CountedTransfer& transfer : part.transfers) {
    const double now = transfer.after / flops_per_second + timeline.waiting;
    const double duration = transfer.bytes / link + transfer.latencies * latency;
    free_at = std::max(now, free_at) + duration;
    timeline.sending += duration;
    if (!transfer.beside) timeline.waiting += free_at - now;
  }
  const double end = part.rank_flops / flops_per_second + timeline.waiting;
  timeline.waiting += std::max(0.0, free_at - end);
  return timeline;
}

}  // namespace

CountedTraining count_training(const Engine& engine, const ResolvedCell& cell) {
  const TemporaryFile file(write_cell(cell));
  const auto answer = ask_engine(engine, {"count", "--cell", file.path().string()}, {}, cell.engine.hang_seconds);
  try {
    CountedTraining training;
    training.ranks = cell.engine.ranks;
    training.parameters = answer.at("parameters").get<int64_t>();
    training.steps = answer.at("total_steps").get<int64_t>();
    training.flops = answer.at("total_flops").get<double>();
    training.precision = answer.at("precision").get<std::string>();
    for (const Json& part : answer.at("parts")) training.parts.push_back(part_of(part));
    training.memory = memory_of(answer.at("memory"));
    training.checkpoint_bytes = answer.at("checkpoint_bytes").get<double>();
    return training;
  } catch (const Json::exception&) {
    throw Error("silc-engine count (" + engine.program.string() +
                ") did not answer as expected; is it of this version?");
  }
}

double peak_flops(const Device& device, const std::string& precision) {
  return precision == "bf16" ? device.bf16_flops : device.fp32_flops;
}

double usual_mfu(const Device& device, const std::string& precision) {
  return precision == "bf16" ? device.bf16_mfu : device.fp32_mfu;
}

double link_speed(const Device& device, int64_t ranks) {
  return ranks <= device.per_node ? device.within_node : std::min(device.within_node, device.between_nodes);
}

Forecast forecast(const CountedTraining& training, const Device& device, const ForecastSettings& settings) {
  const double speed = peak_flops(device, training.precision) * usual_mfu(device, training.precision);
  const double link = link_speed(device, training.ranks);
  const CountedMemory& memory = training.memory;
  // AdamW reads weights, gradients and two moments and writes three of them; clipping reads gradients for their norm,
  // and reads and writes them once more; an average of weights reads two and writes one.
  const double optimizer = (10 * memory.weights + 3 * memory.kept) / device.memory_bandwidth;

  Forecast result;
  double steps = 0, flops = 0;
  for (const CountedPart& part : training.parts) {
    const Timeline timeline = play(part, speed, link, settings.latency);
    const double computing = part.rank_flops / speed;
    steps += part.steps;
    flops += part.steps * part.rank_flops;
    result.computing += part.steps * computing;
    result.optimizer += part.steps * optimizer;
    result.waiting += part.steps * timeline.waiting;
    result.beside += part.steps * std::max(0.0, timeline.sending - timeline.waiting);
    for (const CountedTransfer& transfer : part.transfers)
      (transfer.beside ? result.sent_gradients : result.sent_otherwise) += part.steps * transfer.bytes;
    result.input_per_second = std::max(result.input_per_second, part.input_bytes);  // of an update, for now
  }
  result.checkpoint_seconds = training.checkpoint_bytes / settings.disk;
  result.needed_memory = memory.peak + settings.reserved_memory;
  result.fits = result.needed_memory <= device.memory;
  if (steps <= 0) return result;
  const double updates = result.computing + result.optimizer + result.waiting;
  const double checkpoints =
      settings.checkpoint_interval > 0 ? std::floor(updates / settings.checkpoint_interval) + 1 : 1;
  result.seconds = updates + checkpoints * result.checkpoint_seconds;
  result.device_seconds = result.seconds * static_cast<double>(training.ranks);
  result.mfu = flops / (result.seconds * peak_flops(device, training.precision));
  for (double* of_update : {&result.computing, &result.optimizer, &result.waiting, &result.beside,
                            &result.sent_gradients, &result.sent_otherwise})
    *of_update /= steps;
  result.update_seconds = updates / steps;
  result.pictures_per_second = settings.pictures / result.update_seconds;
  result.read_per_second = result.pictures_per_second * settings.picture_bytes;
  result.input_per_second /= result.update_seconds;
  return result;
}

std::vector<std::vector<std::string>> savings(const ResolvedCell& cell) {
  std::vector<std::vector<std::string>> ways;
  const std::string blocks = "engine.recompute=\"blocks\"";
  std::vector<std::string> with;
  if (cell.engine.recompute != "blocks") {
    ways.push_back({blocks});
    with.push_back(blocks);
  }
  const int64_t own = cell.optimizer.batch / cell.engine.ranks;
  constexpr int64_t kSmallest = 16;  // below, a GPU has too little to do at a time
  int64_t chunk = cell.engine.chunk > 0 ? std::min(cell.engine.chunk, own) : own;
  while (chunk / 4 >= kSmallest) {
    chunk /= 4;
    std::vector<std::string> way = with;
    way.push_back(fmt::format("engine.chunk={}", chunk));
    ways.push_back(std::move(way));
  }
  return ways;
}

}  // namespace silc
