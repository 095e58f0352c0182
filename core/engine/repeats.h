// What a batch holds more than once.
#pragma once

#include <cstdint>
#include <vector>

#include "silc/objective.h"

namespace silc {

// Shares of a batch's examples that an earlier one of the batch equals, in [0, 1): what a contrastive loss takes for
// negatives of each other, and what are none.
struct Repeats {
  double pictures = 0;  // the same sample of the dataset
  double captions = 0;  // the same tokens; of C captions of a picture, only those at the same place are compared
};

// What tells the examples of a batch apart.
struct BatchKeys {
  std::vector<int64_t> pictures;                // [B]
  std::vector<std::vector<uint64_t>> captions;  // [C][B], hashes of their tokens
};

// `batch`: on the CPU, as BatchSource makes it.
BatchKeys keys_of(const Batch& batch);

Repeats repeats_in(const BatchKeys& batch);
inline Repeats repeats_in(const Batch& batch) { return repeats_in(keys_of(batch)); }

}  // namespace silc
