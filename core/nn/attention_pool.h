// Multi-head attention pooling (MAP): a learned query reads the patch tokens.
#pragma once

#include "nn/transformer.h"

namespace silc {

// The head of SigLIP (Zhai 2023; Zhai, Scaling Vision Transformers, 2022): one learned query attends to all tokens,
// then a residual MLP. Names of parameters as in timm's AttentionPoolLatent.
class SILC_EXPORT AttentionPool : public torch::nn::Module {
 public:
  // Of the shape's width, heads, MLP and norm_eps; the MLP is never gated.
  explicit AttentionPool(const TransformerShape& shape);

  at::Tensor forward(const at::Tensor& tokens);  // [B, N, D] → [B, D]

  // What the head would give if it saw one token alone: value and output projection, then the MLP. So MaskCLIP (Zhou C.
  // 2022, section 3.2) brings the patches of a model with attention pooling into the space of the pooled feature.
  at::Tensor each(const at::Tensor& tokens);  // [B, N, D] → [B, N, D]

 private:
  at::Tensor finish(const at::Tensor& values);  // [..., D] → [..., D]

  int64_t heads_;
  at::Tensor latent_;  // [1, 1, D]
  torch::nn::Linear q_{nullptr};
  torch::nn::Linear kv_{nullptr};
  torch::nn::Linear proj_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
  std::shared_ptr<Mlp> mlp_;
};

}  // namespace silc
