// CLIP with label smoothing: a loss on top of another.
//
// A part ε of the target's weight is spread over all captions of the batch (Szegedy 2016, section 7). With the logits
// S = scale · image textᵀ that is CLIP's loss + ε mean(diagonal of S) − ε mean(S).
#include <cmath>

#include "nn/contrastive_loss.h"
#include "nn/ranks.h"
#include "silc/objective.h"

namespace {

constexpr auto kSmoothing = silc::number_option("smoothing", 0.1, 0, 0.99, "weight spread over all captions");

class SmoothedClip : public silc::Objective {
 public:
  explicit SmoothedClip(const silc::ObjectiveContext& context)
      : model_(context.model), smoothing_(context.options[kSmoothing]) {
    logit_scale_ = register_parameter("logit_scale", at::scalar_tensor(std::log(1 / 0.07)));
  }

  std::vector<silc::ViewSpec> views() const override { return {{.name = "image", .area = {0.9, 1.0}}}; }

  silc::StepResult step(const silc::Batch& batch, const silc::Progress&) override {
    const auto image = model_->image->embed(model_->image->forward(batch.views.at("image")).pooled);  // [B, E]
    const auto text = model_->text->embed(batch.tokens);                                              // [B, E]
    const auto scale = logit_scale_.exp().clamp_max(100);
    // Other ranks' pictures and captions count in a mean over all pairs (nn/ranks.h).
    const auto images = silc::whole_batch(image, batch.size), texts = silc::whole_batch(text, batch.size);
    const auto own = (image * text).sum(1).mean(), all = (images.mean(0) * texts.mean(0)).sum();
    return {{{"clip", silc::clip_loss(image, text, scale)}, {"smoothing", scale * (own - all), smoothing_}}, {}};
  }

 private:
  std::shared_ptr<silc::DualEncoder> model_;
  double smoothing_;
  at::Tensor logit_scale_;
};

}  // namespace

SILC_OBJECTIVE(smoothed_clip, SmoothedClip, 1, "CLIP with label smoothing", kSmoothing);
