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
#include "nn/distillation_head.h"
#include "nn/health.h"
#include "nn/self_distillation_loss.h"
#include "nn/teacher.h"
#include "nn/views.h"
#include "silc/objective.h"

namespace {

using silc::integer_option, silc::number_option;

constexpr auto kWeight = number_option("weight", 1.0, 0, 1000, "weight of the distillation loss");
constexpr auto kFocus =
    number_option("focus_temperature", 0.1, 0.001, 1e6, "of the softmax over the teacher's patches");
constexpr auto kMomentum = number_option("teacher_momentum", 0.99, 0, 1, "m of the teacher's moving average");
constexpr auto kLocalViews = integer_option("local_views", 4, 1, 64, "local crops of a picture");
constexpr auto kLocalSize = integer_option("local_size", 32, 1, 8192, "their side in pixels");
constexpr auto kPrototypes = integer_option("prototypes", 1024, 2, 1048576, "outputs of the distillation head");

class CaptionFocus : public silc::Objective {
 public:
  explicit CaptionFocus(const silc::ObjectiveContext& context) : options_(context.options), model_(context.model) {
    contrastive_ = register_module("contrastive", std::make_shared<silc::ClipLoss>());
    head_ = register_module("head", make_head());
    distillation_ = register_module(
        "distillation", std::make_shared<silc::SelfDistillationLoss>(options_[kPrototypes], /*student_temperature=*/0.1,
                                                                     /*center_momentum=*/0.9));
    teacher_head_ = make_head();
    teacher_ = register_module(
        "teacher", std::make_shared<silc::Teacher>(model_->image, context.make_image_tower(), head_, teacher_head_));
  }

  std::vector<silc::ViewSpec> views() const override {
    return {{.name = "global", .area = {0.4, 1.0}},
            {.name = "local", .count = options_[kLocalViews], .size = options_[kLocalSize], .area = {0.05, 0.4}}};
  }

  // evaluation.weights = ["student", "teacher"] evaluates it too.
  std::shared_ptr<silc::ImageTower> teacher() const override { return teacher_->tower(); }

  std::vector<silc::HealthCheck> health(const silc::BatchShape& batch) const override {
    return silc::joined(silc::contrastive_health(*contrastive_, batch),
                        silc::self_distillation_health(options_[kPrototypes]));
  }

  silc::StepResult step(const silc::Batch& batch, const silc::Progress&) override {
    const auto& global = batch.views.at("global");  // [B, 3, S, S]
    const auto features = silc::pooled_features(*model_->image, std::array{global, batch.views.at("local")});
    const auto image = model_->image->embed(features[0]);  // [B, E]
    const auto text = model_->text->embed(batch.tokens);   // [B, E]
    const auto students = head_->forward(features[1]);     // [V·B, K]
    auto distilled = distillation_->forward(focused_scores(global, text), students, {}, batch.size, /*τ_t=*/0.04);
    distilled.metrics["logit_scale"] = contrastive_->scale();
    return {.terms = {{"contrastive", contrastive_->forward(image, text)},
                      {"distillation", distilled.loss, options_[kWeight]}},
            .metrics = distilled.metrics};
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
    return teacher_head_->forward((attention * features.patches).sum(1));
  }

  std::shared_ptr<silc::DistillationHead> make_head() const {
    return std::make_shared<silc::DistillationHead>(silc::DistillationHeadShape{
        .width = model_->image->width(), .hidden = 512, .bottleneck = 64, .prototypes = options_[kPrototypes]});
  }

  silc::Options options_;
  std::shared_ptr<silc::DualEncoder> model_;
  std::shared_ptr<silc::ContrastiveLoss> contrastive_;
  std::shared_ptr<silc::DistillationHead> head_, teacher_head_;
  std::shared_ptr<silc::SelfDistillationLoss> distillation_;
  std::shared_ptr<silc::Teacher> teacher_;
};

}  // namespace

SILC_OBJECTIVE(caption_focus, CaptionFocus, 1, "CLIP, and distillation of what the caption speaks of",
               silc::needs(silc::Need::patch_tokens), kWeight, kFocus, kMomentum, kLocalViews, kLocalSize, kPrototypes);
