// iBOT (Zhou 2022, arXiv:2111.07832; code: github.com/bytedance/ibot, main_ibot.py, loader.py and models/head.py):
// DINO, and masked prediction with the teacher as an online tokenizer. In a part of the student's global crops, blocks
// of patches are replaced by a mask token, and the student predicts the teacher's prototypes of the patches it does not
// see. The class token that is distilled is that of the masked crop.
//
// As DINO (dino.cpp) it uses no text, so its zero-shot figures are those of chance, and leaves weight decay (0.04 to
// 0.4), clipping (3.0) and stochastic depth (0.1) to optimizer and backbone. The defaults are those of the published
// models (README of the code: shared head of 8192 prototypes, teacher temperature to 0.07, 10 local crops, areas 0.25
// to 1 and 0.05 to 0.25, mask ratio 0 or 0.3 ± 0.2); fractions of training stand for the epochs of a run of 100.
// Without shared_head, patch tokens have prototypes of their own after the same MLP, in student and teacher.
#include <cmath>

#include "nn/distillation_head.h"
#include "nn/freeze.h"
#include "nn/health.h"
#include "nn/multi_crop.h"
#include "nn/patch_masks.h"
#include "nn/patch_token_loss.h"
#include "nn/schedules.h"
#include "nn/self_distillation_loss.h"
#include "nn/teacher.h"
#include "silc/objective.h"

