// DINO (Caron 2021, arXiv:2104.14294; code: github.com/facebookresearch/dino, main_dino.py): self-distillation without
// labels. An EMA teacher sees two global crops, the student all crops, and each crop of the student predicts the
// teacher's prototypes of every other global crop.
//
// No text is used: the text tower and the projections to the joint space stay as they were initialised, so zero-shot
// figures of this row are those of chance, and it is compared by what needs pictures alone (k-NN, linear probe).
//
// What belongs to the optimizer and the backbone is set there, as far as they have it: DINO's weight decay goes from
// 0.04 to 0.4 along a cosine (silc's is constant), the gradient of each parameter is clipped to norm 3 (silc clips that
// of all together), stochastic depth is 0.1. Fractions of training stand for the epochs of a run of 100.
#include <cmath>

#include "nn/distillation_head.h"
#include "nn/freeze.h"
#include "nn/health.h"
#include "nn/multi_crop.h"
#include "nn/schedules.h"
#include "nn/self_distillation_loss.h"
#include "nn/teacher.h"
#include "nn/views.h"
#include "silc/objective.h"

namespace silc::objectives::dino {
namespace {

constexpr auto kTeacherMomentum =
    number_option("teacher_momentum", 0.996, 0, 1,
                  "m of the teacher's moving average at the beginning; 0.9995 is better with a batch of 256");
constexpr auto kTeacherMomentumEnd =
    number_option("teacher_momentum_end", 1.0, 0, 1, "m at the end, which it reaches along a cosine");
constexpr auto kStudentTemperature = number_option("student_temperature", 0.1, 0.001, 10, "of the student's softmax");
constexpr auto kTeacherTemperature = number_option("teacher_temperature", 0.07, 0.001, 10, "of the teacher's softmax");
constexpr auto kTeacherTemperatureStart =
    number_option("teacher_temperature_start", 0.04, 0.001, 10, "teacher's temperature at the beginning");
constexpr auto kTeacherTemperatureWarmup =
    number_option("teacher_temperature_warmup", 0.3, 0, 1,
                  "fraction of training over which the teacher's temperature goes from its start to its final value");
constexpr auto kCenterMomentum = number_option("center_momentum", 0.9, 0, 1, "m of the centre's moving average");

constexpr auto kPrototypes = integer_option("prototypes", 65536, 2, 1048576, "outputs of the distillation head");
constexpr auto kHeadLayers = integer_option("head_layers", 3, 1, 16, "layers of the head's MLP");
constexpr auto kHidden = integer_option("hidden", 2048, 1, 65536, "width of the head's hidden layers");
constexpr auto kBottleneck = integer_option("bottleneck", 256, 1, 65536, "width before the prototypes");
constexpr auto kNormLastLayer = boolean_option("norm_last_layer", true,
                                               "the prototypes' gains stay at 1; false can be better for small models "
                                               "and is less stable");
constexpr auto kFreezeLastLayer = number_option("freeze_last_layer", 0.01, 0, 1,
                                                "fraction of training at its beginning in which the prototypes stay");

constexpr auto kGlobalArea = pair_option("global_area", 0.4, 1.0, 0.01, 1.0,
                                         "part of the picture's area that each of the two global crops shows");
constexpr auto kLocalViews = integer_option("local_views", 8, 0, 64, "local crops of a picture");
constexpr auto kLocalArea = pair_option("local_area", 0.05, 0.4, 0.01, 1.0, "part of the area that they show");
constexpr auto kLocalSize = integer_option("local_size", 0, 0, 8192,
                                           "side of local crops in pixels; 0: image_size * 96/224, rounded to a "
                                           "multiple of 16");
constexpr auto kColours =
    boolean_option("colours", true, "colour jitter, greyscale, blur and solarization of crops, as in DINO");

class Dino : public Objective {
 public:
  explicit Dino(const ObjectiveContext& context)
      : options_(context.options),
        local_size_(local_crop_size(options_[kLocalSize], context.image_size)),
        model_(context.model) {
    freeze_all_but_image_backbone(*model_);
    head_ = register_module("head", make_head());
    teacher_ = register_module(
        "teacher", std::make_shared<Teacher>(model_->image, context.make_image_tower(), head_, make_head()));
    distillation_ = register_module(
        "distillation", std::make_shared<SelfDistillationLoss>(options_[kPrototypes], options_[kStudentTemperature],
                                                               options_[kCenterMomentum]));
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
    return self_distillation_health(options_[kPrototypes]);
  }

  StepResult step(const Batch& batch, const Progress& progress) override {
    const auto global = global_crops(batch);  // [2·B, 3, S, S]
    std::vector<at::Tensor> sets = {global};
    if (options_[kLocalViews] > 0) sets.push_back(batch.views.at("local"));  // [V·B, 3, s, s]
    const auto features = at::cat(pooled_features(*model_->image, sets));    // [(2 + V)·B, D]
    const auto scores = head_->forward(features);                            // [(2 + V)·B, K]
    const auto student_global = scores.slice(0, 0, global.size(0));          // [2·B, K]
    const auto student_local = options_[kLocalViews] > 0 ? scores.slice(0, global.size(0)) : at::Tensor();
    auto distilled = distillation_->forward(teacher_->forward(global), student_local, student_global, batch.size,
                                            teacher_temperature(progress));
    return {.terms = {{"distillation", distilled.loss}}, .metrics = std::move(distilled.metrics)};
  }

  void after_backward(const Progress& progress) override {
    if (progress.fraction < options_[kFreezeLastLayer]) head_->freeze_last_layer();
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

  [[nodiscard]] double teacher_temperature(const Progress& progress) const {
    return std::lerp(options_[kTeacherTemperatureStart], options_[kTeacherTemperature],
                     ramp(progress.fraction, 0, options_[kTeacherTemperatureWarmup]));
  }

  Options options_;
  int64_t local_size_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<DistillationHead> head_;
  std::shared_ptr<Teacher> teacher_;
  std::shared_ptr<SelfDistillationLoss> distillation_;
};

}  // namespace

SILC_OBJECTIVE(dino, Dino, 1, "DINO: self-distillation of pictures alone; zero-shot figures are those of chance",
               kTeacherMomentum, kTeacherMomentumEnd, kStudentTemperature, kTeacherTemperature,
               kTeacherTemperatureStart, kTeacherTemperatureWarmup, kCenterMomentum, kPrototypes, kHeadLayers, kHidden,
               kBottleneck, kNormLastLayer, kFreezeLastLayer, kGlobalArea, kLocalViews, kLocalArea, kLocalSize,
               kColours);

}  // namespace silc::objectives::dino
