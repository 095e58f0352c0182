// Backbone plugins: image and text encoders without their projection to the joint space.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>

#include "silc/error.h"
#include "silc/plugin.h"

namespace silc {

struct ImageFeatures {
  at::Tensor pooled;   // [B, D] what the contrastive projection sees
  at::Tensor patches;  // [B, N, D] patch tokens after the final norm, row by row; N = grid_height × grid_width
  int64_t grid_height = 0;
  int64_t grid_width = 0;
};

struct PatchGrid {
  int64_t height = 0;
  int64_t width = 0;
};

struct ImageBackboneContext {
  const Options& options;
  int64_t image_size;  // side of a global view in pixels
};

// Throws silc::Error from its constructor for options that do not go together.
class SILC_EXPORT ImageBackbone : public torch::nn::Module {
 public:
  // images: [B, 3, H, W] in [-1, 1]. H and W may be smaller than image_size (local crops).
  virtual ImageFeatures forward(const at::Tensor& images) = 0;
  [[nodiscard]] virtual int64_t width() const = 0;  // D

  // As forward(), with the patches at which `mask` ([B, N] bool, row by row) is true replaced by `mask_token` ([D])
  // before the position embeddings are added: for masked prediction (BEiT, iBOT). Throws silc::Error where the backbone
  // has no patch tokens at its input.
  virtual ImageFeatures forward_masked(const at::Tensor& /*images*/, const at::Tensor& /*mask*/,
                                       const at::Tensor& /*mask_token*/) {
    refuse_masks();
  }

  // The grid of the mask for pictures of these sides in pixels: that of forward()'s patches. From several threads at
  // once. Goes with forward_masked().
  [[nodiscard]] virtual PatchGrid patch_grid(int64_t /*height*/, int64_t /*width*/) const { refuse_masks(); }

  // The patch tokens [B, N, D] as the contrastive projection can read them, for zero-shot segmentation. Override where
  // pooling itself transforms what it pools (attention pooling).
  virtual at::Tensor localize(const ImageFeatures& features) { return features.patches; }

 private:
  [[noreturn]] static void refuse_masks() {
    throw Error("this image backbone cannot mask patches; objectives with masked prediction need one that can, as vit");
  }
};

struct TextBackboneContext {
  const Options& options;
  int64_t vocabulary_size;
  int64_t context_length;
  int64_t padding_id;
  int64_t end_id;  // of the token that ends each text, for those that pool there
};

class SILC_EXPORT TextBackbone : public torch::nn::Module {
 public:
  // tokens: [B, T] int64 → [B, D] pooled.
  virtual at::Tensor forward(const at::Tensor& tokens) = 0;
  [[nodiscard]] virtual int64_t width() const = 0;  // D
};

}  // namespace silc

// SILC_IMAGE_BACKBONE(identifier, Class, version, "one line", options...)
#define SILC_IMAGE_BACKBONE(id, Class, version, ...) \
  SILC_PLUGIN(image_backbone, ::silc::ImageBackbone, ::silc::ImageBackboneContext, id, Class, version, __VA_ARGS__)
#define SILC_TEXT_BACKBONE(id, Class, version, ...) \
  SILC_PLUGIN(text_backbone, ::silc::TextBackbone, ::silc::TextBackboneContext, id, Class, version, __VA_ARGS__)
