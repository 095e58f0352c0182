// SigLIP 2 (Tschannen 2025, arXiv:2502.14786, sections 2.2 and 2.3): the sigmoid loss and a captioning decoder (after
// LocCa) on the original picture; in the last 20 % of training also SILC's self-distillation from a global view of an
// EMA teacher to 8 local views of the student, and TIPS's masked prediction (Maninis 2025, arXiv:2410.16512) of half of
// the global view's patches. Both act on views of their own, so that cropping does not harm the alignment of picture
// and text.
//
// L = L_sigmoid + w_c · L_caption + scale · (1 · L_distillation + 0.25 · L_masked),
// with scale 0.25, 0.5, 1 and 0.5 for the sizes B, L, So400m and g. Heads and mask token are fresh at that time, and
// the teacher is then initialised from the student. Loss and settings of the distillation are those of SILC (silc.cpp),
// "identically" those of the masked patches, which have a head of their own and are chosen at random.
//
// LocCa's two tasks with boxes (referring expressions, grounded captions) need regions that the datasets here do not
// give: the decoder captions, half of the captions in parallel as in the paper (CapPa). At the tower, SigLIP 2 pools by
// attention (pooling = "map").
#include <algorithm>

#include "nn/caption_decoder.h"
#include "nn/contrastive_loss.h"
#include "nn/distillation_head.h"
#include "nn/health.h"
#include "nn/multi_crop.h"
#include "nn/patch_masks.h"
#include "nn/patch_token_loss.h"
#include "nn/self_distillation_loss.h"
#include "nn/teacher.h"
#include "silc/objective.h"