namespace silc::objectives::ibot {
namespace {

constexpr auto kDistillationWeight = number_option("distillation_weight", 1.0, 0, 1000, "weight of DINO's loss");
constexpr auto kPatchWeight = number_option("patch_weight", 1.0, 0, 1000, "weight of the masked patches' loss");

constexpr auto kMaskProbability =
    number_option("mask_probability", 0.5, 0, 1, "probability that a global crop is masked at all");
constexpr auto kMaskRatio =
    pair_option("mask_ratio", 0.1, 0.5, 0, 1, "part of a masked crop's patches that is hidden, drawn uniformly");

constexpr auto kTeacherMomentum =
    number_option("teacher_momentum", 0.996, 0, 1, "m of the teacher's moving average at the beginning");
constexpr auto kTeacherMomentumEnd =
    number_option("teacher_momentum_end", 1.0, 0, 1, "m at the end, which it reaches along a cosine");
constexpr auto kStudentTemperature = number_option("student_temperature", 0.1, 0.001, 10, "of the student's softmax");
constexpr auto kTeacherTemperature =
    number_option("teacher_temperature", 0.07, 0.001, 10, "of the teacher's softmax of class tokens");
constexpr auto kTeacherTemperatureStart =
    number_option("teacher_temperature_start", 0.04, 0.001, 10, "the same at the beginning");
constexpr auto kPatchTemperature =
    number_option("teacher_patch_temperature", 0.07, 0.001, 10, "of the teacher's softmax of patch tokens");
constexpr auto kPatchTemperatureStart =
    number_option("teacher_patch_temperature_start", 0.04, 0.001, 10, "the same at the beginning");
constexpr auto kTeacherTemperatureWarmup =
    number_option("teacher_temperature_warmup", 0.3, 0, 1,
                  "fraction of training over which both temperatures go from their start to their final value");
constexpr auto kCenterMomentum = number_option("center_momentum", 0.9, 0, 1, "m of both centres' moving averages");

constexpr auto kSharedHead = boolean_option("shared_head", true, "class and patch tokens share their prototypes");
constexpr auto kPrototypes = integer_option("prototypes", 8192, 2, 1048576, "outputs of the distillation head");
constexpr auto kPatchPrototypes =
    integer_option("patch_prototypes", 8192, 2, 1048576, "outputs for patch tokens without shared_head");
constexpr auto kHeadLayers = integer_option("head_layers", 3, 1, 16, "layers of the head's MLP");
constexpr auto kHidden = integer_option("hidden", 2048, 1, 65536, "width of the head's hidden layers");
constexpr auto kBottleneck = integer_option("bottleneck", 256, 1, 65536, "width before the prototypes");
constexpr auto kNormLastLayer = boolean_option("norm_last_layer", true,
                                               "the prototypes' gains stay at 1; false is better for small models and "
                                               "less stable");
constexpr auto kFreezeLastLayer = number_option("freeze_last_layer", 0.01, 0, 1,
                                                "fraction of training at its beginning in which the prototypes stay");

constexpr auto kGlobalArea = pair_option("global_area", 0.25, 1.0, 0.01, 1.0,
                                         "part of the picture's area that each of the two global crops shows");
constexpr auto kLocalViews = integer_option("local_views", 10, 0, 64, "local crops of a picture");
constexpr auto kLocalArea = pair_option("local_area", 0.05, 0.25, 0.01, 1.0, "part of the area that they show");
constexpr auto kLocalSize = integer_option("local_size", 0, 0, 8192,
                                           "side of local crops in pixels; 0: image_size * 96/224, rounded to a "
                                           "multiple of 16");
constexpr auto kColours =
    boolean_option("colours", true, "colour jitter, greyscale, blur and solarization of crops, as in DINO");

class Ibot : public Objective {
 public:
  explicit Ibot(const ObjectiveContext& context)
      : options_(context.options),
        local_size_(local_crop_size(options_[kLocalSize], context.image_size)),
        model_(context.model) {
    freeze_all_but_image_backbone(*model_);
    mask_token_ = register_parameter("mask_token", at::zeros({model_->image->width()}));
    head_ = register_module("head", make_head());
    teacher_ = register_module(
        "teacher", std::make_shared<Teacher>(model_->image, context.make_image_tower(), head_, make_head()));
    distillation_ = register_module(
        "distillation", std::make_shared<SelfDistillationLoss>(options_[kPrototypes], options_[kStudentTemperature],
                                                               options_[kCenterMomentum]));
    patch_loss_ = register_module(
        "patch_loss",
        std::make_shared<PatchTokenLoss>(options_[kSharedHead] ? options_[kPrototypes] : options_[kPatchPrototypes],
                                         options_[kStudentTemperature], options_[kCenterMomentum]));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override {
    return multi_crop_views({.global_area = options_[kGlobalArea],
                             .local_views = options_[kLocalViews],
                             .local_area = options_[kLocalArea],
                             .local_size = local_size_,
                             .colours = options_[kColours]});
  }

  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_->tower(); }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& /*batch*/) const override {
    return joined(
        self_distillation_health(options_[kPrototypes]),
        patch_distillation_health(options_[kSharedHead] ? options_[kPrototypes] : options_[kPatchPrototypes]));
  }

  StepResult step(const Batch& batch, const Progress& progress) override {
    const auto global = global_crops(batch);       // [2·B, 3, S, S]
    const auto seen = teacher_->features(global);  // of the whole crops
    const auto mask = draw_masks(seen, progress);  // [2·B, N]
    const auto target = teacher_scores(seen, mask);
    const auto student = student_scores(batch, global, mask);

    auto distilled =
        distillation_->forward(target.pooled, student.local, student.pooled, batch.size,
                               warm(progress, options_[kTeacherTemperatureStart], options_[kTeacherTemperature]));
    auto predicted = patch_loss_->forward(student.patches, target.patches, mask,
                                          warm(progress, options_[kPatchTemperatureStart], options_[kPatchTemperature]),
                                          target.patch_mean);
    distilled.metrics.merge(predicted.metrics);
    return {.terms = {{"distillation", distilled.loss, options_[kDistillationWeight]},
                      {"patches", predicted.loss, options_[kPatchWeight]}},
            .metrics = std::move(distilled.metrics)};
  }

  void after_backward(const Progress& progress) override {
    if (progress.fraction < options_[kFreezeLastLayer]) head_->freeze_last_layer();
  }

  void after_update(const Progress& progress) override {
    teacher_->update(cosine_schedule(options_[kTeacherMomentum], options_[kTeacherMomentumEnd], progress.fraction));
  }

