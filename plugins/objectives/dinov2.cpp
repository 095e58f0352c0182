// DINOv2 (Oquab 2024, arXiv:2304.07193; code: github.com/facebookresearch/dinov2, train/ssl_meta_arch.py with the
// losses of loss/, configs/ssl_default_config.yaml): DINO on class tokens, iBOT on masked patches, and the KoLeo
// regularizer on the student's class tokens of each global crop; targets balanced by a moving average or by
// Sinkhorn-Knopp.
//
// L = L_DINO + L_iBOT + 0.1 · (KoLeo of the first global crops + KoLeo of the second).
//
// As DINO (dino.cpp) it uses no text, so its zero-shot figures are those of chance. The defaults are those of
// ssl_default_config.yaml (the published large models: sinkhorn_knopp, separate_head, 131072 prototypes), fractions of
// training standing for its 100 epochs. Layer-wise learning rate decay and the patch embedding's slower rate are parts
// of the objective (parameter groups); weight decay (0.04 to 0.4 along a cosine), clipping (3.0), stochastic depth
// (0.3) and layer scale (1e-5) are set at optimizer and backbone. The prototypes' gains are learned, as in the
// published head.
#include <cmath>

#include "nn/distillation_head.h"
#include "nn/freeze.h"
#include "nn/health.h"
#include "nn/koleo.h"
#include "nn/layer_decay.h"
#include "nn/multi_crop.h"
#include "nn/patch_masks.h"
#include "nn/patch_token_loss.h"
#include "nn/schedules.h"
#include "nn/self_distillation_loss.h"
#include "nn/teacher.h"
#include "silc/objective.h"

