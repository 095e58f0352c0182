// The dual encoder that objectives train: an image tower and a text tower into one joint space.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <memory>

#include "silc/backbone.h"

namespace silc {

// Where an objective trains more than the linear projection to bring patch tokens into the joint space (PACL): it gives
// one to ImageTower::set_patch_head() in its constructor. A part of the image tower from then on, so it is in the
// checkpoint and takes part in every evaluation.
class SILC_EXPORT PatchHead : public torch::nn::Module {
 public:
  // patches: [B, N, D] → [B, N, E], L2-normalised.
  virtual at::Tensor forward(const at::Tensor& patches) = 0;

  // How well each picture fits each text, in [-1, 1]. patches: [B, N, E] as forward() gives them, texts: [T, E],
  // L2-normalised → [B, T].
  virtual at::Tensor similarity(const at::Tensor& patches, const at::Tensor& texts) = 0;
};

// Backbone and linear projection to the joint space (CLIP section 2.4; initialised with normal std D^-0.5 as in
// open_clip), without a bias unless asked for: SigLIP's text tower has one, which starts at 0.
class SILC_EXPORT ImageTower : public torch::nn::Module {
 public:
  ImageTower(std::shared_ptr<ImageBackbone> backbone, int64_t embed_dim, bool projection_bias = false);

  // images: [B, 3, H, W] → pooled [B, D], patches [B, N, D].
  ImageFeatures forward(const at::Tensor& images);

  // The pooled features of forward() alone: [B, D]. In chunks, patches are then in memory for one chunk only.
  at::Tensor pool(const at::Tensor& images);

  // ImageBackbone::forward_masked.
  ImageFeatures forward_masked(const at::Tensor& images, const at::Tensor& mask, const at::Tensor& mask_token);

  // The grid of the mask for these images, [B, 3, H, W]: for Objective::prepare().
  [[nodiscard]] PatchGrid patch_grid(const at::Tensor& images) const;

  // features: [..., D] → [..., E], L2-normalised, by the linear projection.
  [[nodiscard]] at::Tensor embed(const at::Tensor& features) const;

  // One vector for a picture, whatever the text: [B, E], L2-normalised. The projected pooled feature; with a patch head
  // the mean of its patch embeddings.
  at::Tensor embed_image(const ImageFeatures& features);

  // The features' patches → [B, N, E], L2-normalised, in one space with the embeddings of pictures and texts.
  at::Tensor embed_patches(const ImageFeatures& features);

  // Whether the projection to the joint space learns: for objectives that train or freeze it apart from the backbone.
  void train_projection(bool on);

  // Replaces the projection for patches by `head`, registered as "patch_head". At most one.
  void set_patch_head(std::shared_ptr<PatchHead> head);

  // Null where there is none.
  [[nodiscard]] const std::shared_ptr<PatchHead>& patch_head() const { return patch_head_; }

  // Pictures that go through the backbone at a time; 0: all of them. The features are the same. In training a chunk is
  // computed once more in the backward pass, so that its activations alone are in memory (GradCache, nn/recompute.h).
  void set_chunk(int64_t pictures) { chunk_ = pictures; }

  [[nodiscard]] int64_t width() const;  // D
  [[nodiscard]] int64_t embed_dim() const;

 private:
  [[nodiscard]] bool in_chunks(const at::Tensor& rows) const { return chunk_ > 0 && rows.size(0) > chunk_; }

  std::shared_ptr<ImageBackbone> backbone_;
  at::Tensor projection_;       // [D, E]
  at::Tensor projection_bias_;  // [E], or undefined
  std::shared_ptr<PatchHead> patch_head_;
  int64_t chunk_ = 0;
};

class SILC_EXPORT TextTower : public torch::nn::Module {
 public:
  TextTower(std::shared_ptr<TextBackbone> backbone, int64_t embed_dim, bool projection_bias = false);

  // tokens: [B, T] → pooled [B, D].
  at::Tensor forward(const at::Tensor& tokens);

  // tokens: [B, T] → [B, E], L2-normalised.
  at::Tensor embed(const at::Tensor& tokens);

  // features: [..., D], as forward() gives them → [..., E], L2-normalised.
  [[nodiscard]] at::Tensor embed_features(const at::Tensor& features) const;

  // As ImageTower::set_chunk, for texts.
  void set_chunk(int64_t texts) { chunk_ = texts; }

  [[nodiscard]] int64_t width() const;  // D
  [[nodiscard]] int64_t embed_dim() const;

 private:
  std::shared_ptr<TextBackbone> backbone_;
  at::Tensor projection_;       // [D, E]
  at::Tensor projection_bias_;  // [E], or undefined
  int64_t chunk_ = 0;
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
