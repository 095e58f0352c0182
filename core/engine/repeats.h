// What a batch holds more than once.
#pragma once

#include "silc/objective.h"

namespace silc {

// Shares of a batch's examples that an earlier one of the batch equals, in [0, 1): what a contrastive loss takes for
// negatives of each other, and what are none.
struct Repeats {
  double pictures = 0;  // the same sample of the dataset
  double captions = 0;  // the same tokens; of C captions of a picture, only those at the same place are compared
};

// `batch`: on the CPU, as BatchSource makes it.
Repeats repeats_in(const Batch& batch);

}  // namespace silc