namespace silc::objectives::dinov2 {
namespace {

constexpr auto kDistillationWeight = number_option("distillation_weight", 1.0, 0, 1000, "weight of DINO's loss");
constexpr auto kPatchWeight = number_option("patch_weight", 1.0, 0, 1000, "weight of the masked patches' loss");
constexpr auto kKoleoWeight = number_option("koleo_weight", 0.1, 0, 1000, "weight of the KoLeo regularizer");
constexpr auto kCentering = choice_option("centering", "centering", "centering|sinkhorn_knopp",
                                          "what balances the teacher's targets: a moving average of its scores, or "
                                          "three rounds of Sinkhorn-Knopp over the batch");

constexpr auto kMaskProbability =
    number_option("mask_probability", 0.5, 0, 1, "part of the batch's global crops that is masked at all");
constexpr auto kMaskRatio = pair_option("mask_ratio", 0.1, 0.5, 0, 1,
                                        "part of a masked crop's patches that is hidden, spread evenly over the batch");

constexpr auto kTeacherMomentum =
    number_option("teacher_momentum", 0.992, 0, 1, "m of the teacher's moving average at the beginning");
constexpr auto kTeacherMomentumEnd =
    number_option("teacher_momentum_end", 1.0, 0, 1, "m at the end, which it reaches along a cosine");
constexpr auto kStudentTemperature = number_option("student_temperature", 0.1, 0.001, 10, "of the student's softmax");
constexpr auto kTeacherTemperature = number_option("teacher_temperature", 0.07, 0.001, 10, "of the teacher's softmax");
constexpr auto kTeacherTemperatureStart =
    number_option("teacher_temperature_start", 0.04, 0.001, 10, "teacher's temperature at the beginning");
constexpr auto kTeacherTemperatureWarmup =
    number_option("teacher_temperature_warmup", 0.3, 0, 1,
                  "fraction of training over which the teacher's temperature goes from its start to its final value");
constexpr auto kCenterMomentum = number_option("center_momentum", 0.9, 0, 1, "m of both centres' moving averages");

constexpr auto kSeparateHead = boolean_option("separate_head", false, "patch tokens have a head of their own");
constexpr auto kPrototypes = integer_option("prototypes", 65536, 2, 1048576, "outputs of each head");
constexpr auto kHeadLayers = integer_option("head_layers", 3, 1, 16, "layers of a head's MLP");
constexpr auto kHidden = integer_option("hidden", 2048, 1, 65536, "width of a head's hidden layers");
constexpr auto kBottleneck = integer_option("bottleneck", 256, 1, 65536, "width before the prototypes");
constexpr auto kNormLastLayer =
    boolean_option("norm_last_layer", false, "the prototypes' gains stay at 1; false: they are learned");
constexpr auto kFreezeLastLayer = number_option("freeze_last_layer", 0.01, 0, 1,
                                                "fraction of training at its beginning in which the prototypes stay");

constexpr auto kLayerDecay = number_option(
    "layer_decay", 0.9, 0.01, 1, "a block's learning rate is that of the next block times this; 1: all alike");
constexpr auto kPatchEmbeddingScale =
    number_option("patch_embedding_lr", 0.2, 0, 1, "learning rate of the patch embedding, times that of its layer");

constexpr auto kGlobalArea = pair_option("global_area", 0.32, 1.0, 0.01, 1.0,
                                         "part of the picture's area that each of the two global crops shows");
constexpr auto kLocalViews = integer_option("local_views", 8, 0, 64, "local crops of a picture");
constexpr auto kLocalArea = pair_option("local_area", 0.05, 0.32, 0.01, 1.0, "part of the area that they show");
constexpr auto kLocalSize = integer_option("local_size", 0, 0, 8192,
                                           "side of local crops in pixels; 0: image_size * 96/224, rounded to a "
                                           "multiple of 16");
constexpr auto kColours =
    boolean_option("colours", true, "colour jitter, greyscale, blur and solarization of crops, as in DINO");

class Dinov2 : public Objective {
 public:
  explicit Dinov2(const ObjectiveContext& context)
      : options_(context.options),
        local_size_(local_crop_size(options_[kLocalSize], context.image_size)),
        model_(context.model) {
    freeze_all_but_image_backbone(*model_);
    mask_token_ = register_parameter("mask_token", at::zeros({model_->image->width()}));
    head_ = register_module("head", make_head());
    teacher_ = register_module(
        "teacher", std::make_shared<Teacher>(model_->image, context.make_image_tower(), head_, make_head()));
    patch_head_ = head_;
    teacher_patch_head_ = teacher_->head();
    if (options_[kSeparateHead]) {
      patch_head_ = register_module("patch_head", make_head());
      teacher_patch_head_ = teacher_->follow("patch_head", *patch_head_, make_head());
    }
    const auto centering = parse_centering(options_[kCentering]);
    distillation_ = register_module(
        "distillation", std::make_shared<SelfDistillationLoss>(options_[kPrototypes], options_[kStudentTemperature],
                                                               options_[kCenterMomentum], centering));
    patch_loss_ = register_module("patch_loss",
                                  std::make_shared<PatchTokenLoss>(options_[kPrototypes], options_[kStudentTemperature],
                                                                   options_[kCenterMomentum], centering));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override {
    return multi_crop_views({.global_area = options_[kGlobalArea],
                             .local_views = options_[kLocalViews],
                             .local_area = options_[kLocalArea],
                             .local_size = local_size_,
                             .colours = options_[kColours]});
  }

  [[nodiscard]] std::vector<ParameterGroup> parameter_groups() const override {
    return layer_decay(*model_->image, options_[kLayerDecay], options_[kPatchEmbeddingScale], {mask_token_});
  }

  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_->tower(); }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& /*batch*/) const override {
    return joined(self_distillation_health(options_[kPrototypes]), patch_distillation_health(options_[kPrototypes]));
  }

