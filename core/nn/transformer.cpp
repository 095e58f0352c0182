#include "nn/transformer.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "nn/recompute.h"
#include "silc/error.h"

namespace silc {

MlpKind parse_mlp(const std::string& name) {
  if (name == "gelu") return MlpKind::gelu;
  if (name == "gelu_tanh") return MlpKind::gelu_tanh;
  if (name == "quick_gelu") return MlpKind::quick_gelu;
  if (name == "swiglu") return MlpKind::swiglu;
  throw std::logic_error("no MLP has the name \"" + name + "\"");
}

void check_shape(const TransformerShape& shape, const char* backbone) {
  if (shape.width % shape.heads != 0)
    throw Error(fmt::format("backbone \"{}\": width {} is not a multiple of heads {}; choose a width that is", backbone,
                            shape.width, shape.heads));
}

torch::nn::LayerNorm layer_norm(int64_t width, double eps) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(eps));
}

SelfAttention::SelfAttention(const TransformerShape& shape)
    : in_proj_weight(register_parameter("in_proj_weight", at::empty({3 * shape.width, shape.width}))),
      in_proj_bias(register_parameter("in_proj_bias", at::zeros({3 * shape.width}))),
      out_proj(register_module("out_proj", torch::nn::Linear(shape.width, shape.width))),
      heads_(shape.heads) {
  if (shape.qk_norm) {
    ln_q = register_module("ln_q", layer_norm(shape.width / shape.heads, shape.norm_eps));
    ln_k = register_module("ln_k", layer_norm(shape.width / shape.heads, shape.norm_eps));
  }
  if (shape.attention_norm) ln_inner = register_module("ln_inner", layer_norm(shape.width, shape.norm_eps));
}

at::Tensor SelfAttention::forward(const at::Tensor& x, bool causal, const Rotary& rotary) {
  const auto batch = x.size(0), length = x.size(1), width = x.size(2);
  const auto qkv = at::linear(x, in_proj_weight, in_proj_bias)  // [B, N, 3D]
                       .view({batch, length, 3, heads_, width / heads_})
                       .permute({2, 0, 3, 1, 4})  // [3, B, H, N, D/H]
                       .unbind(0);
  auto query = qkv[0], key = qkv[1];
  if (ln_q) {
    query = ln_q->forward(query);
    key = ln_k->forward(key);
  }
  if (rotary.sine.defined()) {
    query = rotate(query, rotary);
    key = rotate(key, rotary);
  }
  auto mixed = at::scaled_dot_product_attention(query, key, qkv[2], {}, 0.0, causal);  // [B, H, N, D/H]
  mixed = mixed.transpose(1, 2).reshape({batch, length, width});
  return out_proj->forward(ln_inner ? ln_inner->forward(mixed) : mixed);
}

Mlp::Mlp(int64_t width, int64_t hidden, MlpKind kind)
    : c_fc(register_module("c_fc", torch::nn::Linear(width, kind == MlpKind::swiglu ? 2 * hidden : hidden))),
      c_proj(register_module("c_proj", torch::nn::Linear(hidden, width))),
      kind_(kind) {}

Mlp::Mlp(const TransformerShape& shape)
    : Mlp(shape.width, std::llround(static_cast<double>(shape.width) * shape.mlp_ratio), shape.mlp) {
  if (shape.mlp_norm) ln_inner = register_module("ln_inner", layer_norm(c_proj->options.in_features(), shape.norm_eps));
}

at::Tensor Mlp::forward(const at::Tensor& x) {
  auto hidden = c_fc->forward(x);
  switch (kind_) {
    case MlpKind::gelu:
      hidden = at::gelu(hidden);
      break;
    case MlpKind::gelu_tanh:
      hidden = at::gelu(hidden, "tanh");
      break;
    case MlpKind::quick_gelu:
      hidden = hidden * at::sigmoid(1.702 * hidden);
      break;
    case MlpKind::swiglu: {
      const auto halves = hidden.chunk(2, -1);
      hidden = at::silu(halves[0]) * halves[1];
      break;
    }
  }
  return c_proj->forward(ln_inner ? ln_inner->forward(hidden) : hidden);
}

LayerScale::LayerScale(int64_t width, double initial)
    : gamma_(register_parameter("gamma", at::full({width}, initial))) {}

at::Tensor LayerScale::forward(const at::Tensor& x) { return x * gamma_.to(x.scalar_type()); }

ResidualAttentionBlock::ResidualAttentionBlock(const TransformerShape& shape)
    : ln_1(register_module("ln_1", layer_norm(shape.width, shape.norm_eps))),
      attn(register_module("attn", std::make_shared<SelfAttention>(shape))),
      ln_2(register_module("ln_2", layer_norm(shape.width, shape.norm_eps))),
      mlp(register_module("mlp", std::make_shared<Mlp>(shape))) {
  if (shape.layer_scale != 0) {
    ls_1 = register_module("ls_1", std::make_shared<LayerScale>(shape.width, shape.layer_scale));
    ls_2 = register_module("ls_2", std::make_shared<LayerScale>(shape.width, shape.layer_scale));
  }
}

at::Tensor ResidualAttentionBlock::forward(const at::Tensor& x, bool causal, const Rotary& rotary) {
  const auto scaled = [](const std::shared_ptr<LayerScale>& scale, const at::Tensor& added) {
    return scale ? scale->forward(added) : added;
  };
  const auto attended = x + scaled(ls_1, attn->forward(ln_1->forward(x), causal, rotary));
  return attended + scaled(ls_2, mlp->forward(ln_2->forward(attended)));
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

at::Tensor Transformer::forward(at::Tensor x, bool causal, const Rotary& rotary) {
  for (std::size_t i = 0; i < resblocks_->size(); ++i) {
    const auto block = resblocks_->ptr<ResidualAttentionBlock>(i);
    if (!recompute_) {
      x = block->forward(x, causal, rotary);
      continue;
    }
    const auto forward = [=](const Tensors& inputs) { return Tensors{block->forward(inputs[0], causal, rotary)}; };
    x = recompute(forward, {x}, block->parameters())[0];
  }
  return x;
}

int64_t recompute_blocks(torch::nn::Module& module) {
  int64_t count = 0;
  for (const auto& each : module.modules(/*include_self=*/false)) {
    auto* transformer = each->as<Transformer>();
    if (transformer == nullptr) continue;
    transformer->set_recompute(true);
    ++count;
  }
  return count;
}

}  // namespace silc
