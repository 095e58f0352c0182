// SILC (Naeem 2023, arXiv:2310.13355): contrastive learning on global views, and self-distillation from the global
// views of an EMA teacher to local views of the student. The rows of the paper's ablation are options of it: SILC-S has
// contrastive = "siglip", "+ additional views" distillation = "none", "+ EMA" "ema".
#include "nn/contrastive_loss.h"
#include "nn/health.h"
#include "nn/multi_crop.h"
#include "nn/schedules.h"
#include "nn/self_distillation_loss.h"
#include "nn/teacher.h"
#include "nn/views.h"

namespace silc::objectives::silc {
namespace {

constexpr auto kContrastive = contrastive_option();
constexpr auto kInitialBias = initial_bias_option();
constexpr auto kDistillation =
    choice_option("distillation", "self", "none|ema|self",
                  "none: additional views only; ema: an EMA teacher beside them; self: distillation from it");
constexpr auto kWeight = number_option("weight", 1.0, 0, 1000, "weight of the distillation loss");
constexpr auto kStart =
    number_option("start", 0.0, 0, 1, "part of training before distillation begins: the teacher is the student");
constexpr auto kRamp = number_option("ramp", 0.0, 0, 1, "fraction of training from start on, while the weight grows");
constexpr auto kTeacherMomentum = teacher_momentum_option(0.99);
constexpr WarmedDistillationOptions kTargets({.first = 0.04, .last = 0.04, .duration = 0});
constexpr DistillationHeadOptions kHead;
constexpr auto kFreezeLastLayer =
    number_option("freeze_last_layer", 0.0, 0, 1, "fraction of training, from start on, in which the prototypes stay");
constexpr auto kGlobalViews = integer_option("global_views", 2, 1, 16, "global crops of a picture");
constexpr auto kGlobalArea = pair_option("global_area", 0.4, 1.0, 0.01, 1.0, "part of the area that they show");
constexpr LocalCropOptions kLocal({.views = 6});
constexpr auto kFlip = boolean_option("flip", false, "mirror views half of the time");
constexpr auto kLocalColours = boolean_option("local_colours", false, "colours of local views vary, as in DINO");
constexpr auto kStudentViews = choice_option("student_views", "local", "local|all",
                                             "that the student distils: local ones, or all but the teacher's (DINO)");

class Silc : public Objective {
 public:
  explicit Silc(const ObjectiveContext& context)
      : options_(context.options),
        self_(options_[kDistillation] == "self"),
        image_size_(context.image_size),
        model_(context.model) {
    contrastive_ =
        register_module("contrastive", make_contrastive_loss(options_[kContrastive], options_[kInitialBias]));
    if (self_) {
      if (options_[kLocal.views] == 0 && (options_[kStudentViews] == "local" || options_[kGlobalViews] == 1))
        throw Error("objective \"silc\": the student has nothing to distil; set local_views to 1 or more");
      head_ = register_module("head", kHead.make(context));
      distillation_ = register_module("distillation", kTargets.make(options_, options_[kHead.prototypes]));
    }
    if (options_[kDistillation] != "none")
      teacher_ =
          register_module("teacher", std::make_shared<Teacher>(context, head_, self_ ? kHead.make(context) : nullptr));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override {
    ViewSpec global = {.name = "global", .count = options_[kGlobalViews], .area = options_[kGlobalArea]};
    ViewSpec local = kLocal.view(options_, image_size_);
    global.flip = local.flip = options_[kFlip];
    local.from = options_[kStart];
    if (options_[kLocalColours]) local.colours = local_crop_colours();
    return self_ && local.count > 0 ? std::vector{global, local} : std::vector{global};
  }

  // L = L_contrastive(global views) + weight · L_distillation(teacher's global views → student's local views).
  StepResult step(const Batch& batch, const Progress& progress) override {
    const auto& global = batch.views.at("global");                                     // [G·B, 3, S, S]
    const auto local = distils(progress) ? find_view(batch, "local") : at::Tensor();   // [V·B, 3, s, s]
    const auto features = pooled_features(*model_->image, std::array{global, local});  // [G·B, D], [V·B, D]
    const auto text = model_->text->embed(batch.tokens);                               // [B, E]
    const auto contrastive = contrastive_->over_views(model_->image->embed(features[0]), text);
    StepResult result = {{{"contrastive", contrastive}}, {{"logit_scale", contrastive_->scale()}}};
    if (!distils(progress)) return result;

    const auto students =  // [V·B, K], [G·B, K]
        head_->each(std::array{features[1], options_[kStudentViews] == "all" ? features[0] : at::Tensor()});
    const auto temperature = kTargets.temperature(options_, progress.fraction, options_[kStart]);
    auto distilled =
        distillation_->forward(teacher_->forward(global), students[0], students[1], batch.size, temperature);
    const auto weight = options_[kWeight] * ramp(progress.fraction, options_[kStart], options_[kRamp]);
    add_term(result, "distillation", std::move(distilled), weight);
    return result;
  }

  void after_backward(const Progress& progress) override {
    if (self_ && progress.fraction < options_[kStart] + options_[kFreezeLastLayer]) head_->freeze_last_layer();
  }

  void after_update(const Progress& progress) override {
    contrastive_->clamp();
    if (teacher_) teacher_->update(!self_ || distils(progress) ? options_[kTeacherMomentum] : 0);
  }

  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_ ? teacher_->tower() : nullptr; }
  [[nodiscard]] std::vector<double> milestones() const override { return milestone(self_ ? options_[kStart] : 0); }
  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return health_of(batch, contrastive_, distillation_);
  }

 private:
  [[nodiscard]] bool distils(const Progress& progress) const { return self_ && progress.fraction >= options_[kStart]; }

  Options options_;
  bool self_;
  int64_t image_size_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<ContrastiveLoss> contrastive_;
  std::shared_ptr<DistillationHead> head_;
  std::shared_ptr<SelfDistillationLoss> distillation_;
  std::shared_ptr<Teacher> teacher_;
};

}  // namespace

SILC_OBJECTIVE(silc, Silc, 1, "SILC: contrastive learning with local-to-global self-distillation", kContrastive,
               kInitialBias, kDistillation, kWeight, kStart, kRamp, kTeacherMomentum, kTargets, kHead, kFreezeLastLayer,
               kGlobalViews, kGlobalArea, kLocal, kFlip, kLocalColours, kStudentViews);

}  // namespace silc::objectives::silc
