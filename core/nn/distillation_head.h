// From an image feature to scores of prototypes: the projection head of DINO.
#pragma once

#include <torch/nn/modules/container/modulelist.h>

#include <cstdint>

#include "silc/export.h"

namespace silc {

struct DistillationHeadShape {
  int64_t width = 0;  // of the feature
  int64_t layers = 3;
  int64_t hidden = 2048;
  int64_t bottleneck = 256;
  int64_t prototypes = 65536;
};

// Caron 2021, section 3.3 and appendix C: `layers` linear layers with GELU between them, L2 normalisation in the
// bottleneck, and a weight-normalised linear layer without bias whose gains are fixed at 1: its scores are cosines in
// [−1, 1]. Linear weights start from a normal distribution with std 0.02, truncated at ±2 as in DINO's code, biases at
// zero; the prototypes as PyTorch's linear layers do, of which only the directions count. The last product is done in
// full precision: in bf16 the rounding of a cosine, 2⁻⁹, would be an error of 0.05 in a logit at temperature 0.04.
class SILC_EXPORT DistillationHead : public torch::nn::Module {
 public:
  explicit DistillationHead(const DistillationHeadShape& shape);

  at::Tensor forward(const at::Tensor& features);  // [B, D] → [B, K]

  // [K, bottleneck], before normalisation; not const because its gradient is dropped while it is frozen.
  at::Tensor& prototypes() { return prototypes_; }

 private:
  torch::nn::ModuleList mlp_;
  at::Tensor prototypes_;  // [K, bottleneck]
};

}  // namespace silc
