// How the machine's threads are divided among cells that run side by side. No LibTorch.
#pragma once

#include <cstdint>
#include <span>

#include "spec/cell.h"

namespace silc {

// Cores that this process may run on (sched_getaffinity), at least 1.
int64_t available_threads();

// `threads` and `jobs` as the user gave them, 0 where they did not.
struct ThreadRequest {
  int64_t threads = 0;  // altogether; 0: all that are available
  // Cells side by side; 0: one for each GPU that cells may run on, and where there are none as many as fit if the
  // experiment fixes the threads of a cell, else 1.
  int64_t jobs = 0;
};

struct ThreadPlan {
  int64_t threads = 1;
  int64_t jobs = 1;

  // Threads of each rank of a cell: what its experiment fixes, or its part of the whole, at least 1.
  [[nodiscard]] int64_t of(const ResolvedCell& cell) const;
};

// `gpus`: how many GPUs the cells may run on.
ThreadPlan plan_threads(const ThreadRequest& request, std::span<const ResolvedCell> cells, std::size_t gpus = 0);

}  // namespace silc
