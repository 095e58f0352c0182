#include "nn/contrastive_loss.h"

#include <cmath>

#include "nn/contrastive_tiles.h"
#include "nn/precision.h"
#include "nn/ranks.h"
#include "silc/error.h"

namespace silc {

at::Tensor clip_loss(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale) {
  const NoAutocast guard;
  if (image.size(0) > kContrastiveTile || !ranks().alone())
    return tiled_clip_loss(full_precision(image), full_precision(text), scale, kContrastiveTile);
  const auto logits = at::matmul(full_precision(image) * scale, full_precision(text).t());  // [B, B]
  // CE(S, diagonal) of row i is logsumexp(S_i) − S_ii, and both directions share S_ii.
  const auto image_to_text = at::logsumexp(logits, {1});  // [B]
  const auto text_to_image = at::logsumexp(logits, {0});  // [B]
  return ((image_to_text + text_to_image) / 2 - logits.diagonal()).mean();
}

at::Tensor sigmoid_loss(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale,
                        const at::Tensor& bias) {
  const NoAutocast guard;
  if (image.size(0) > kContrastiveTile || !ranks().alone())
    return tiled_sigmoid_loss(full_precision(image), full_precision(text), scale, bias, kContrastiveTile);
  const auto logits = at::matmul(full_precision(image) * scale, full_precision(text).t()) + bias;  // [B, B]
  // −log σ(S) = softplus(−S) = softplus(S) − S: softplus(S) everywhere, and S taken off on the diagonal.
  const auto batch = static_cast<double>(image.size(0));
  return (at::softplus(logits).sum() - logits.diagonal().sum()) / batch;
}

ContrastiveLoss::ContrastiveLoss(double initial_scale)
    : logit_scale_(register_parameter("logit_scale", at::scalar_tensor(std::log(initial_scale)))) {}

at::Tensor ContrastiveLoss::over_views(const at::Tensor& image, const at::Tensor& text) {
  const auto views = image.split(text.size(0));  // V × [B, E]
  auto sum = forward(views[0], text);
  for (std::size_t v = 1; v < views.size(); ++v) sum = sum + forward(views[v], text);
  return sum / static_cast<double>(views.size());
}

ClipLoss::ClipLoss() : ContrastiveLoss(1 / 0.07) {}

at::Tensor ClipLoss::forward(const at::Tensor& image, const at::Tensor& text) {
  return clip_loss(image, text, logit_scale_.exp());
}

void ClipLoss::clamp() {
  const torch::NoGradGuard no_grad;
  logit_scale_.clamp_max_(std::log(max_scale()));
}

double ClipLoss::chance(int64_t batch) const { return std::log(static_cast<double>(batch)); }

double ClipLoss::max_scale() const { return 100; }

SigmoidLoss::SigmoidLoss(double initial_bias)
    : ContrastiveLoss(10), logit_bias_(register_parameter("logit_bias", at::scalar_tensor(initial_bias))) {}

at::Tensor SigmoidLoss::forward(const at::Tensor& image, const at::Tensor& text) {
  return sigmoid_loss(image, text, logit_scale_.exp(), logit_bias_);
}

double SigmoidLoss::chance(int64_t batch) const {
  const auto B = static_cast<double>(batch);
  return std::log(B) + (batch > 1 ? (B - 1) * std::log(B / (B - 1)) : 0);
}

std::shared_ptr<ContrastiveLoss> make_contrastive_loss(const std::string& name, double initial_bias) {
  if (name == "clip") return std::make_shared<ClipLoss>();
  if (name == "siglip") return std::make_shared<SigmoidLoss>(initial_bias);
  throw Error("there is no contrastive loss \"" + name + "\"; choose \"clip\" or \"siglip\"");
}

}  // namespace silc
