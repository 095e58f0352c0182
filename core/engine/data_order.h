// Which sample stands where in training. No LibTorch.
#pragma once

#include <cstdint>

namespace silc {

// An endless sequence of epochs, each a random permutation of the dataset. A pure function of (seed, position), so
// that resuming needs no replay and no shuffled list is kept.
class DataOrder {
 public:
  // size ≥ 1.
  DataOrder(int64_t size, uint64_t seed);

  // Index into the dataset of the sample at `position` ≥ 0, counted from the start of training. Positions k·size …
  // (k+1)·size − 1 give every index once.
  [[nodiscard]] int64_t sample_at(int64_t position) const;

  // Which of `count` ≥ 1 captions is the `number`th drawn for the sample at `position`, each from all of them.
  [[nodiscard]] int64_t caption_at(int64_t position, int64_t count, int64_t number = 0) const;

 private:
  [[nodiscard]] uint64_t permute(uint64_t value, uint32_t epoch) const;

  uint64_t size_;
  uint64_t seed_;
  int half_bits_;
};

}  // namespace silc