  StepResult step(const Batch& batch, const Progress& progress) override {
    const auto global = global_crops(batch);       // [2·B, 3, S, S]
    const auto seen = teacher_->features(global);  // of the whole crops
    const auto mask = draw_masks(seen, progress);  // [2·B, N]
    const auto masked = model_->image->forward_masked(global, mask, mask_token_);
    const auto local = options_[kLocalViews] > 0 ? model_->image->pool(batch.views.at("local"))  // [V·B, D]
                                                 : at::Tensor();
    const auto temperature = teacher_temperature(progress);

    auto distilled = distillation_->forward(score(*teacher_->head(), seen.pooled),                          // [2·B, K]
                                            local.defined() ? head_->forward(local) : at::Tensor(),         // [V·B, K]
                                            head_->forward(masked.pooled), batch.size, temperature);        // [2·B, K]
    auto predicted = patch_loss_->forward(patch_head_->forward(masked_patches(masked.patches, mask)),       // [M, K]
                                          score(*teacher_patch_head_, masked_patches(seen.patches, mask)),  // [M, K]
                                          mask, temperature);
    const auto crops = masked.pooled.chunk(2);  // of different pictures each
    const auto koleo = koleo_loss(crops[0]) + koleo_loss(crops[1]);

    distilled.metrics.merge(predicted.metrics);
    return {.terms = {{"distillation", distilled.loss, options_[kDistillationWeight]},
                      {"patches", predicted.loss, options_[kPatchWeight]},
                      {"koleo", koleo, options_[kKoleoWeight]}},
            .metrics = std::move(distilled.metrics)};
  }

  void after_backward(const Progress& progress) override {
    if (progress.fraction >= options_[kFreezeLastLayer]) return;
    head_->freeze_last_layer();
    patch_head_->freeze_last_layer();
  }

  void after_update(const Progress& progress) override {
    teacher_->update(cosine_schedule(options_[kTeacherMomentum], options_[kTeacherMomentumEnd], progress.fraction));
  }

 private:
  [[nodiscard]] std::shared_ptr<DistillationHead> make_head() const {
    return std::make_shared<DistillationHead>(DistillationHeadShape{.width = model_->image->width(),
                                                                    .layers = options_[kHeadLayers],
                                                                    .hidden = options_[kHidden],
                                                                    .bottleneck = options_[kBottleneck],
                                                                    .prototypes = options_[kPrototypes],
                                                                    .norm_last_layer = options_[kNormLastLayer]});
  }

  [[nodiscard]] at::Tensor draw_masks(const ImageFeatures& features, const Progress& progress) const {
    constexpr int64_t kMinArea = 4;  // patches of a block
    const auto counts = stratified_mask_counts(features.patches.size(0), features.patches.size(1),
                                               options_[kMaskProbability], options_[kMaskRatio], progress);
    return block_masks({features.grid_height, features.grid_width}, counts, kMinArea, progress);
  }

  static at::Tensor score(DistillationHead& teacher_head, const at::Tensor& features) {
    const torch::NoGradGuard no_grad;
    return teacher_head.forward(features);
  }

  [[nodiscard]] double teacher_temperature(const Progress& progress) const {
    return std::lerp(options_[kTeacherTemperatureStart], options_[kTeacherTemperature],
                     ramp(progress.fraction, 0, options_[kTeacherTemperatureWarmup]));
  }

  Options options_;
  int64_t local_size_;
  std::shared_ptr<DualEncoder> model_;
  at::Tensor mask_token_;  // [D]
  std::shared_ptr<DistillationHead> head_;
  std::shared_ptr<DistillationHead> patch_head_;  // head_ itself without separate_head
  std::shared_ptr<Teacher> teacher_;
  std::shared_ptr<DistillationHead> teacher_patch_head_;
  std::shared_ptr<SelfDistillationLoss> distillation_;
  std::shared_ptr<PatchTokenLoss> patch_loss_;
};

}  // namespace

SILC_OBJECTIVE(dinov2, Dinov2, 1,
               "DINOv2: DINO, iBOT and KoLeo, of pictures alone; zero-shot figures are those of chance",
               needs(Need::patch_tokens, Need::masked_input), kDistillationWeight, kPatchWeight, kKoleoWeight,
               kCentering, kMaskProbability, kMaskRatio, kTeacherMomentum, kTeacherMomentumEnd, kStudentTemperature,
               kTeacherTemperature, kTeacherTemperatureStart, kTeacherTemperatureWarmup, kCenterMomentum, kSeparateHead,
               kPrototypes, kHeadLayers, kHidden, kBottleneck, kNormLastLayer, kFreezeLastLayer, kLayerDecay,
               kPatchEmbeddingScale, kGlobalArea, kLocalViews, kLocalArea, kLocalSize, kColours);

}  // namespace silc::objectives::dinov2
