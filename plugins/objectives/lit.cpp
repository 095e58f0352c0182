// LiT (Zhai 2022, arXiv:2111.07991): a text tower learns to read out of an image tower that stays as it is, "Lu" in the
// paper's terms. It is for a second phase, or for a model that starts from a checkpoint: the image tower must have
// learnt something. As in google-research/big_vision (configs/proj/image_text/siglip_lit_coco.py), the schedule of
// img/.* is None: neither gradient nor weight decay; and by default no head is learnt on top of the image tower.
#include "nn/contrastive_loss.h"
#include "nn/freeze.h"
#include "nn/health.h"
#include "silc/objective.h"

namespace silc::objectives::lit {
namespace {

constexpr auto kContrastive =
    choice_option("contrastive", "clip", "clip|siglip", "contrastive loss; siglip: SigLiT (Zhai 2023)");
constexpr auto kImageProjection = choice_option(
    "image_projection", "frozen", "frozen|trained",
    "projection of the image tower to the joint space. frozen: as it came, no head is learnt on the image "
    "tower (LiT's default); trained: a linear head on it is");
constexpr auto kArea = pair_option("area", 0.9, 1.0, 0.01, 1.0, "part of the picture's area that the view shows");
constexpr auto kFlip = boolean_option("flip", false, "mirror the view half of the time");

class Lit : public Objective {
 public:
  explicit Lit(const ObjectiveContext& context)
      : area_(context.options[kArea]), flip_(context.options[kFlip]), model_(context.model) {
    loss_ = register_module("loss", make_contrastive_loss(context.options[kContrastive]));
    freeze(*model_->image);
    if (context.options[kImageProjection] == "trained") model_->image->projection().set_requires_grad(true);
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override {
    return {{.name = "image", .area = area_, .flip = flip_}};
  }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return contrastive_health(*loss_, batch);
  }

  StepResult step(const Batch& batch, const Progress& /*progress*/) override {
    model_->image->eval();  // statistics of a batch norm stay as well
    // Frozen, it leaves no graph behind.
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

SILC_OBJECTIVE(lit, Lit, 1, "LiT: contrastive learning of the text tower alone, the image tower frozen", kContrastive,
               kImageProjection, kArea, kFlip);

}  // namespace silc::objectives::lit
