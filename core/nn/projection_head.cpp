#include "nn/projection_head.h"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include "nn/precision.h"
#include "nn/ranks.h"

namespace silc {

namespace {

at::Tensor normalized(torch::nn::BatchNorm1dImpl& norm, const at::Tensor& x) {
  if (ranks().alone()) return norm.forward(x);
  const auto& options = norm.options;
  if (norm.is_training()) norm.num_batches_tracked.add_(1);
  return batch_norm_over_ranks(x, norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.is_training(),
                               options.momentum().value(), options.eps());
}

}  // namespace

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
      x = at::relu(normalized(*norms_[i]->as<torch::nn::BatchNorm1dImpl>(), full_precision(x)));
    }
  }
  return x;
}

}  // namespace silc