namespace silc::objectives::siglip2 {
namespace {

constexpr auto kInitialBias =
    number_option("initial_bias", -10.0, -100, 100,
                  "logit_bias at the start; -10 suits batches of thousands, -log(batch - 1) smaller ones");
constexpr auto kCaptionWeight = number_option("caption_weight", 1.0, 0, 1000, "weight of captioning; 0: no decoder");
constexpr auto kCaptionLayers = integer_option("caption_layers", 6, 1, 256, "blocks of the decoder");
constexpr auto kCaptionWidth = integer_option("caption_width", 0, 0, 16384, "its width; 0: the image tower's");
constexpr auto kCaptionHeads =
    integer_option("caption_heads", 0, 0, 256, "its attention heads; 0: its width / 64, but one at least");
constexpr auto kCaptionParallel =
    number_option("caption_parallel", 0.5, 0, 1, "fraction of captions that are predicted in parallel (CapPa)");

constexpr auto kStart = number_option("start", 0.8, 0, 1,
                                      "fraction of training at which self-distillation and masked prediction begin; 1: "
                                      "never. Until then the teacher is the student");
constexpr auto kScale = number_option("self_supervision_scale", 0.25, 0, 1000,
                                      "times both weights below: 0.25 for ViT-B, 0.5 for L and g, 1 for So400m");
constexpr auto kDistillationWeight = number_option("distillation_weight", 1.0, 0, 1000, "weight of self-distillation");
constexpr auto kMaskedWeight = number_option("masked_weight", 0.25, 0, 1000, "weight of masked prediction");
constexpr auto kMaskRatio = number_option("mask_ratio", 0.5, 0, 1, "part of the global view's patches that is hidden");

constexpr auto kTeacherMomentum = number_option("teacher_momentum", 0.99, 0, 1,
                                                "m of the teacher's moving average, the same from start on; its "
                                                "half-life is log 2 / (1 - m) steps: 69 for 0.99");
constexpr auto kStudentTemperature = number_option("student_temperature", 0.1, 0.001, 10, "of the student's softmax");
constexpr auto kTeacherTemperature = number_option("teacher_temperature", 0.04, 0.001, 10, "of the teacher's softmax");
constexpr auto kCenterMomentum = number_option("center_momentum", 0.9, 0, 1, "m of both centres' moving averages");

constexpr auto kPrototypes = integer_option("prototypes", 65536, 2, 1048576, "outputs of each distillation head");
constexpr auto kHeadLayers = integer_option("head_layers", 3, 1, 16, "layers of a head's MLP");
constexpr auto kHidden = integer_option("hidden", 2048, 1, 65536, "width of a head's hidden layers");
constexpr auto kBottleneck = integer_option("bottleneck", 256, 1, 65536, "width before the prototypes");

constexpr auto kArea =
    pair_option("area", 1.0, 1.0, 0.01, 1.0, "part of the picture's area that the contrastive loss sees");
constexpr auto kGlobalArea = pair_option("global_area", 0.4, 1.0, 0.01, 1.0, "part of the area of the global view");
constexpr auto kLocalViews = integer_option("local_views", 8, 1, 64, "local crops of a picture");
constexpr auto kLocalArea = pair_option("local_area", 0.05, 0.4, 0.01, 1.0, "part of the area that they show");
constexpr auto kLocalSize = integer_option("local_size", 0, 0, 8192,
                                           "side of local crops in pixels; 0: image_size * 96/224, rounded to a "
                                           "multiple of 16");
constexpr auto kFlip = boolean_option("flip", false, "mirror the additional views half of the time");

class Siglip2 : public Objective {
 public:
  explicit Siglip2(const ObjectiveContext& context)
      : options_(context.options),
        local_size_(local_crop_size(options_[kLocalSize], context.image_size)),
        model_(context.model) {
    contrastive_ = register_module("contrastive", std::make_shared<SigmoidLoss>(options_[kInitialBias]));
    if (options_[kCaptionWeight] > 0) captioner_ = register_module("captioner", make_captioner(context));
    if (!self_supervised()) return;
    mask_token_ = register_parameter("mask_token", at::zeros({model_->image->width()}));
    head_ = register_module("head", make_head());
    patch_head_ = register_module("patch_head", make_head());
    teacher_ = register_module(
        "teacher", std::make_shared<Teacher>(model_->image, context.make_image_tower(), head_, make_head()));
    teacher_patch_head_ = teacher_->follow("patch_head", *patch_head_, make_head());
    distillation_ = register_module(
        "distillation", std::make_shared<SelfDistillationLoss>(options_[kPrototypes], options_[kStudentTemperature],
                                                               options_[kCenterMomentum]));
    patch_loss_ = register_module("patch_loss",
                                  std::make_shared<PatchTokenLoss>(options_[kPrototypes], options_[kStudentTemperature],
                                                                   options_[kCenterMomentum]));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override {
    std::vector<ViewSpec> views = {{.name = "image", .area = options_[kArea]}};
    if (!self_supervised()) return views;
    views.push_back(
        {.name = "global", .area = options_[kGlobalArea], .flip = options_[kFlip], .from = options_[kStart]});
    views.push_back({.name = "local",
                     .count = options_[kLocalViews],
                     .size = local_size_,
                     .area = options_[kLocalArea],
                     .flip = options_[kFlip],
                     .from = options_[kStart]});
    return views;
  }

  [[nodiscard]] std::vector<double> milestones() const override {
    return self_supervised() && options_[kStart] > 0 ? std::vector{options_[kStart]} : std::vector<double>{};
  }

  [[nodiscard]] std::shared_ptr<Captioner> captioner() const override { return captioner_; }

  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_ ? teacher_->tower() : nullptr; }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    const auto contrastive = contrastive_health(*contrastive_, batch);
    if (!self_supervised()) return contrastive;
    return joined(contrastive, joined(self_distillation_health(options_[kPrototypes]),
                                      patch_distillation_health(options_[kPrototypes])));
  }

  StepResult step(const Batch& batch, const Progress& progress) override {
    StepResult result;
    const auto features = model_->image->forward(batch.views.at("image"));
    const auto text = model_->text->embed(batch.tokens);  // [B, E]
    result.terms.push_back({"contrastive", contrastive_->forward(model_->image->embed(features.pooled), text)});
    result.metrics["logit_scale"] = contrastive_->scale();
    if (captioner_)
      result.terms.push_back({"caption", captioner_->forward(features.patches, batch.tokens, caption_random(progress)),
                              options_[kCaptionWeight]});
    if (self_supervised() && progress.fraction >= options_[kStart]) add_self_supervision(batch, progress, result);
    return result;
  }

  void after_update(const Progress& progress) override {
    contrastive_->clamp();
    if (teacher_) teacher_->update(progress.fraction < options_[kStart] ? 0 : options_[kTeacherMomentum]);
  }

