// From an image feature to scores of prototypes: the projection head of DINO.
#pragma once

#include <torch/nn/modules/container/modulelist.h>

#include <cstdint>
#include <string>

#include "silc/export.h"

namespace silc {

struct DistillationHeadShape {
  int64_t width = 0;  // of the feature
  int64_t layers = 3;
  int64_t hidden = 2048;
  int64_t bottleneck = 256;
  int64_t prototypes = 65536;
  int64_t patch_prototypes = 0;  // of patch tokens, after the same MLP (iBOT without shared_head); 0: the same ones
  bool norm_last_layer = true;   // the prototypes' gains stay at 1; otherwise they are learned, from 1 on
};

// Caron 2021, section 3.3 and appendix C: `layers` linear layers with GELU between them, L2 normalisation in the
// bottleneck, and a weight-normalised linear layer without bias. Where its gains are fixed at 1, as by default, its
// scores are cosines in [−1, 1]. Linear weights start from a normal distribution with std 0.02, truncated at ±2 as in
// DINO's code, biases at zero; the prototypes as PyTorch's linear layers do, of which only the directions count. The
// last product is done in full precision: in bf16 the rounding of a cosine, 2⁻⁹, would be an error of 0.05 in a logit
// at temperature 0.04.
class SILC_EXPORT DistillationHead : public torch::nn::Module {
 public:
  explicit DistillationHead(const DistillationHeadShape& shape);

  at::Tensor forward(const at::Tensor& features);  // [B, D] → [B, K]

  // The two halves of forward(): the MLP with its normalisation, and the cosines with the prototypes. Scores are linear
  // in what bottleneck() gives, so that those of a mean are the mean of those.
  at::Tensor bottleneck(const at::Tensor& features);            // [B, D] → [B, bottleneck]
  at::Tensor scores(const at::Tensor& bottleneck) const;        // → [B, K]
  at::Tensor patch_scores(const at::Tensor& bottleneck) const;  // → [B, K'], of patch tokens

  // Drops the gradients of prototypes and gains, so that the last layer stays as it is in this step.
  void freeze_last_layer();

 private:
  struct LastLayer {
    at::Tensor prototypes;  // [K, bottleneck]
    at::Tensor gains;       // [K, 1], undefined where they are 1
  };
  static at::Tensor product(const at::Tensor& bottleneck, const LastLayer& layer);
  LastLayer make_last_layer(const std::string& prefix, int64_t bottleneck, int64_t prototypes, bool norm);

  torch::nn::ModuleList mlp_;
  LastLayer last_layer_;
  LastLayer patch_last_layer_;  // undefined prototypes: last_layer_
};

}  // namespace silc
