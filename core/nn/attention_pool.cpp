#include "nn/attention_pool.h"

#include <cmath>

namespace silc {

AttentionPool::AttentionPool(const TransformerShape& shape)
    : heads_(shape.heads),
      latent_(register_parameter("latent", at::empty({1, 1, shape.width}))),
      q_(register_module("q", torch::nn::Linear(shape.width, shape.width))),
      kv_(register_module("kv", torch::nn::Linear(shape.width, 2 * shape.width))),
      proj_(register_module("proj", torch::nn::Linear(shape.width, shape.width))),
      norm_(register_module("norm", layer_norm(shape.width, shape.norm_eps))),
      mlp_(register_module(
          "mlp", std::make_shared<Mlp>(shape.width, std::llround(static_cast<double>(shape.width) * shape.mlp_ratio),
                                       shape.mlp == MlpKind::swiglu ? MlpKind::gelu : shape.mlp))) {
  const torch::NoGradGuard no_grad;
  latent_.normal_(0, 1 / std::sqrt(static_cast<double>(shape.width)));
}

at::Tensor AttentionPool::forward(const at::Tensor& tokens) {
  const auto batch = tokens.size(0), length = tokens.size(1), width = tokens.size(2);
  const auto query = q_->forward(latent_)  // [1, 1, D]
                         .view({1, 1, heads_, width / heads_})
                         .transpose(1, 2)
                         .expand({batch, -1, -1, -1});  // [B, H, 1, D/H]
  const auto kv = kv_->forward(tokens)                  // [B, N, 2D]
                      .view({batch, length, 2, heads_, width / heads_})
                      .permute({2, 0, 3, 1, 4})  // [2, B, H, N, D/H]
                      .unbind(0);
  const auto mixed = at::scaled_dot_product_attention(query.to(kv[0].scalar_type()), kv[0], kv[1]);  // [B, H, 1, D/H]
  return finish(mixed.reshape({batch, width}));
}

at::Tensor AttentionPool::each(const at::Tensor& tokens) {
  const auto width = tokens.size(2);
  return finish(at::linear(tokens, kv_->weight.slice(0, width), kv_->bias.slice(0, width)));
}

at::Tensor AttentionPool::finish(const at::Tensor& values) {
  const auto x = proj_->forward(values);
  return x + mlp_->forward(norm_->forward(x));
}

}  // namespace silc
