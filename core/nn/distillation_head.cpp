#include "nn/distillation_head.h"

#include <torch/nn/modules/linear.h>

#include <cmath>

#include "nn/precision.h"

namespace silc {

namespace {

template <class Function>
std::vector<at::Tensor> in_one_pass(std::span<const at::Tensor> sets, const Function& function) {
  std::vector<at::Tensor> defined;
  std::vector<int64_t> lengths;
  for (const auto& set : sets) {
    if (!set.defined()) continue;
    defined.push_back(set);
    lengths.push_back(set.size(0));
  }
  const auto parts = function(defined.size() == 1 ? defined[0] : at::cat(defined)).split_with_sizes(lengths);
  std::vector<at::Tensor> results(sets.size());
  std::size_t part = 0;
  for (std::size_t i = 0; i < sets.size(); ++i)
    if (sets[i].defined()) results[i] = parts[part++];
  return results;
}

}  // namespace

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
  last_layer_ = make_last_layer("", shape.bottleneck, shape.prototypes, shape.norm_last_layer);
  if (shape.patch_prototypes > 0)
    patch_last_layer_ = make_last_layer("patch_", shape.bottleneck, shape.patch_prototypes, shape.norm_last_layer);
}

DistillationHead::LastLayer DistillationHead::make_last_layer(const std::string& prefix, int64_t bottleneck,
                                                              int64_t prototypes, bool norm) {
  const double bound = 1 / std::sqrt(static_cast<double>(bottleneck));
  LastLayer layer;
  layer.prototypes =
      register_parameter(prefix + "prototypes", at::empty({prototypes, bottleneck}).uniform_(-bound, bound));
  if (!norm) layer.gains = register_parameter(prefix + "gains", at::ones({prototypes, 1}));
  return layer;
}

at::Tensor DistillationHead::bottleneck(const at::Tensor& features) {
  auto x = features;
  for (std::size_t i = 0; i < mlp_->size(); ++i) {
    if (i > 0) x = at::gelu(x);
    x = mlp_[i]->as<torch::nn::LinearImpl>()->forward(x);
  }
  return l2_normalize(x);
}

at::Tensor DistillationHead::scores(const at::Tensor& bottleneck) const { return product(bottleneck, last_layer_); }

at::Tensor DistillationHead::patch_scores(const at::Tensor& bottleneck) const {
  return product(bottleneck, patch_last_layer_.prototypes.defined() ? patch_last_layer_ : last_layer_);
}

at::Tensor DistillationHead::product(const at::Tensor& bottleneck, const LastLayer& layer) {
  const NoAutocast guard;
  const auto directions = l2_normalize(layer.prototypes);  // [K, bottleneck]
  return at::linear(bottleneck, layer.gains.defined() ? directions * layer.gains : directions);
}

at::Tensor DistillationHead::forward(const at::Tensor& features) { return scores(bottleneck(features)); }

std::vector<at::Tensor> DistillationHead::each(std::span<const at::Tensor> sets) {
  return in_one_pass(sets, [&](const at::Tensor& features) { return forward(features); });
}

std::vector<at::Tensor> DistillationHead::each_bottleneck(std::span<const at::Tensor> sets) {
  return in_one_pass(sets, [&](const at::Tensor& features) { return bottleneck(features); });
}

void DistillationHead::freeze_last_layer() {
  for (auto* parameter :
       {&last_layer_.prototypes, &last_layer_.gains, &patch_last_layer_.prototypes, &patch_last_layer_.gains})
    if (parameter->defined()) parameter->mutable_grad().reset();
}

DistillationHeadShape DistillationHeadOptions::shape(const ObjectiveContext& context) const {
  return {.width = context.model->image->width(),
          .layers = context.options[layers],
          .hidden = context.options[hidden],
          .bottleneck = context.options[bottleneck],
          .prototypes = context.options[prototypes]};
}

std::shared_ptr<DistillationHead> DistillationHeadOptions::make(const ObjectiveContext& context) const {
  return std::make_shared<DistillationHead>(shape(context));
}

DistillationHeadShape DinoHeadOptions::shape(const ObjectiveContext& context) const {
  auto shape = DistillationHeadOptions::shape(context);
  shape.norm_last_layer = context.options[norm_last_layer];
  return shape;
}

std::shared_ptr<DistillationHead> DinoHeadOptions::make(const ObjectiveContext& context) const {
  return std::make_shared<DistillationHead>(shape(context));
}

}  // namespace silc
