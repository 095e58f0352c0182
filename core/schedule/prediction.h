// What a cell would cost, by measuring a few of its steps. No LibTorch.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "schedule/engine_process.h"
#include "spec/cell.h"

namespace silc {

struct Prediction {
  int64_t parameters = 0;
  int64_t steps = 0;
  double flops = 0;                    // of training
  double seconds = 0;                  // of training with the threads asked for, without evaluation
  std::optional<int64_t> peak_memory;  // bytes, of all ranks together
  // On a GPU, bytes: what LibTorch took of its memory, without the half a GB or so that CUDA itself takes, and what it
  // has.
  std::optional<int64_t> device_peak_memory;
  std::optional<int64_t> device_memory;
  // From steps with batches of 2 and 4 pictures, because one with the whole batch would take too long. Memory is not
  // known then.
  bool extrapolated = false;
};

// Asks `silc-engine measure`, which takes some seconds, for large models minutes: as many engines together as the cell
// has ranks, with `threads` each. The cell reaches them in a temporary file. Throws silc::Error.
Prediction predict(const Engine& engine, const ResolvedCell& cell, int64_t threads);

// How long cells of these times take, `jobs` at a time, each started as soon as there is room for it, in order.
double side_by_side_seconds(std::span<const double> seconds, int64_t jobs);

}  // namespace silc
