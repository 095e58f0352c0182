// Memory for time: parts of a network that keep their inputs alone and are computed again in the backward pass.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "silc/export.h"

namespace silc {

using Tensors = std::vector<at::Tensor>;
using TensorFunction = std::function<Tensors(const Tensors&)>;

// forward(inputs), computed without a graph, and with one in the backward pass (Chen 2016, "Training deep nets with
// sublinear memory cost"). Values and gradients are those of forward(inputs) if two things hold. `forward` uses no
// tensor that requires a gradient but its inputs and `parameters`, which may be given though they require none. And it
// does the same when it is called again: LibTorch's generators and autocast are then as they were the first time, but a
// module that changes its buffers (batch norm) changes them twice. Without gradients it is forward(inputs) itself.
SILC_EXPORT Tensors recompute(const TensorFunction& forward, const Tensors& inputs, const Tensors& parameters);

// recompute() on consecutive rows of the inputs, at most `chunk` ≥ 1 of them at a time and as many in each as can be,
// with the outputs put together again: GradCache (Gao 2021, "Scaling deep contrastive learning batch size under memory
// limited setup"), in which the loss sees the outputs of the whole batch and the network's activations are there for
// one chunk only. Exact where a row of the outputs depends on the same row of the inputs alone. Random numbers are
// drawn chunk by chunk, so that dropout takes other masks than in one pass.
SILC_EXPORT Tensors recompute_in_chunks(const TensorFunction& forward, const Tensors& inputs, const Tensors& parameters,
                                        int64_t chunk);

// The name of a module below `module` that normalises over the rows of a batch (batch norm), if there is one.
SILC_EXPORT std::optional<std::string> find_batch_norm(const torch::nn::Module& module);

}  // namespace silc
