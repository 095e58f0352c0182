#include "nn/plain_contrastive.h"

#include "nn/health.h"

namespace silc {

PlainContrastive::PlainContrastive(const ObjectiveContext& context, ViewSpec view,
                                   std::shared_ptr<ContrastiveLoss> loss)
    : view_(std::move(view)), model_(context.model), loss_(register_module("loss", std::move(loss))) {}

std::vector<HealthCheck> PlainContrastive::health(const BatchShape& batch) const {
  return contrastive_health(*loss_, batch);
}

StepResult PlainContrastive::step(const Batch& batch, const Progress& /*progress*/) {
  const auto image = model_->image->embed(model_->image->pool(batch.views.at(view_.name)));  // [B, E]
  const auto text = model_->text->embed(batch.tokens);                                       // [B, E]
  return {.terms = {{"contrastive", loss_->forward(image, text)}}, .metrics = {{"logit_scale", loss_->scale()}}};
}

void PlainContrastive::after_update(const Progress& /*progress*/) { loss_->clamp(); }

}  // namespace silc
