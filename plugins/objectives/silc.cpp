// SILC (Naeem 2023, arXiv:2310.13355): contrastive learning on global views, and self-distillation from the global
// views of an EMA teacher to local views of the student. The rows of the paper's ablation are options of it:
// distillation = "none" is "+ additional views", "ema" is "+ EMA", "self" is all of it.
#include <cmath>

#include "nn/contrastive_loss.h"
#include "nn/distillation_head.h"
#include "nn/health.h"
#include "nn/multi_crop.h"
#include "nn/schedules.h"
#include "nn/self_distillation_loss.h"
#include "nn/teacher.h"
#include "nn/views.h"
#include "silc/objective.h"

namespace silc::objectives::silc {
namespace {

constexpr auto kContrastive = choice_option("contrastive", "clip", "clip|siglip", "contrastive part; siglip: SILC-S");
constexpr auto kInitialBias =
    number_option("initial_bias", -10.0, -100, 100, "logit_bias at the start, where the contrastive part is siglip");
constexpr auto kDistillation = choice_option("distillation", "self", "none|ema|self",
                                             "none: additional views only; ema: an EMA teacher is kept beside them and "
                                             "evaluated; self: the student is distilled from it");
constexpr auto kWeight = number_option("weight", 1.0, 0, 1000, "weight of the distillation loss");
constexpr auto kStart =
    number_option("start", 0.0, 0, 1,
                  "fraction of training at which distillation begins; until then there are no local "
                  "views and the teacher is the student");
constexpr auto kRamp =
    number_option("ramp", 0.0, 0, 1, "fraction of training, from start on, over which the weight grows from 0");

constexpr auto kTeacherMomentum = number_option("teacher_momentum", 0.99, 0, 1,
                                                "m of the teacher's moving average, the same in all of training; its "
                                                "half-life is log 2 / (1 - m) steps: 69 for 0.99");
constexpr auto kStudentTemperature = number_option("student_temperature", 0.1, 0.001, 10, "of the student's softmax");
constexpr auto kTeacherTemperature = number_option("teacher_temperature", 0.04, 0.001, 10, "of the teacher's softmax");
constexpr auto kTeacherTemperatureStart =
    number_option("teacher_temperature_start", 0.04, 0.001, 10, "teacher's temperature when distillation begins");
constexpr auto kTeacherTemperatureWarmup =
    number_option("teacher_temperature_warmup", 0.0, 0, 1,
                  "fraction of training, from start on, over which the "
                  "teacher's temperature goes from its start to its final value");
constexpr auto kCenterMomentum = number_option("center_momentum", 0.9, 0, 1, "m of the centre's moving average");

constexpr auto kPrototypes = integer_option("prototypes", 65536, 2, 1048576, "outputs of the distillation head");
constexpr auto kHeadLayers = integer_option("head_layers", 3, 1, 16, "layers of the head's MLP");
constexpr auto kHidden = integer_option("hidden", 2048, 1, 65536, "width of the head's hidden layers");
constexpr auto kBottleneck = integer_option("bottleneck", 256, 1, 65536, "width before the prototypes");
constexpr auto kFreezeLastLayer =
    number_option("freeze_last_layer", 0.0, 0, 1, "fraction of training, from start on, in which the prototypes stay");

constexpr auto kGlobalViews = integer_option("global_views", 2, 1, 16, "global crops of a picture");
constexpr auto kGlobalArea = pair_option("global_area", 0.4, 1.0, 0.01, 1.0, "part of the area that they show");
constexpr auto kLocalViews = integer_option("local_views", 6, 0, 64, "local crops of a picture");
constexpr auto kLocalArea = pair_option("local_area", 0.05, 0.4, 0.01, 1.0, "part of the area that they show");
constexpr auto kLocalSize = integer_option("local_size", 0, 0, 8192,
                                           "side of local crops in pixels; 0: image_size * 96/224, rounded to a "
                                           "multiple of 16");
constexpr auto kFlip = boolean_option("flip", false, "mirror views half of the time");
constexpr auto kLocalColours =
    boolean_option("local_colours", false, "jitter, greyscale and blur in local views, as in DINO's");
constexpr auto kStudentViews = choice_option("student_views", "local", "local|all",
                                             "views that the student distils: local ones (SILC), or all but the "
                                             "teacher's own (DINO)");

class Silc : public Objective {
 public:
  explicit Silc(const ObjectiveContext& context)
      : options_(context.options),
        self_(options_[kDistillation] == "self"),
        local_size_(local_crop_size(options_[kLocalSize], context.image_size)),
        model_(context.model) {
    contrastive_ =
        register_module("contrastive", make_contrastive_loss(options_[kContrastive], options_[kInitialBias]));
    if (self_) {
      if (options_[kLocalViews] == 0 && (options_[kStudentViews] == "local" || options_[kGlobalViews] == 1))
        throw Error(
            "objective \"silc\": without local_views the student has nothing to distil; set local_views to 1 or "
            "more, or student_views = \"all\" with two global_views or more");
      head_ = register_module("head", make_head());
      distillation_ = register_module(
          "distillation", std::make_shared<SelfDistillationLoss>(options_[kPrototypes], options_[kStudentTemperature],
                                                                 options_[kCenterMomentum]));
    }
    if (options_[kDistillation] != "none")
      teacher_ = register_module("teacher", std::make_shared<Teacher>(model_->image, context.make_image_tower(), head_,
                                                                      self_ ? make_head() : nullptr));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override {
    std::vector<ViewSpec> views = {
        {.name = "global", .count = options_[kGlobalViews], .area = options_[kGlobalArea], .flip = options_[kFlip]}};
    if (self_ && options_[kLocalViews] > 0)
      views.push_back({.name = "local",
                       .count = options_[kLocalViews],
                       .size = local_size_,
                       .area = options_[kLocalArea],
                       .flip = options_[kFlip],
                       .from = options_[kStart],
                       .colours = options_[kLocalColours] ? local_crop_colours() : Photometric{}});
    return views;
  }

  [[nodiscard]] std::vector<double> milestones() const override {
    return self_ && options_[kStart] > 0 && options_[kStart] < 1 ? std::vector{options_[kStart]}
                                                                 : std::vector<double>{};
  }

  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_ ? teacher_->tower() : nullptr; }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    const auto contrastive = contrastive_health(*contrastive_, batch);
    return self_ ? joined(contrastive, self_distillation_health(options_[kPrototypes])) : contrastive;
  }

