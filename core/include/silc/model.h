// The dual encoder that objectives train: an image tower and a text tower into one joint space.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>

#include "silc/backbone.h"

namespace silc {

// Backbone and linear projection to the joint space (no bias, CLIP section 2.4; initialised with
// normal std D^-0.5 as in open_clip).
class SILC_EXPORT ImageTower : public torch::nn::Module {
 public:
  ImageTower(std::shared_ptr<ImageBackbone> backbone, int64_t embed_dim);

  // images: [B, 3, H, W] → pooled [B, D], patches [B, N, D].
  ImageFeatures forward(const at::Tensor& images);

  // ImageBackbone::forward_masked.
  ImageFeatures forward_masked(const at::Tensor& images, const at::Tensor& mask, const at::Tensor& mask_token);

  // features: [..., D] → [..., E], L2-normalised.
  [[nodiscard]] at::Tensor embed(const at::Tensor& features) const;

  // The features' patches → [B, N, E], L2-normalised, in one space with the embeddings of pictures and texts.
  at::Tensor embed_patches(const ImageFeatures& features);

  [[nodiscard]] int64_t width() const;  // D
  [[nodiscard]] int64_t embed_dim() const;

 private:
  std::shared_ptr<ImageBackbone> backbone_;
  at::Tensor projection_;  // [D, E]
};

class SILC_EXPORT TextTower : public torch::nn::Module {
 public:
  TextTower(std::shared_ptr<TextBackbone> backbone, int64_t embed_dim);

  // tokens: [B, T] → pooled [B, D].
  at::Tensor forward(const at::Tensor& tokens);

  // tokens: [B, T] → [B, E], L2-normalised.
  at::Tensor embed(const at::Tensor& tokens);

  // features: [..., D], as forward() gives them → [..., E], L2-normalised.
  [[nodiscard]] at::Tensor embed_features(const at::Tensor& features) const;

  [[nodiscard]] int64_t width() const;  // D
  [[nodiscard]] int64_t embed_dim() const;

 private:
  std::shared_ptr<TextBackbone> backbone_;
  at::Tensor projection_;  // [D, E]
};

// What is trained and evaluated. The loss's own parameters (logit_scale, heads, prototypes) belong
// to the objective.
class SILC_EXPORT DualEncoder : public torch::nn::Module {
 public:
  DualEncoder(std::shared_ptr<ImageTower> image, std::shared_ptr<TextTower> text);
  ~DualEncoder() override;

  std::shared_ptr<ImageTower> image;
  std::shared_ptr<TextTower> text;
};

}  // namespace silc
