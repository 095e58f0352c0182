// The MLP between a feature and the space of a self-supervised loss.
#pragma once

#include <torch/nn/modules/container/modulelist.h>

#include <cstdint>

#include "silc/export.h"

namespace silc {

struct ProjectionHeadShape {
  int64_t width = 0;  // of the feature
  int64_t layers = 0;
  int64_t hidden = 0;
  int64_t out = 0;
  bool batch_norm = true;  // true: batch normalisation and ReLU after each layer but the last (SimCLR); false: GELU
};

// `layers` linear layers, initialised as PyTorch's. Batch normalisation uses the statistics of the features that are
// given together, on all ranks: give view after view if each is to be normalised by its own. Its running statistics are
// buffers.
class SILC_EXPORT ProjectionHead : public torch::nn::Module {
 public:
  explicit ProjectionHead(const ProjectionHeadShape& shape);

  // [B, D] → [B, out]. Batch normalisation needs two pictures or more in training, over all ranks.
  at::Tensor forward(const at::Tensor& features);

 private:
  torch::nn::ModuleList linears_;
  torch::nn::ModuleList norms_;
};

}  // namespace silc
