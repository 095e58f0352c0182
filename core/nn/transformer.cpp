#include "nn/transformer.h"

#include <fmt/format.h>

#include <cmath>

#include "silc/error.h"

namespace silc {

void check_shape(const TransformerShape& shape, const char* backbone) {
  if (shape.width % shape.heads != 0)
    throw Error(fmt::format("backbone \"{}\": width {} is not a multiple of heads {}; choose a width that is", backbone,
                            shape.width, shape.heads));
}

SelfAttention::SelfAttention(int64_t width, int64_t heads)
    : in_proj_weight(register_parameter("in_proj_weight", at::empty({3 * width, width}))),
      in_proj_bias(register_parameter("in_proj_bias", at::zeros({3 * width}))),
      out_proj(register_module("out_proj", torch::nn::Linear(width, width))),
      heads_(heads) {}

at::Tensor SelfAttention::forward(const at::Tensor& x, bool causal) {
  const auto batch = x.size(0), length = x.size(1), width = x.size(2);
  const auto qkv = at::linear(x, in_proj_weight, in_proj_bias)  // [B, N, 3D]
                       .view({batch, length, 3, heads_, width / heads_})
                       .permute({2, 0, 3, 1, 4})  // [3, B, H, N, D/H]
                       .unbind(0);
  const auto mixed = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], {}, 0.0, causal);  // [B, H, N, D/H]
  return out_proj->forward(mixed.transpose(1, 2).reshape({batch, length, width}));
}

Mlp::Mlp(int64_t width, int64_t hidden)
    : c_fc(register_module("c_fc", torch::nn::Linear(width, hidden))),
      c_proj(register_module("c_proj", torch::nn::Linear(hidden, width))) {}

at::Tensor Mlp::forward(const at::Tensor& x) { return c_proj->forward(at::gelu(c_fc->forward(x))); }

ResidualAttentionBlock::ResidualAttentionBlock(const TransformerShape& shape)
    : ln_1(register_module("ln_1", torch::nn::LayerNorm(torch::nn::LayerNormOptions({shape.width})))),
      attn(register_module("attn", std::make_shared<SelfAttention>(shape.width, shape.heads))),
      ln_2(register_module("ln_2", torch::nn::LayerNorm(torch::nn::LayerNormOptions({shape.width})))),
      mlp(register_module("mlp", std::make_shared<Mlp>(
                                     shape.width, std::llround(static_cast<double>(shape.width) * shape.mlp_ratio)))) {}

at::Tensor ResidualAttentionBlock::forward(const at::Tensor& x, bool causal) {
  const auto attended = x + attn->forward(ln_1->forward(x), causal);
  return attended + mlp->forward(ln_2->forward(attended));
}

Transformer::Transformer(const TransformerShape& shape) {
  register_module("resblocks", resblocks_);
  const double attention_std = 1 / std::sqrt(static_cast<double>(shape.width));
  const double hidden_std = attention_std / std::sqrt(2.0);
  const double residual_std = attention_std / std::sqrt(2.0 * static_cast<double>(shape.layers));
  const torch::NoGradGuard no_grad;
  for (int64_t i = 0; i < shape.layers; ++i) {
    auto block = std::make_shared<ResidualAttentionBlock>(shape);
    block->attn->in_proj_weight.normal_(0, attention_std);
    block->attn->out_proj->weight.normal_(0, residual_std);
    block->attn->out_proj->bias.zero_();
    block->mlp->c_fc->weight.normal_(0, hidden_std);
    block->mlp->c_fc->bias.zero_();
    block->mlp->c_proj->weight.normal_(0, residual_std);
    block->mlp->c_proj->bias.zero_();
    resblocks_->push_back(std::move(block));
  }
}

at::Tensor Transformer::forward(at::Tensor x, bool causal) {
  for (const auto& block : *resblocks_) x = block->as<ResidualAttentionBlock>()->forward(x, causal);
  return x;
}

}  // namespace silc
