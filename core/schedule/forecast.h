// What training a cell would take on devices that are not here: counts of an update (silc-engine count) laid over the
// figures of a device. No LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schedule/engine_process.h"
#include "spec/cell.h"
#include "spec/device.h"

namespace silc {

// What a rank sends in an update: bytes, after so many FLOPs of its own, with the latencies of so many messages one
// after the other; `beside` the computation, or while it waits.
struct CountedTransfer {
  double after = 0;
  double bytes = 0;
  double latencies = 0;
  bool beside = false;
};

// A part of training in which every update is alike.
struct CountedPart {
  double steps = 0;
  double rank_flops = 0;   // of an update, of one rank
  double input_bytes = 0;  // of a batch, on its way to a device
  std::vector<CountedTransfer> transfers;
};

struct CountedMemory {  // of a rank, bytes
  double weights = 0;   // that are trained
  double kept = 0;      // teachers, frozen towers, buffers
  double gradients = 0;
  double optimizer = 0;
  double buckets = 0;      // for the sum of gradients over ranks
  double activations = 0;  // at the peak, with the batch
  double peak = 0;         // all of it

  // What every rank holds whatever its batch is.
  [[nodiscard]] double state() const { return peak - activations; }
};

struct CountedTraining {
  int64_t ranks = 1;
  int64_t parameters = 0;
  int64_t steps = 0;
  double flops = 0;  // of all ranks and updates
  std::string precision;
  std::vector<CountedPart> parts;
  CountedMemory memory;
  double checkpoint_bytes = 0;
};

// Asks `silc-engine count`, which takes seconds. Throws silc::Error.
CountedTraining count_training(const Engine& engine, const ResolvedCell& cell);

struct ForecastSettings {
  double pictures = 0;             // of an update
  double checkpoint_interval = 0;  // seconds
  double disk = 2e9;               // bytes/s at which a checkpoint is written
  double picture_bytes = 50e3;     // of a picture in its file
  double latency = 20e-6;          // seconds of a message
  double reserved_memory = 1.5e9;  // bytes that are no tensors': CUDA, cuBLAS and NCCL
};

struct Forecast {
  // Of an update, on average over training. seconds = computing + optimizer + waiting.
  double update_seconds = 0;
  double computing = 0;       // FLOPs / (peak · MFU)
  double optimizer = 0;       // of the memory's bandwidth
  double waiting = 0;         // for other ranks
  double beside = 0;          // sent while it computes, and hidden by that
  double sent_gradients = 0;  // bytes of a rank, beside the computation
  double sent_otherwise = 0;  // bytes of a rank, for losses, statistics and figures

  double seconds = 0;         // of the whole training, checkpoints included
  double device_seconds = 0;  // of all devices
  double mfu = 0;             // that is reached with all that is waited for

  double pictures_per_second = 0;
  double read_per_second = 0;   // bytes, of all ranks, from storage
  double input_per_second = 0;  // bytes, of one rank, to its device

  double checkpoint_seconds = 0;  // for one
  double needed_memory = 0;       // bytes of a device
  bool fits = true;
};

// `device.*_flops` in the precision of `training` must be there. The formulas: docs/scale.md.
Forecast forecast(const CountedTraining& training, const Device& device, const ForecastSettings& settings);

double peak_flops(const Device& device, const std::string& precision);
double usual_mfu(const Device& device, const std::string& precision);

// What a device sends at most with so many ranks: within a node, or at the pace of the slowest link between nodes.
double link_speed(const Device& device, int64_t ranks);

// Settings of the engine with which a rank needs less memory, the cheapest first, each as KEY=VALUE pairs.
std::vector<std::vector<std::string>> savings(const ResolvedCell& cell);

}  // namespace silc
