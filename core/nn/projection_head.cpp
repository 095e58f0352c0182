#include "nn/projection_head.h"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include "nn/precision.h"

namespace silc {

ProjectionHead::ProjectionHead(const ProjectionHeadShape& shape) {
  register_module("linears", linears_);
  register_module("norms", norms_);
  for (int64_t i = 0; i < shape.layers; ++i) {
    const bool last = i == shape.layers - 1;
    linears_->push_back(torch::nn::Linear(i == 0 ? shape.width : shape.hidden, last ? shape.out : shape.hidden));
    if (shape.batch_norm && !last) norms_->push_back(torch::nn::BatchNorm1d(shape.hidden));
  }
}

at::Tensor ProjectionHead::forward(const at::Tensor& features) {
  auto x = features;
  for (std::size_t i = 0; i < linears_->size(); ++i) {
    x = linears_[i]->as<torch::nn::LinearImpl>()->forward(x);
    if (i + 1 == linears_->size()) return x;
    if (norms_->is_empty()) {
      x = at::gelu(x);
    } else {
      const NoAutocast guard;
      x = at::relu(norms_[i]->as<torch::nn::BatchNorm1dImpl>()->forward(full_precision(x)));
    }
  }
  return x;
}

}  // namespace silc
