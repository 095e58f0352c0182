// LibTorch's "meta" device, where tensors have shapes and no values: a computation that gets through there depends on
// no value.
#pragma once

#include <torch/nn/module.h>

namespace silc::testing {

// Leaves the shapes of all parameters and buffers, and takes their values. Module::to() cannot do that.
void forget_values(const torch::nn::Module& module);

}  // namespace silc::testing
