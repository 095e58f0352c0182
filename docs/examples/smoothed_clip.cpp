// CLIP with label smoothing: the worked example of an objective of one's own.
//
// In a batch of captions from the web, a picture's own caption is rarely the only one that fits. Smoothing moves a part
// of the target's weight to the other captions (Szegedy et al. 2016, section 7, applied to both directions of the
// loss).
#include <ATen/Functions.h>

#include <cmath>

#include "silc/objective.h"

namespace {

constexpr auto kSmoothing =
    silc::number_option("smoothing", 0.1, 0.0, 0.99, "part of the target's weight spread over all captions");

class SmoothedClip : public silc::Objective {
 public:
  explicit SmoothedClip(const silc::ObjectiveContext& context)
      : model_(context.model), smoothing_(context.options[kSmoothing]) {
    logit_scale_ = register_parameter("logit_scale", at::full({}, std::log(1 / 0.07), at::kFloat));
  }

  std::vector<silc::ViewSpec> views() const override { return {{.name = "global", .area = {0.9, 1.0}}}; }

  silc::StepResult step(const silc::Batch& batch, const silc::Progress&) override {
    const auto images = model_->image->embed(model_->image->forward(batch.views.at("global")).pooled);  // [B, E]
    const auto texts = model_->text->embed(batch.tokens);                                               // [B, E]
    const auto logits = logit_scale_.exp().clamp_max(100) * images.matmul(texts.t());                   // [B, B]
    const auto target = at::arange(batch.size, batch.tokens.options());
    const auto direction = [&](const at::Tensor& scores) {
      return at::cross_entropy_loss(scores, target, {}, at::Reduction::Mean, -100, smoothing_);
    };
    return {.terms = {{"contrastive", (direction(logits) + direction(logits.t())) / 2}}, .metrics = {}};
  }

 private:
  std::shared_ptr<silc::DualEncoder> model_;
  double smoothing_;
  at::Tensor logit_scale_;
};

}  // namespace

SILC_OBJECTIVE(smoothed_clip, SmoothedClip, 1, "CLIP with label smoothing", kSmoothing);
