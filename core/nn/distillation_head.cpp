#include "nn/distillation_head.h"

#include <torch/nn/modules/linear.h>

#include <cmath>

#include "nn/precision.h"

namespace silc {

DistillationHead::DistillationHead(const DistillationHeadShape& shape) {
  register_module("mlp", mlp_);
  const torch::NoGradGuard no_grad;
  for (int64_t i = 0; i < shape.layers; ++i) {
    const auto in = i == 0 ? shape.width : shape.hidden;
    const auto out = i == shape.layers - 1 ? shape.bottleneck : shape.hidden;
    torch::nn::Linear linear(in, out);
    // Bounds of ±2 lie a hundred standard deviations away: a truncated normal that is never cut.
    linear->weight.normal_(0, 0.02);
    linear->bias.zero_();
    mlp_->push_back(linear);
  }
  const double bound = 1 / std::sqrt(static_cast<double>(shape.bottleneck));
  prototypes_ =
      register_parameter("prototypes", at::empty({shape.prototypes, shape.bottleneck}).uniform_(-bound, bound));
}

at::Tensor DistillationHead::forward(const at::Tensor& features) {
  auto x = features;
  for (std::size_t i = 0; i < mlp_->size(); ++i) {
    if (i > 0) x = at::gelu(x);
    x = mlp_[i]->as<torch::nn::LinearImpl>()->forward(x);
  }
  const auto bottleneck = l2_normalize(x);  // [B, bottleneck]
  const NoAutocast guard;
  return at::linear(bottleneck, l2_normalize(prototypes_));  // [B, K]
}

}  // namespace silc