 private:
  struct TeacherScores {
    at::Tensor pooled;      // [2·B, K]
    at::Tensor patches;     // [M, K'] of the masked patches
    at::Tensor patch_mean;  // [K'] over all patches, masked or not, which the centre follows
  };
  struct StudentScores {
    at::Tensor local;    // [V·B, K], undefined without local views
    at::Tensor pooled;   // [2·B, K] of the masked global crops
    at::Tensor patches;  // [M, K']
  };

  [[nodiscard]] std::shared_ptr<DistillationHead> make_head() const {
    return std::make_shared<DistillationHead>(
        DistillationHeadShape{.width = model_->image->width(),
                              .layers = options_[kHeadLayers],
                              .hidden = options_[kHidden],
                              .bottleneck = options_[kBottleneck],
                              .prototypes = options_[kPrototypes],
                              .patch_prototypes = options_[kSharedHead] ? 0 : options_[kPatchPrototypes],
                              .norm_last_layer = options_[kNormLastLayer]});
  }

  // Blocks of at least (min(height, width) / 3)² patches, as in loader.py.
  [[nodiscard]] at::Tensor draw_masks(const ImageFeatures& features, const Progress& progress) const {
    const PatchGrid grid = {features.grid_height, features.grid_width};
    const auto third = std::min(grid.height, grid.width) / 3;
    const auto counts = independent_mask_counts(features.patches.size(0), features.patches.size(1),
                                                options_[kMaskProbability], options_[kMaskRatio], progress);
    return block_masks(grid, counts, third * third, progress);
  }

  [[nodiscard]] TeacherScores teacher_scores(const ImageFeatures& features, const at::Tensor& mask) const {
    const torch::NoGradGuard no_grad;
    auto& head = *teacher_->head();
    const auto patches = head.bottleneck(features.patches);  // [2·B, N, bottleneck]
    return {.pooled = head.forward(features.pooled),
            .patches = head.patch_scores(masked_patches(patches, mask)),
            .patch_mean = head.patch_scores(patches.mean(at::IntArrayRef{0, 1}))};
  }

  // Class tokens of all crops and masked patches go through the head together.
  StudentScores student_scores(const Batch& batch, const at::Tensor& global, const at::Tensor& mask) {
    const auto features = model_->image->forward_masked(global, mask, mask_token_);
    std::vector<at::Tensor> tokens = {features.pooled, masked_patches(features.patches, mask)};
    if (options_[kLocalViews] > 0) tokens.push_back(model_->image->pool(batch.views.at("local")));
    std::vector<int64_t> lengths;
    for (const auto& set : tokens) lengths.push_back(set.size(0));
    const auto bottlenecks = head_->bottleneck(at::cat(tokens)).split_with_sizes(lengths);
    return {.local = options_[kLocalViews] > 0 ? head_->scores(bottlenecks[2]) : at::Tensor(),
            .pooled = head_->scores(bottlenecks[0]),
            .patches = head_->patch_scores(bottlenecks[1])};
  }

  [[nodiscard]] double warm(const Progress& progress, double start, double end) const {
    return std::lerp(start, end, ramp(progress.fraction, 0, options_[kTeacherTemperatureWarmup]));
  }

  Options options_;
  int64_t local_size_;
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
               needs(Need::patch_tokens, Need::masked_input), kDistillationWeight, kPatchWeight, kMaskProbability,
               kMaskRatio, kTeacherMomentum, kTeacherMomentumEnd, kStudentTemperature, kTeacherTemperature,
               kTeacherTemperatureStart, kPatchTemperature, kPatchTemperatureStart, kTeacherTemperatureWarmup,
               kCenterMomentum, kSharedHead, kPrototypes, kPatchPrototypes, kHeadLayers, kHidden, kBottleneck,
               kNormLastLayer, kFreezeLastLayer, kGlobalArea, kLocalViews, kLocalArea, kLocalSize, kColours);

}  // namespace silc::objectives::ibot
