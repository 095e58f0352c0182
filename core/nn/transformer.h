// The pre-norm transformer of CLIP's image and text towers, with the variants of its blocks that later towers use.
#pragma once

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <cstdint>
#include <string>

#include "nn/patch_grid.h"
#include "silc/export.h"

namespace silc {

enum class MlpKind : uint8_t {
  gelu,        // exact
  gelu_tanh,   // its approximation by tanh, as SigLIP was trained with
  quick_gelu,  // x · sigmoid(1.702 x), as OpenAI's CLIP was trained with
  swiglu,      // silu(gate) · x (Shazeer 2020), as in DINOv2's largest model and EVA-02
};

// By the enumerator's name. Throws std::logic_error for any other.
SILC_EXPORT MlpKind parse_mlp(const std::string& name);

struct TransformerShape {
  int64_t width = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  double mlp_ratio = 4;
  MlpKind mlp = MlpKind::gelu;
  double layer_scale = 0;       // initial value; 0: none
  bool qk_norm = false;         // norms of each head's queries and keys (Dehghani 2023)
  bool attention_norm = false;  // a norm before attention's output projection (sub-LN, Wang H. 2022)
  bool mlp_norm = false;        // a norm before the MLP's last layer (sub-LN)
  double norm_eps = 1e-5;
};

// Throws silc::Error where `heads` does not divide `width`; `backbone` names the plugin in the message.
SILC_EXPORT void check_shape(const TransformerShape& shape, const char* backbone);

SILC_EXPORT torch::nn::LayerNorm layer_norm(int64_t width, double eps = 1e-5);

// Multi-head self-attention with one product for query, key and value. Parameters as in torch's MultiheadAttention.
class SILC_EXPORT SelfAttention : public torch::nn::Module {
 public:
  explicit SelfAttention(const TransformerShape& shape);
  at::Tensor forward(const at::Tensor& x, bool causal, const Rotary& rotary);  // [B, N, D] → [B, N, D]

  at::Tensor in_proj_weight;  // [3D, D], rows of query, key, value
  at::Tensor in_proj_bias;    // [3D]
  torch::nn::LayerNorm ln_q{nullptr};
  torch::nn::LayerNorm ln_k{nullptr};
  torch::nn::LayerNorm ln_inner{nullptr};
  torch::nn::Linear out_proj{nullptr};

 private:
  int64_t heads_;
};

// Linear, activation, a norm where asked for, linear. A gated activation takes both of its halves, gate first, from the
// first layer.
class SILC_EXPORT Mlp : public torch::nn::Module {
 public:
  Mlp(int64_t width, int64_t hidden, MlpKind kind = MlpKind::gelu);
  explicit Mlp(const TransformerShape& shape);
  at::Tensor forward(const at::Tensor& x);  // [..., D] → [..., D]

  torch::nn::Linear c_fc{nullptr};
  torch::nn::LayerNorm ln_inner{nullptr};
  torch::nn::Linear c_proj{nullptr};

 private:
  MlpKind kind_;
};

// A learned gain for each channel of what is added to the residual stream (Touvron 2021).
class SILC_EXPORT LayerScale : public torch::nn::Module {
 public:
  LayerScale(int64_t width, double initial);
  at::Tensor forward(const at::Tensor& x);  // [..., D] → [..., D]

 private:
  at::Tensor gamma_;  // [D]
};

// x + attention(norm(x)), then x + mlp(norm(x)).
class SILC_EXPORT ResidualAttentionBlock : public torch::nn::Module {
 public:
  explicit ResidualAttentionBlock(const TransformerShape& shape);
  at::Tensor forward(const at::Tensor& x, bool causal, const Rotary& rotary);  // [B, N, D] → [B, N, D]

  torch::nn::LayerNorm ln_1{nullptr};
  std::shared_ptr<SelfAttention> attn;
  std::shared_ptr<LayerScale> ls_1;
  torch::nn::LayerNorm ln_2{nullptr};
  std::shared_ptr<Mlp> mlp;
  std::shared_ptr<LayerScale> ls_2;
};

// The stack of blocks, without the norms around it. Names of parameters and initial values are those of open_clip's
// text tower: normal with std D^-0.5 for query, key and value, (2D)^-0.5 for the first layer of the MLP and D^-0.5
// (2L)^-0.5 for what is added to the residual stream, and zero biases. (open_clip leaves its image tower at PyTorch's
// defaults, "OpenAI CLIP did not define an init"; here both towers start alike.)
class SILC_EXPORT Transformer : public torch::nn::Module {
 public:
  explicit Transformer(const TransformerShape& shape);
  at::Tensor forward(at::Tensor x, bool causal, const Rotary& rotary = {});  // [B, N, D] → [B, N, D]

  // Whether blocks keep their input alone and are computed again in the backward pass (nn/recompute.h).
  void set_recompute(bool on) { recompute_ = on; }

 private:
  torch::nn::ModuleList resblocks_;
  bool recompute_ = false;
};

// Transformer::set_recompute(true) for every transformer below `module`; how many there are.
SILC_EXPORT int64_t recompute_blocks(torch::nn::Module& module);

}  // namespace silc
