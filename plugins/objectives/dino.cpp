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
#include "nn/freeze.h"
#include "nn/health.h"
#include "nn/multi_crop.h"
#include "nn/self_distillation_loss.h"
#include "nn/teacher.h"
#include "nn/views.h"

namespace silc::objectives::dino {
namespace {

constexpr MomentumOptions kMomentum(0.996);
constexpr WarmedDistillationOptions kTargets({.first = 0.04, .last = 0.07, .duration = 0.3});
constexpr DinoHeadOptions kHead;
constexpr MultiCropOptions kCrops({.global_area = {0.4, 1.0}, .local = {.views = 8, .area = {0.05, 0.4}}});

class Dino : public Objective {
 public:
  explicit Dino(const ObjectiveContext& context)
      : options_(context.options), image_size_(context.image_size), model_(context.model) {
    freeze_all_but_image_backbone(*model_);
    head_ = register_module("head", kHead.make(context));
    teacher_ = register_module("teacher", std::make_shared<Teacher>(context, head_, kHead.make(context)));
    distillation_ = register_module("distillation", kTargets.make(options_, options_[kHead.prototypes]));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override { return kCrops.specs(options_, image_size_); }

  StepResult step(const Batch& batch, const Progress& progress) override {
    const auto global = global_crops(batch);       // [2·B, 3, S, S]
    const auto local = find_view(batch, "local");  // [V·B, 3, s, s], if there are any
    const auto features = pooled_features(*model_->image, std::array{global, local});  // [2·B, D], [V·B, D]
    const auto students = head_->each(features);                                       // [2·B, K], [V·B, K]
    const auto teacher = teacher_->forward(global);                                    // [2·B, K]
    const auto temperature = kTargets.temperature(options_, progress.fraction);
    auto distilled = distillation_->forward(teacher, students[1], students[0], batch.size, temperature);
    return {.terms = {{"distillation", distilled.loss}}, .metrics = std::move(distilled.metrics)};
  }

  void after_backward(const Progress& progress) override {
    if (progress.fraction < options_[kHead.freeze]) head_->freeze_last_layer();
  }

  void after_update(const Progress& progress) override {
    teacher_->update(kMomentum.momentum(options_, progress.fraction));
  }

  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_->tower(); }
  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return health_of(batch, nullptr, distillation_);
  }

 private:
  Options options_;
  int64_t image_size_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<DistillationHead> head_;
  std::shared_ptr<Teacher> teacher_;
  std::shared_ptr<SelfDistillationLoss> distillation_;
};

}  // namespace

SILC_OBJECTIVE(dino, Dino, 1, "DINO: self-distillation of pictures alone; zero-shot figures are those of chance",
               kMomentum, kTargets, kHead, kCrops);

}  // namespace silc::objectives::dino
