// SigLIP (Zhai 2023): each pair of picture and caption is a decision of its own, matched or not.
#include "nn/contrastive_loss.h"
#include "nn/health.h"
#include "silc/objective.h"

namespace silc::objectives::siglip {
namespace {

constexpr auto kArea = pair_option("area", 0.9, 1.0, 0.01, 1.0, "part of the picture's area that the view shows");
constexpr auto kFlip = boolean_option("flip", false, "mirror the view half of the time");
constexpr auto kInitialBias = number_option(
    "initial_bias", -10.0, -100, 100,
    "logit_bias at the start; -10 suits batches of thousands, -log(batch - 1) makes the first loss that of "
    "guessing with the right prior");

class Siglip : public Objective {
 public:
  explicit Siglip(const ObjectiveContext& context)
      : area_(context.options[kArea]), flip_(context.options[kFlip]), model_(context.model) {
    loss_ = register_module("loss", std::make_shared<SigmoidLoss>(context.options[kInitialBias]));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override {
    return {{.name = "image", .area = area_, .flip = flip_}};
  }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return contrastive_health(*loss_, batch);
  }

  StepResult step(const Batch& batch, const Progress& /*progress*/) override {
    const auto image = model_->image->embed(model_->image->pool(batch.views.at("image")));  // [B, E]
    const auto text = model_->text->embed(batch.tokens);                                    // [B, E]
    return {.terms = {{"contrastive", loss_->forward(image, text)}}, .metrics = {{"logit_scale", loss_->scale()}}};
  }

  void after_update(const Progress& /*progress*/) override { loss_->clamp(); }

 private:
  Pair area_;
  bool flip_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<ContrastiveLoss> loss_;
};

}  // namespace

SILC_OBJECTIVE(siglip, Siglip, 1, "SigLIP's sigmoid contrastive loss", kArea, kFlip, kInitialBias);

}  // namespace silc::objectives::siglip
