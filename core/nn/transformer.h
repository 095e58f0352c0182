// The pre-norm transformer of CLIP's image and text towers.
#pragma once

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <cstdint>

#include "silc/export.h"

namespace silc {

struct TransformerShape {
  int64_t width = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  double mlp_ratio = 4;
};

// Throws silc::Error where `heads` does not divide `width`; `backbone` names the plugin in the message.
SILC_EXPORT void check_shape(const TransformerShape& shape, const char* backbone);

// Multi-head self-attention with one product for query, key and value. Parameters as in torch's MultiheadAttention.
class SILC_EXPORT SelfAttention : public torch::nn::Module {
 public:
  SelfAttention(int64_t width, int64_t heads);
  at::Tensor forward(const at::Tensor& x, bool causal);  // [B, N, D] → [B, N, D]

  at::Tensor in_proj_weight;  // [3D, D], rows of query, key, value
  at::Tensor in_proj_bias;    // [3D]
  torch::nn::Linear out_proj{nullptr};

 private:
  int64_t heads_;
};

// Linear, GELU (exact), linear.
class SILC_EXPORT Mlp : public torch::nn::Module {
 public:
  Mlp(int64_t width, int64_t hidden);
  at::Tensor forward(const at::Tensor& x);  // [..., D] → [..., D]

  torch::nn::Linear c_fc{nullptr};
  torch::nn::Linear c_proj{nullptr};
};

// x + attention(norm(x)), then x + mlp(norm(x)).
class SILC_EXPORT ResidualAttentionBlock : public torch::nn::Module {
 public:
  explicit ResidualAttentionBlock(const TransformerShape& shape);
  at::Tensor forward(const at::Tensor& x, bool causal);  // [B, N, D] → [B, N, D]

  torch::nn::LayerNorm ln_1{nullptr};
  std::shared_ptr<SelfAttention> attn;
  torch::nn::LayerNorm ln_2{nullptr};
  std::shared_ptr<Mlp> mlp;
};

// The stack of blocks, without the norms around it. Names of parameters and initial values are those of open_clip's
// text tower: normal with std D^-0.5 for query, key and value, (2D)^-0.5 for the first layer of the MLP and D^-0.5
// (2L)^-0.5 for what is added to the residual stream, and zero biases. (open_clip leaves its image tower at PyTorch's
// defaults, "OpenAI CLIP did not define an init"; here both towers start alike.)
class SILC_EXPORT Transformer : public torch::nn::Module {
 public:
  explicit Transformer(const TransformerShape& shape);
  at::Tensor forward(at::Tensor x, bool causal);  // [B, N, D] → [B, N, D]

 private:
  torch::nn::ModuleList resblocks_;
};

}  // namespace silc