  // L = L_contrastive + weight · L_distillation.
  StepResult step(const Batch& batch, const Progress& progress) override {
    const bool distils = self_ && progress.fraction >= options_[kStart];
    const auto& global = batch.views.at("global");  // [G·B, 3, S, S]
    std::vector<at::Tensor> sets = {global};
    if (distils && options_[kLocalViews] > 0) sets.push_back(batch.views.at("local"));  // [V·B, 3, s, s]
    const auto features = pooled_features(*model_->image, sets);                        // [G·B, D], [V·B, D]

    StepResult result;
    const auto text = model_->text->embed(batch.tokens);  // [B, E]
    result.terms.push_back({"contrastive", contrastive_->over_views(model_->image->embed(features[0]), text)});
    result.metrics["logit_scale"] = contrastive_->scale();
    if (!distils) return result;

    const auto targets = teacher_->forward(global);  // [G·B, K]
    const auto students = student_scores(features);
    const auto temperature = teacher_temperature(progress);
    auto distilled = distillation_->forward(targets, students.local, students.global, batch.size, temperature);
    result.terms.push_back({"distillation", distilled.loss, options_[kWeight] * since_start(progress, kRamp)});
    result.metrics.merge(distilled.metrics);
    return result;
  }

  void after_backward(const Progress& progress) override {
    if (self_ && progress.fraction < options_[kStart] + options_[kFreezeLastLayer]) head_->freeze_last_layer();
  }

  void after_update(const Progress& progress) override {
    contrastive_->clamp();
    if (!teacher_) return;
    const bool waits = self_ && progress.fraction < options_[kStart];
    teacher_->update(waits ? 0 : options_[kTeacherMomentum]);
  }

 private:
  struct Scores {
    at::Tensor local;   // [V·B, K]
    at::Tensor global;  // [G·B, K], or undefined where only local views are distilled
  };

  [[nodiscard]] std::shared_ptr<DistillationHead> make_head() const {
    return std::make_shared<DistillationHead>(DistillationHeadShape{.width = model_->image->width(),
                                                                    .layers = options_[kHeadLayers],
                                                                    .hidden = options_[kHidden],
                                                                    .bottleneck = options_[kBottleneck],
                                                                    .prototypes = options_[kPrototypes]});
  }

  // The head on the pooled features of the views that the student distils.
  Scores student_scores(const std::vector<at::Tensor>& features) {
    if (options_[kStudentViews] == "local") return {head_->forward(features[1]), {}};
    if (features.size() == 1) return {{}, head_->forward(features[0])};
    const auto scores = head_->forward(at::cat({features[1], features[0]}));
    const auto local = features[1].size(0);
    return {scores.slice(0, 0, local), scores.slice(0, local)};
  }

  [[nodiscard]] double since_start(const Progress& progress, const Option<double>& duration) const {
    return ramp(progress.fraction, options_[kStart], options_[duration]);
  }

  [[nodiscard]] double teacher_temperature(const Progress& progress) const {
    return std::lerp(options_[kTeacherTemperatureStart], options_[kTeacherTemperature],
                     since_start(progress, kTeacherTemperatureWarmup));
  }

  Options options_;
  bool self_;
  int64_t local_size_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<ContrastiveLoss> contrastive_;
  std::shared_ptr<DistillationHead> head_;
  std::shared_ptr<SelfDistillationLoss> distillation_;
  std::shared_ptr<Teacher> teacher_;
};

}  // namespace

SILC_OBJECTIVE(silc, Silc, 1, "SILC: contrastive learning with local-to-global self-distillation", kContrastive,
               kInitialBias, kDistillation, kWeight, kStart, kRamp, kTeacherMomentum, kStudentTemperature,
               kTeacherTemperature, kTeacherTemperatureStart, kTeacherTemperatureWarmup, kCenterMomentum, kPrototypes,
               kHeadLayers, kHidden, kBottleneck, kFreezeLastLayer, kGlobalViews, kGlobalArea, kLocalViews, kLocalArea,
               kLocalSize, kFlip, kLocalColours, kStudentViews);

}  // namespace silc::objectives::silc
