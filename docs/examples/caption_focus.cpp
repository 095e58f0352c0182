// A distillation from the parts that silc has: local crops learn to see what the caption speaks of.
//
// An EMA teacher sees the whole picture. Its patches n are weighted by how well they fit the picture's caption, and
// what they show together is scored by the teacher's head:
//
//     a = softmax(cos(patches, caption) / focus_temperature),    teacher = head(Σ_n a_n · patch_n)
//
// From local crops the student predicts these prototypes, as it does in SILC and DINO (Caron 2021) those of the whole
// picture. With a very large focus_temperature all patches count alike.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <array>

#include "nn/contrastive_loss.h"
#include "nn/health.h"
#include "nn/multi_crop.h"
#include "nn/self_distillation_loss.h"
#include "nn/teacher.h"
#include "nn/views.h"

namespace {

using silc::number_option;

constexpr auto kWeight = number_option("weight", 1.0, 0, 1000, "weight of the distillation loss");
constexpr auto kFocus =
    number_option("focus_temperature", 0.1, 0.001, 1e6, "of the softmax over the teacher's patches");
constexpr auto kMomentum = silc::teacher_momentum_option(0.99);
constexpr silc::LocalCropOptions kLocal({.views = 4, .fewest = 1});
constexpr silc::DistillationHeadOptions kHead({.hidden = 512, .bottleneck = 64, .prototypes = 1024});
constexpr silc::SteadyDistillationOptions kTargets(0.04);

class CaptionFocus : public silc::Objective {
 public:
  explicit CaptionFocus(const silc::ObjectiveContext& context)
      : options_(context.options), image_size_(context.image_size), model_(context.model) {
    contrastive_ = register_module("contrastive", std::make_shared<silc::ClipLoss>());
    head_ = register_module("head", kHead.make(context));
    distillation_ = register_module("distillation", kTargets.make(options_, options_[kHead.prototypes]));
    teacher_ = register_module("teacher", std::make_shared<silc::Teacher>(context, head_, kHead.make(context)));
  }

  std::vector<silc::ViewSpec> views() const override {
    return {{.name = "global", .area = {0.4, 1.0}}, kLocal.view(options_, image_size_)};
  }

  // evaluation.weights = ["student", "teacher"] evaluates it too.
  std::shared_ptr<silc::ImageTower> teacher() const override { return teacher_->tower(); }

  std::vector<silc::HealthCheck> health(const silc::BatchShape& batch) const override {
    return silc::health_of(batch, contrastive_, distillation_);
  }

  silc::StepResult step(const silc::Batch& batch, const silc::Progress&) override {
    const auto& global = batch.views.at("global");  // [B, 3, S, S]
    const auto features = silc::pooled_features(*model_->image, std::array{global, batch.views.at("local")});
    const auto image = model_->image->embed(features[0]);  // [B, E]
    const auto text = model_->text->embed(batch.tokens);   // [B, E]
    const auto students = head_->forward(features[1]);     // [V·B, K]
    auto distilled = distillation_->forward(focused_scores(global, text), students, {}, batch.size,
                                            options_[kTargets.teacher_temperature]);
    silc::StepResult result = {{{"contrastive", contrastive_->forward(image, text)}},
                               {{"logit_scale", contrastive_->scale()}}};
    silc::add_term(result, "distillation", std::move(distilled), options_[kWeight]);
    return result;
  }

  void after_update(const silc::Progress&) override {
    contrastive_->clamp();
    teacher_->update(options_[kMomentum]);
  }

 private:
  // The teacher's scores [B, K] of what the captions [B, E] speak of in the pictures.
  at::Tensor focused_scores(const at::Tensor& images, const at::Tensor& text) {
    const at::NoGradGuard no_grad;
    silc::ImageTower& tower = *teacher_->tower();
    const auto features = tower.forward(images);
    const auto fit = tower.embed_patches(features).matmul(text.unsqueeze(2)).squeeze(2);  // [B, N]
    const auto attention = (fit / options_[kFocus]).softmax(1).unsqueeze(2);              // [B, N, 1]
    return teacher_->head()->forward((attention * features.patches).sum(1));
  }

  silc::Options options_;
  int64_t image_size_;
  std::shared_ptr<silc::DualEncoder> model_;
  std::shared_ptr<silc::ContrastiveLoss> contrastive_;
  std::shared_ptr<silc::DistillationHead> head_;
  std::shared_ptr<silc::SelfDistillationLoss> distillation_;
  std::shared_ptr<silc::Teacher> teacher_;
};

}  // namespace

SILC_OBJECTIVE(caption_focus, CaptionFocus, 2, "CLIP, and distillation of what the caption speaks of",
               silc::needs(silc::Need::patch_tokens), kWeight, kFocus, kMomentum, kLocal, kHead, kTargets);
