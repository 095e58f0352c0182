// SLIP (Mu 2021, arXiv:2112.12750): CLIP on one view of a picture, SimCLR on two more that are cropped and coloured
// harder. Defaults are those of the authors' code (facebookresearch/SLIP: main.py, datasets.py, models.py, losses.py).
#include "nn/contrastive_loss.h"
#include "nn/health.h"
#include "nn/nt_xent_loss.h"
#include "nn/projection_head.h"
#include "nn/ranks.h"
#include "nn/views.h"
#include "silc/objective.h"

namespace silc::objectives::slip {
namespace {

constexpr auto kWeight = number_option("weight", 1.0, 0, 1000, "weight of the self-supervised loss");
constexpr auto kTemperature = number_option("temperature", 0.1, 0.001, 10, "of the self-supervised softmax");
constexpr auto kHeadLayers = integer_option("head_layers", 3, 1, 16, "layers of the self-supervised head's MLP");
constexpr auto kHidden = integer_option("hidden", 4096, 1, 65536, "width of the head's hidden layers");
constexpr auto kOut = integer_option("out", 256, 1, 65536, "width of the head's output");
constexpr auto kArea = pair_option("area", 0.5, 1.0, 0.01, 1.0, "part of the picture's area that CLIP's view shows");
constexpr auto kAugmentedArea =
    pair_option("augmented_area", 0.08, 1.0, 0.01, 1.0, "part of the area that the self-supervised views show");
constexpr auto kFlip = boolean_option("flip", true, "mirror the self-supervised views half of the time");
constexpr auto kColours = boolean_option("colours", true, "jitter, greyscale and blur in the self-supervised views");

// As datasets.py: ColorJitter(0.4, 0.4, 0.4, 0.1) with 0.8, greyscale with 0.2, blur of sigma 0.1 to 2 with 0.5.
constexpr Photometric kSimclrColours = {.jitter = 0.8,
                                        .brightness = 0.4,
                                        .contrast = 0.4,
                                        .saturation = 0.4,
                                        .hue = 0.1,
                                        .greyscale = 0.2,
                                        .blur = 0.5,
                                        .blur_sigma = {0.1, 2.0}};

class Slip : public Objective {
 public:
  explicit Slip(const ObjectiveContext& context) : options_(context.options), model_(context.model) {
    contrastive_ = register_module("contrastive", std::make_shared<ClipLoss>());
    head_ =
        register_module("head", std::make_shared<ProjectionHead>(ProjectionHeadShape{.width = model_->image->width(),
                                                                                     .layers = options_[kHeadLayers],
                                                                                     .hidden = options_[kHidden],
                                                                                     .out = options_[kOut]}));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override {
    return {{.name = "image", .area = options_[kArea]},
            {.name = "augmented",
             .count = 2,
             .area = options_[kAugmentedArea],
             .flip = options_[kFlip],
             .colours = options_[kColours] ? kSimclrColours : Photometric{}}};
  }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return contrastive_health(*contrastive_, batch);
  }

  // L = L_CLIP(image, text) + weight · NT-Xent(head(augmented_1), head(augmented_2)).
  StepResult step(const Batch& batch, const Progress& /*progress*/) override {
    if (batch.size * ranks().size() < 2 && options_[kHeadLayers] > 1)
      throw Error(
          "objective \"slip\": the batch norm in its head needs two pictures or more; set optimizer.batch to 2 or "
          "more");
    const std::vector<at::Tensor> sets = {batch.views.at("image"), batch.views.at("augmented")};
    const auto features = pooled_features(*model_->image, sets);  // [B, D], [2·B, D]

    const auto image = model_->image->embed(features[0]);  // [B, E]
    const auto text = model_->text->embed(batch.tokens);   // [B, E]
    const auto views = features[1].split(batch.size);      // the head's batch norm sees each view by itself
    const auto first = head_->forward(views[0]), second = head_->forward(views[1]);
    return {.terms = {{"contrastive", contrastive_->forward(image, text)},
                      {"simclr", nt_xent_loss(first, second, options_[kTemperature]), options_[kWeight]}},
            .metrics = {{"logit_scale", contrastive_->scale()}}};
  }

  void after_update(const Progress& /*progress*/) override { contrastive_->clamp(); }

 private:
  Options options_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<ContrastiveLoss> contrastive_;
  std::shared_ptr<ProjectionHead> head_;
};

}  // namespace

SILC_OBJECTIVE(slip, Slip, 1, "SLIP: CLIP and SimCLR on two augmented views", kWeight, kTemperature, kHeadLayers,
               kHidden, kOut, kArea, kAugmentedArea, kFlip, kColours);

}  // namespace silc::objectives::slip
