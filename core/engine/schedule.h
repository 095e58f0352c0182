// The learning rate over training. No LibTorch.
#pragma once

#include "spec/cell.h"

namespace silc {

// At `fraction` in [0, 1] of the budget: linear from 0 to lr over the first `warmup`, then along a half cosine down to
// final_lr · lr, or constant.
double learning_rate(const OptimizerSettings& settings, double fraction);

}  // namespace silc
