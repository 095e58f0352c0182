// iBOT (Zhou 2022, arXiv:2111.07832; code: github.com/bytedance/ibot, main_ibot.py, loader.py and models/head.py):
// DINO, and masked prediction: in a part of the student's global crops, blocks of patches are replaced by a mask token,
// and the student predicts the teacher's prototypes of those. The class token that is distilled is the masked crop's.
//
// As DINO (dino.cpp) it uses no text, so its zero-shot figures are those of chance, and leaves weight decay (0.04 to
// 0.4), clipping (3.0) and stochastic depth (0.1) to optimizer and backbone. The defaults are those of the published
// models (README of the code), fractions of training standing for the epochs of a run of 100. Without shared_head,
// patch tokens have prototypes of their own after the same MLP, in student and teacher.
#include "nn/freeze.h"
#include "nn/health.h"
#include "nn/multi_crop.h"
#include "nn/patch_masks.h"
#include "nn/patch_token_loss.h"
#include "nn/teacher.h"
#include "nn/views.h"

namespace silc::objectives::ibot {
namespace {

constexpr auto kDistillationWeight = number_option("distillation_weight", 1.0, 0, 1000, "weight of DINO's loss");
constexpr auto kPatchWeight = number_option("patch_weight", 1.0, 0, 1000, "weight of the masked patches' loss");
constexpr BlockMaskOptions kMasks;
constexpr MomentumOptions kMomentum(0.996);
constexpr WarmedDistillationOptions kTargets({.first = 0.04, .last = 0.07, .duration = 0.3});
constexpr WarmedTemperature kPatchTemperature("teacher_patch_temperature", 0.04, 0.07,
                                              "of the teacher's softmax of patch tokens");
constexpr auto kSharedHead = boolean_option("shared_head", true, "class and patch tokens share their prototypes");
constexpr auto kPatchPrototypes =
    integer_option("patch_prototypes", 8192, 2, 1048576, "outputs for patch tokens without shared_head");
constexpr DinoHeadOptions kHead({.prototypes = 8192});
constexpr MultiCropOptions kCrops({.global_area = {0.25, 1.0}, .local = {.views = 10, .area = {0.05, 0.25}}});

class Ibot : public Objective {
 public:
  explicit Ibot(const ObjectiveContext& context)
      : options_(context.options), image_size_(context.image_size), model_(context.model) {
    freeze_all_but_image_backbone(*model_);
    mask_token_ = register_parameter("mask_token", at::zeros({model_->image->width()}));
    head_ = register_module("head", make_head(context));
    teacher_ = register_module("teacher", std::make_shared<Teacher>(context, head_, make_head(context)));
    distillation_ = register_module("distillation", kTargets.make(options_, options_[kHead.prototypes]));
    patch_loss_ = register_module("patch_loss", kTargets.make<PatchTokenLoss>(options_, patch_prototypes()));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override { return kCrops.specs(options_, image_size_); }

  void prepare(Batch& batch, const Progress& progress) const override {
    kMasks.hide_independently(batch, *model_->image, options_, progress);
  }

  StepResult step(const Batch& batch, const Progress& progress) override {
    const auto mask = PatchMasks::in(batch);                                              // of 2·B crops
    const auto global = global_crops(batch);                                              // [2·B, 3, S, S]
    const auto seen = teacher_->features(global);                                         // of the whole crops
    const auto masked = model_->image->forward_masked(global, mask.hidden, mask_token_);  // of what the masks leave
    const auto hidden = masked_patches(masked.patches, mask);                             // [M, D]
    const auto local = options_[kCrops.local.views] > 0 ? model_->image->pool(batch.views.at("local")) : at::Tensor();

    const auto student = head_->each_bottleneck(std::array{masked.pooled, hidden, local});
    const auto local_scores = local.defined() ? head_->scores(student[2]) : local;            // [V·B, K]
    const auto targets = teacher_->head()->forward(seen.pooled);                              // [2·B, K]
    const auto taught = teacher_->head()->bottleneck(seen.patches);                           // [2·B, N, bottleneck]
    const auto patch_targets = teacher_->head()->patch_scores(masked_patches(taught, mask));  // [M, K']
    const auto patch_mean = teacher_->head()->patch_scores(taught.mean(at::IntArrayRef{0, 1}));  // [K'], of all patches

    StepResult result;
    add_term(result, "distillation",
             distillation_->forward(targets, local_scores, head_->scores(student[0]), batch.size,
                                    kTargets.temperature(options_, progress.fraction)),
             options_[kDistillationWeight]);
    const auto warmth = kTargets.warmth(options_, progress.fraction);
    add_term(result, "patches",
             patch_loss_->forward(head_->patch_scores(student[1]), patch_targets, mask,
                                  kPatchTemperature.at(options_, warmth), patch_mean),
             options_[kPatchWeight]);
    return result;
  }

  void after_backward(const Progress& progress) override {
    if (progress.fraction < options_[kHead.freeze]) head_->freeze_last_layer();
  }

  void after_update(const Progress& progress) override {
    teacher_->update(kMomentum.momentum(options_, progress.fraction));
  }

  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_->tower(); }
  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return health_of(batch, nullptr, distillation_, patch_loss_);
  }

 private:
  [[nodiscard]] int64_t patch_prototypes() const {
    return options_[kSharedHead] ? options_[kHead.prototypes] : options_[kPatchPrototypes];
  }

  [[nodiscard]] std::shared_ptr<DistillationHead> make_head(const ObjectiveContext& context) const {
    auto shape = kHead.shape(context);
    if (!options_[kSharedHead]) shape.patch_prototypes = options_[kPatchPrototypes];
    return std::make_shared<DistillationHead>(shape);
  }

  Options options_;
  int64_t image_size_;
  std::shared_ptr<DualEncoder> model_;
  at::Tensor mask_token_;  // [D]
  std::shared_ptr<DistillationHead> head_;
  std::shared_ptr<Teacher> teacher_;
  std::shared_ptr<SelfDistillationLoss> distillation_;
  std::shared_ptr<PatchTokenLoss> patch_loss_;
};

}  // namespace

SILC_OBJECTIVE(ibot, Ibot, 1,
               "iBOT: DINO with masked prediction of patches, of pictures alone; zero-shot figures are those of chance",
               needs(Need::patch_tokens, Need::masked_input), kDistillationWeight, kPatchWeight, kMasks, kMomentum,
               kTargets, kPatchTemperature, kSharedHead, kPatchPrototypes, kHead, kCrops);

}  // namespace silc::objectives::ibot
