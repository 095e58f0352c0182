// Counts the floating-point operations that are really run.
#pragma once

#include <cstdint>

namespace silc {

// Multiply-adds × 2 of matrix products, convolutions and attention, forward and backward, of all threads since it was
// made; the same rules as PyTorch's FlopCounterMode. Watches the operators as they are dispatched, so a part that runs
// without gradient, for half of a batch, or not at all, counts for what it is. An operator that calls another counts
// once. Attention kernels recompute the scores in the backward pass, and that counts too.
//
// One at a time in a process.
class FlopCounter {
 public:
  FlopCounter();
  ~FlopCounter();
  FlopCounter(const FlopCounter&) = delete;
  FlopCounter& operator=(const FlopCounter&) = delete;

  [[nodiscard]] int64_t total() const;

 private:
  uint64_t handle_;
  int64_t start_;
};

}  // namespace silc
