// Losses between matched image and text embeddings. All compute in full precision, also under autocast, and in memory
// that grows with B, not with B²: above a tile's size in tiles (nn/contrastive_tiles.h).
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "silc/export.h"
#include "silc/options.h"

namespace silc {

// image, text: [B, E], L2-normalised, row i of one belonging to row i of the other. The greatest value of `scale` and
// the like is the caller's business.

// CLIP (Radford 2021, figure 3): S = scale · image textᵀ; ½ (CE(S, diagonal) + CE(Sᵀ, diagonal)), a mean over B.
SILC_EXPORT at::Tensor clip_loss(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale);

// SigLIP (Zhai 2023, algorithm 1): S = scale · image textᵀ + bias; −1/B Σ_ij log σ(z_ij S_ij) with z = 1 on the
// diagonal and −1 elsewhere.
SILC_EXPORT at::Tensor sigmoid_loss(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale,
                                    const at::Tensor& bias);

// A loss with the parameters that it learns.
class SILC_EXPORT ContrastiveLoss : public torch::nn::Module {
 public:
  // [B, E], [B, E] → scalar.
  virtual at::Tensor forward(const at::Tensor& image, const at::Tensor& text) = 0;

  // The mean of the loss over views: image [V·B, E], view by view, against the same text [B, E].
  at::Tensor over_views(const at::Tensor& image, const at::Tensor& text);

  // Brings parameters back into their range; call it after each update.
  virtual void clamp() {}

  // exp(logit_scale) for the log, detached.
  [[nodiscard]] at::Tensor scale() const { return logit_scale_.detach().exp(); }

  // The least loss that embeddings reach which tell nothing of what belongs together, in nats.
  [[nodiscard]] virtual double chance(int64_t batch) const = 0;

  // What clamp() keeps scale() at or below; infinity: nothing.
  [[nodiscard]] virtual double max_scale() const { return std::numeric_limits<double>::infinity(); }

 protected:
  explicit ContrastiveLoss(double initial_scale);
  at::Tensor logit_scale_;  // scalar, the logarithm of the scale
};

// logit_scale starts at log(1 / 0.07) and is kept at or below log 100 (Radford 2021, section 2.5).
class SILC_EXPORT ClipLoss : public ContrastiveLoss {
 public:
  ClipLoss();
  at::Tensor forward(const at::Tensor& image, const at::Tensor& text) override;
  void clamp() override;
  // log B: all of a row alike.
  [[nodiscard]] double chance(int64_t batch) const override;
  [[nodiscard]] double max_scale() const override;
};

// logit_scale starts at log 10 (Zhai 2023, section 3.2).
class SILC_EXPORT SigmoidLoss : public ContrastiveLoss {
 public:
  explicit SigmoidLoss(double initial_bias = -10);
  at::Tensor forward(const at::Tensor& image, const at::Tensor& text) override;
  // B times the entropy of "one of B matches": the bias has learned how rare matches are, and nothing else.
  [[nodiscard]] double chance(int64_t batch) const override;

 private:
  at::Tensor logit_bias_;  // scalar
};

// `name`: "clip" or "siglip"; the bias is SigLIP's alone.
SILC_EXPORT std::shared_ptr<ContrastiveLoss> make_contrastive_loss(const std::string& name, double initial_bias = -10);

// The option that names one of them.
consteval Option<std::string> contrastive_option() {
  return choice_option("contrastive", "clip", "clip|siglip",
                       "contrastive loss: CLIP's softmax over the batch or SigLIP's sigmoid of each pair");
}

consteval Option<double> initial_bias_option() {
  return number_option("initial_bias", -10.0, -100, 100,
                       "logit_bias of the sigmoid loss at the start; -10 suits batches of thousands, -log(batch - 1) "
                       "makes the first loss that of guessing with the right prior");
}

}  // namespace silc