 private:
  [[nodiscard]] bool self_supervised() const { return options_[kStart] < 1; }

  void add_self_supervision(const Batch& batch, const Progress& progress, StepResult& result) {
    const auto& global = batch.views.at("global");  // [B, 3, S, S]
    const auto seen = teacher_->features(global);
    const auto mask = random_masks(seen.patches.size(0), seen.patches.size(1), options_[kMaskRatio], progress);
    const auto temperature = options_[kTeacherTemperature];

    const auto local = model_->image->pool(batch.views.at("local"));  // [V·B, D]
    auto distilled = distillation_->forward(score(*teacher_->head(), seen.pooled), head_->forward(local), {},
                                            batch.size, temperature);

    const auto masked = model_->image->forward_masked(global, mask, mask_token_).patches;  // [B, N, D]
    auto predicted =
        patch_loss_->forward(patch_head_->forward(masked_patches(masked, mask)),
                             score(*teacher_patch_head_, masked_patches(seen.patches, mask)), mask, temperature);

    result.terms.push_back({"distillation", distilled.loss, options_[kScale] * options_[kDistillationWeight]});
    result.terms.push_back({"masked", predicted.loss, options_[kScale] * options_[kMaskedWeight]});
    result.metrics.merge(distilled.metrics);
    result.metrics.merge(predicted.metrics);
  }

  [[nodiscard]] std::shared_ptr<CaptionDecoder> make_captioner(const ObjectiveContext& context) const {
    constexpr int64_t kHeadWidth = 64;
    const auto image_width = model_->image->width();
    const auto width = options_[kCaptionWidth] > 0 ? options_[kCaptionWidth] : image_width;
    return std::make_shared<CaptionDecoder>(CaptionDecoderShape{
        .vocabulary_size = context.vocabulary_size,
        .context_length = context.context_length,
        .padding_id = context.padding_id,
        .image_width = image_width,
        .width = width,
        .layers = options_[kCaptionLayers],
        .heads = options_[kCaptionHeads] > 0 ? options_[kCaptionHeads] : std::max<int64_t>(1, width / kHeadWidth),
        .parallel = options_[kCaptionParallel]});
  }

  // Numbers that no mask of this step is drawn from.
  static Random caption_random(const Progress& progress) {
    constexpr uint64_t kCaptions = ~uint64_t{0};
    return progress.random(kCaptions);
  }

  [[nodiscard]] std::shared_ptr<DistillationHead> make_head() const {
    return std::make_shared<DistillationHead>(DistillationHeadShape{.width = model_->image->width(),
                                                                    .layers = options_[kHeadLayers],
                                                                    .hidden = options_[kHidden],
                                                                    .bottleneck = options_[kBottleneck],
                                                                    .prototypes = options_[kPrototypes]});
  }

  static at::Tensor score(DistillationHead& teacher_head, const at::Tensor& features) {
    const torch::NoGradGuard no_grad;
    return teacher_head.forward(features);
  }

  Options options_;
  int64_t local_size_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<ContrastiveLoss> contrastive_;
  std::shared_ptr<CaptionDecoder> captioner_;
  at::Tensor mask_token_;  // [D]
  std::shared_ptr<DistillationHead> head_;
  std::shared_ptr<DistillationHead> patch_head_;
  std::shared_ptr<Teacher> teacher_;
  std::shared_ptr<DistillationHead> teacher_patch_head_;
  std::shared_ptr<SelfDistillationLoss> distillation_;
  std::shared_ptr<PatchTokenLoss> patch_loss_;
};

}  // namespace

SILC_OBJECTIVE(siglip2, Siglip2, 1,
               "SigLIP 2: sigmoid loss and captioning, with self-distillation and masked prediction at the end",
               may_need(Need::patch_tokens, Need::masked_input), kInitialBias, kCaptionWeight, kCaptionLayers,
               kCaptionWidth, kCaptionHeads, kCaptionParallel, kStart, kScale, kDistillationWeight, kMaskedWeight,
               kMaskRatio, kTeacherMomentum, kStudentTemperature, kTeacherTemperature, kCenterMomentum, kPrototypes,
               kHeadLayers, kHidden, kBottleneck, kArea, kGlobalArea, kLocalViews, kLocalArea, kLocalSize, kFlip);

}  // namespace silc::objectives::siglip2
