// Patch-aligned contrastive learning (PACL): each text looks at a picture's patches itself.
#pragma once

#include <torch/nn/modules/linear.h>

#include "nn/contrastive_loss.h"
#include "silc/model.h"

namespace silc {

struct PatchEmbedderShape {
  int64_t width = 0;      // D, of the patch tokens
  int64_t embed_dim = 0;  // E
  bool sigmoid = false;   // weights of patches: a sigmoid of each score instead of a softmax over all
  double scale = 10;      // of the cosines before it
  int64_t tile = 64;      // texts compared with all pictures at once
};

// The vision embedder of Mukhoti 2023, appendix A.1: linear, ReLU, linear, beside a linear skip connection.
class SILC_EXPORT PatchEmbedder : public PatchHead {
 public:
  explicit PatchEmbedder(const PatchEmbedderShape& shape);

  at::Tensor forward(const at::Tensor& patches) override;

  // Mukhoti 2023, equations 2 to 4: the cosine of text and a(x, y)-weighted sum of patches, a(x, y) = softmax over
  // patches of scale · cosine(patch, text). What it needs of memory, B · N scores and a vector a picture for each text,
  // it needs for `tile` texts at a time, in the backward pass too, where tiles are computed anew; T ≤ tile: one tile,
  // and nothing is computed twice.
  at::Tensor similarity(const at::Tensor& patches, const at::Tensor& texts) override;

 private:
  PatchEmbedderShape shape_;
  torch::nn::Linear fc1_{nullptr};
  torch::nn::Linear fc2_{nullptr};
  torch::nn::Linear skip_{nullptr};
};

// CLIP's loss, and its scale, on similarities that are no products of two embeddings.
class SILC_EXPORT SimilarityLoss : public ClipLoss {
 public:
  // similarity: [b, B] of this rank's picture i and text j of all ranks, matched on the diagonal (of the whole [B, B])
  // → scalar.
  at::Tensor of_similarities(const at::Tensor& similarity);
};

}  // namespace silc
