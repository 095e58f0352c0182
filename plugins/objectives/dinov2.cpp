// DINOv2 (Oquab 2024, arXiv:2304.07193; code: github.com/facebookresearch/dinov2, train/ssl_meta_arch.py with the
// losses of loss/): DINO on class tokens, iBOT on masked patches, and the KoLeo regularizer on class tokens.
// L = L_DINO + L_iBOT + 0.1 · (KoLeo of the student's first global crops + KoLeo of the second).
//
// As DINO (dino.cpp) it uses no text, so its zero-shot figures are those of chance. The defaults are those of
// configs/ssl_default_config.yaml (the published large models: sinkhorn_knopp, separate_head, 131072 prototypes),
// fractions of training standing for its 100 epochs. Layer-wise learning rates and the patch embedding's are parts of
// the objective; weight decay (0.04 to 0.4 along a cosine), clipping (3.0), stochastic depth (0.3) and layer scale
// (1e-5) are set at optimizer and backbone. The prototypes' gains are learned, as in the published head.
#include "nn/freeze.h"
#include "nn/health.h"
#include "nn/koleo.h"
#include "nn/layer_decay.h"
#include "nn/multi_crop.h"
#include "nn/patch_masks.h"
#include "nn/patch_token_loss.h"
#include "nn/teacher.h"
#include "nn/views.h"

namespace silc::objectives::dinov2 {
namespace {

constexpr auto kDistillationWeight = number_option("distillation_weight", 1.0, 0, 1000, "weight of DINO's loss");
constexpr auto kPatchWeight = number_option("patch_weight", 1.0, 0, 1000, "weight of the masked patches' loss");
constexpr auto kKoleoWeight = number_option("koleo_weight", 0.1, 0, 1000, "weight of the KoLeo regularizer");
constexpr auto kCentering = centering_option();
constexpr BlockMaskOptions kMasks;
constexpr MomentumOptions kMomentum(0.992);
constexpr WarmedDistillationOptions kTargets({.first = 0.04, .last = 0.07, .duration = 0.3});
constexpr auto kSeparateHead = boolean_option("separate_head", false, "patch tokens have a head of their own");
constexpr DinoHeadOptions kHead({.norm_last_layer = false});
constexpr LayerDecayOptions kRates;
constexpr MultiCropOptions kCrops({.global_area = {0.32, 1.0}, .local = {.views = 8, .area = {0.05, 0.32}}});

class Dinov2 : public Objective {
 public:
  explicit Dinov2(const ObjectiveContext& context)
      : options_(context.options), image_size_(context.image_size), model_(context.model) {
    freeze_all_but_image_backbone(*model_);
    mask_token_ = register_parameter("mask_token", at::zeros({model_->image->width()}));
    patch_head_ = head_ = register_module("head", kHead.make(context));
    teacher_ = register_module("teacher", std::make_shared<Teacher>(context, head_, kHead.make(context)));
    teacher_patch_head_ = teacher_->head();
    if (options_[kSeparateHead]) {
      patch_head_ = register_module("patch_head", kHead.make(context));
      teacher_patch_head_ = teacher_->follow("patch_head", *patch_head_, kHead.make(context));
    }
    const auto prototypes = options_[kHead.prototypes];
    const auto centering = parse_centering(options_[kCentering]);
    distillation_ = register_module("distillation", kTargets.make(options_, prototypes, centering));
    patch_loss_ = register_module("patch_loss", kTargets.make<PatchTokenLoss>(options_, prototypes, centering));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override { return kCrops.specs(options_, image_size_); }

  [[nodiscard]] std::vector<ParameterGroup> parameter_groups() const override {
    return kRates.groups(options_, *model_->image, {mask_token_});
  }

  void prepare(Batch& batch, const Progress& progress) const override {
    kMasks.hide_evenly(batch, *model_->image, options_, progress);
  }

  StepResult step(const Batch& batch, const Progress& progress) override {
    const auto mask = PatchMasks::in(batch);                                              // of 2·B crops
    const auto global = global_crops(batch);                                              // [2·B, 3, S, S]
    const auto seen = teacher_->features(global);                                         // of the whole crops
    const auto masked = model_->image->forward_masked(global, mask.hidden, mask_token_);  // of what the masks leave
    const auto targets = teacher_->head()->forward(seen.pooled);                          // [2·B, K]
    const auto student = head_->forward(masked.pooled);                                   // [2·B, K]
    const auto local = options_[kCrops.local.views] > 0 ? head_->forward(model_->image->pool(batch.views.at("local")))
                                                        : at::Tensor();  // [V·B, K]
    const auto temperature = kTargets.temperature(options_, progress.fraction);
    const auto crops = masked.pooled.chunk(2);  // of different pictures each

    StepResult result;
    add_term(result, "distillation", distillation_->forward(targets, local, student, batch.size, temperature),
             options_[kDistillationWeight]);
    add_term(result, "patches",
             patch_loss_->of_heads(*patch_head_, masked.patches, *teacher_patch_head_, seen.patches, mask, temperature),
             options_[kPatchWeight]);
    result.terms.push_back({"koleo", koleo_loss(crops[0]) + koleo_loss(crops[1]), options_[kKoleoWeight]});
    return result;
  }

  void after_backward(const Progress& progress) override {
    if (progress.fraction >= options_[kHead.freeze]) return;
    head_->freeze_last_layer();
    patch_head_->freeze_last_layer();
  }

  void after_update(const Progress& progress) override {
    teacher_->update(kMomentum.momentum(options_, progress.fraction));
  }

  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_->tower(); }
  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return health_of(batch, nullptr, distillation_, patch_loss_);
  }

 private:
  Options options_;
  int64_t image_size_;
  std::shared_ptr<DualEncoder> model_;
  at::Tensor mask_token_;                                // [D]
  std::shared_ptr<DistillationHead> head_, patch_head_;  // one and the same without separate_head
  std::shared_ptr<DistillationHead> teacher_patch_head_;
  std::shared_ptr<Teacher> teacher_;
  std::shared_ptr<SelfDistillationLoss> distillation_;
  std::shared_ptr<PatchTokenLoss> patch_loss_;
};

}  // namespace

SILC_OBJECTIVE(dinov2, Dinov2, 1,
               "DINOv2: DINO, iBOT and KoLeo, of pictures alone; zero-shot figures are those of chance",
               needs(Need::patch_tokens, Need::masked_input), kDistillationWeight, kPatchWeight, kKoleoWeight,
               kCentering, kMasks, kMomentum, kTargets, kSeparateHead, kHead, kRates, kCrops);

}  // namespace silc::objectives::dinov2
