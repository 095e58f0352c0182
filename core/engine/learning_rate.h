// The learning rate over training. No LibTorch.
#pragma once

#include "spec/cell.h"

namespace silc {

// Of the update that starts at `fraction` in [0, 1] of the budget and uses `update` of it: linear over the first
// `warmup` of the budget, as far as it is used up after the update, so that no update is wasted on a learning rate of
// 0; then along a half cosine down to final_lr · lr, or constant. As in open_clip: lr · (step + 1) / warm-up steps,
// then lr · ½ (1 + cos π (step − warm-up steps) / (steps − warm-up steps)).
double learning_rate(const OptimizerSettings& settings, double fraction, double update);

}  // namespace silc
