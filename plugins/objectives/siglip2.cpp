// SigLIP 2 (Tschannen 2025, arXiv:2502.14786, sections 2.2 and 2.3): the sigmoid loss and a captioning decoder on the
// original picture; in the last 20 % of training also SILC's self-distillation from a global view of an EMA teacher to
// 8 local views of the student, and TIPS's masked prediction (Maninis 2025, arXiv:2410.16512) of half of the global
// view's patches. Both act on views of their own, so that cropping does not harm the alignment of picture and text.
//
// L = L_sigmoid + w_c · L_caption + scale · (1 · L_distillation + 0.25 · L_masked). Heads, mask token and teacher are
// fresh when the last part begins. Its losses are SILC's (silc.cpp), also that of the masked patches, with a head of
// its own. LocCa's tasks with boxes are left out: no dataset has what they need. The tower pools by attention ("map").
#include "nn/caption_decoder.h"
#include "nn/health.h"
#include "nn/multi_crop.h"
#include "nn/patch_masks.h"
#include "nn/schedules.h"
#include "nn/teacher.h"

namespace silc::objectives::siglip2 {
namespace {

constexpr auto kInitialBias = initial_bias_option();
constexpr auto kCaptionWeight = number_option("caption_weight", 1.0, 0, 1000, "weight of captioning; 0: no decoder");
constexpr CaptionDecoderOptions kCaptioner("caption_");
constexpr auto kCaptionParallel = number_option("caption_parallel", 0.5, 0, 1, "part of captions predicted at once");
constexpr auto kStart = number_option("start", 0.8, 0, 1, "part of training before self-supervision; 1: all of it");
constexpr auto kScale = number_option("self_supervision_scale", 0.25, 0, 1000,
                                      "times both weights below: 0.25 for ViT-B, 0.5 for L and g, 1 for So400m");
constexpr auto kDistillationWeight = number_option("distillation_weight", 1.0, 0, 1000, "weight of self-distillation");
constexpr auto kMaskedWeight = number_option("masked_weight", 0.25, 0, 1000, "weight of masked prediction");
constexpr auto kMaskRatio = number_option("mask_ratio", 0.5, 0, 1, "part of the global view's patches that is hidden");
constexpr auto kTeacherMomentum = teacher_momentum_option(0.99);
constexpr SteadyDistillationOptions kTargets(0.04);
constexpr DistillationHeadOptions kHead;
constexpr auto kArea = pair_option("area", 1.0, 1.0, 0.01, 1.0, "part of the area that the contrastive loss sees");
constexpr auto kGlobalArea = pair_option("global_area", 0.4, 1.0, 0.01, 1.0, "part of the area of the global view");
constexpr LocalCropOptions kLocal({.views = 8, .fewest = 1});
constexpr auto kFlip = boolean_option("flip", false, "mirror the additional views half of the time");

class Siglip2 : public Objective {
 public:
  explicit Siglip2(const ObjectiveContext& context)
      : options_(context.options), image_size_(context.image_size), model_(context.model) {
    contrastive_ = register_module("contrastive", std::make_shared<SigmoidLoss>(options_[kInitialBias]));
    if (options_[kCaptionWeight] > 0)
      captioner_ = register_module("captioner", kCaptioner.make(context, {.parallel = options_[kCaptionParallel]}));
    if (options_[kStart] == 1) return;
    mask_token_ = register_parameter("mask_token", at::zeros({model_->image->width()}));
    head_ = register_module("head", kHead.make(context));
    patch_head_ = register_module("patch_head", kHead.make(context));
    teacher_ = register_module("teacher", std::make_shared<Teacher>(context, head_, kHead.make(context)));
    teacher_patch_head_ = teacher_->follow("patch_head", *patch_head_, kHead.make(context));
    distillation_ = register_module("distillation", kTargets.make(options_, options_[kHead.prototypes]));
    patch_loss_ = register_module("patch_loss", kTargets.make<PatchTokenLoss>(options_, options_[kHead.prototypes]));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override {
    ViewSpec global = {.name = "global", .area = options_[kGlobalArea]}, local = kLocal.view(options_, image_size_);
    global.flip = local.flip = options_[kFlip];
    global.from = local.from = options_[kStart];
    const ViewSpec image = {.name = "image", .area = options_[kArea]};
    return teacher_ ? std::vector{image, global, local} : std::vector{image};
  }

  void prepare(Batch& batch, const Progress& progress) const override {
    if (captioner_) captioner_->prepare(batch, progress.random(~uint64_t{0}));  // from which no mask is drawn
    if (teacher_) hide_at_random(batch, "global", *model_->image, options_[kMaskRatio], progress);
  }

  StepResult step(const Batch& batch, const Progress& progress) override {
    const auto features = model_->image->forward(batch.views.at("image"));
    const auto text = model_->text->embed(batch.tokens);  // [B, E]
    const auto contrastive = contrastive_->forward(model_->image->embed(features.pooled), text);
    StepResult result = {{{"contrastive", contrastive}}, {{"logit_scale", contrastive_->scale()}}};
    if (captioner_)
      result.terms.push_back({"caption", captioner_->forward(features.patches, batch), options_[kCaptionWeight]});
    if (progress.fraction < options_[kStart]) return result;
    const auto temperature = options_[kTargets.teacher_temperature], scale = options_[kScale];
    const auto& global = batch.views.at("global");  // [B, 3, S, S]
    const auto seen = teacher_->features(global);
    const auto local = head_->forward(model_->image->pool(batch.views.at("local")));  // [V·B, K]
    auto distilled = distillation_->forward(teacher_->head()->forward(seen.pooled), local, {}, batch.size, temperature);
    add_term(result, "distillation", std::move(distilled), scale * options_[kDistillationWeight]);
    const auto mask = PatchMasks::in(batch);
    const auto masked = model_->image->forward_masked(global, mask.hidden, mask_token_).patches;  // [B, N, D]
    auto predicted = patch_loss_->of_heads(*patch_head_, masked, *teacher_patch_head_, seen.patches, mask, temperature);
    add_term(result, "masked", std::move(predicted), scale * options_[kMaskedWeight]);
    return result;
  }

  void after_update(const Progress& progress) override {
    contrastive_->clamp();
    if (teacher_) teacher_->update(progress.fraction < options_[kStart] ? 0 : options_[kTeacherMomentum]);
  }

  [[nodiscard]] std::shared_ptr<Captioner> captioner() const override { return captioner_; }
  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_ ? teacher_->tower() : nullptr; }
  [[nodiscard]] std::vector<double> milestones() const override { return milestone(options_[kStart]); }
  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return health_of(batch, contrastive_, distillation_, patch_loss_);
  }

 private:
  Options options_;
  int64_t image_size_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<ContrastiveLoss> contrastive_;
  std::shared_ptr<CaptionDecoder> captioner_;
  at::Tensor mask_token_;  // [D]
  std::shared_ptr<DistillationHead> head_, patch_head_, teacher_patch_head_;
  std::shared_ptr<Teacher> teacher_;
  std::shared_ptr<SelfDistillationLoss> distillation_;
  std::shared_ptr<PatchTokenLoss> patch_loss_;
};

}  // namespace

SILC_OBJECTIVE(siglip2, Siglip2, 1, "SigLIP 2: sigmoid loss and captioning, and self-supervision at the end",
               may_need(Need::patch_tokens, Need::masked_input), kInitialBias, kCaptionWeight, kCaptioner,
               kCaptionParallel, kStart, kScale, kDistillationWeight, kMaskedWeight, kMaskRatio, kTeacherMomentum,
               kTargets, kHead, kArea, kGlobalArea, kLocal, kFlip);

}  // namespace silc::objectives::siglip2
