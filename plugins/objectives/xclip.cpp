// xCLIP (Zhou 2023, arXiv:2210.09304): CLIP, and nCLIP beside it, in which pictures and captions agree on soft
// assignments to prototypes. The authors' repository (shallowtoil/xclip) has no code. The form of the loss is the
// paper's: symmetric cross-entropy, sharp assignments of each sample (small entropy), smooth use of the prototypes
// (great entropy of the batch's mean). Its numbers (weights, temperature, shape of the heads) were not to be had and
// are this project's choice: all are options.
#include "nn/assignment_loss.h"
#include "nn/contrastive_loss.h"
#include "nn/health.h"
#include "nn/projection_head.h"
#include "nn/views.h"

namespace silc::objectives::xclip {
namespace {

constexpr auto kWeight = number_option("weight", 1.0, 0, 1000, "weight of the non-contrastive loss");
constexpr auto kEntropyWeight =
    number_option("entropy_weight", 0.5, 0, 1000, "of the entropy of each sample's assignment, which is to be small");
constexpr auto kMeanEntropyWeight =
    number_option("mean_entropy_weight", 1.0, 0, 1000, "of the entropy of the mean assignment, which is to be great");
constexpr auto kTemperature = number_option("temperature", 1.0, 0.001, 10, "of both softmaxes over prototypes");
constexpr auto kPrototypes = integer_option("prototypes", 32768, 2, 1048576, "K, outputs of both heads");
constexpr auto kHeadLayers = integer_option("head_layers", 2, 1, 16, "layers of each head's MLP");
constexpr auto kHidden = integer_option("hidden", 4096, 1, 65536, "width of the heads' hidden layers");
constexpr ViewOptions kView;

class Xclip : public Objective {
 public:
  explicit Xclip(const ObjectiveContext& context) : options_(context.options), model_(context.model) {
    contrastive_ = register_module("contrastive", std::make_shared<ClipLoss>());
    image_head_ = register_module("image_head", make_head(model_->image->width()));
    text_head_ = register_module("text_head", make_head(model_->text->width()));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override { return {kView.view(options_)}; }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return contrastive_health(*contrastive_, batch);
  }

  // L = L_CLIP + weight · (H(p, q) + entropy_weight · H(p) − mean_entropy_weight · H(p̄)), each H of both modalities.
  StepResult step(const Batch& batch, const Progress& /*progress*/) override {
    const auto image = model_->image->pool(batch.views.at("image"));  // [B, D]
    const auto text = model_->text->forward(batch.tokens);            // [B, D']
    const auto contrastive = contrastive_->forward(model_->image->embed(image), model_->text->embed_features(text));
    const auto assignment =
        assignment_loss(image_head_->forward(image), text_head_->forward(text), options_[kTemperature]);
    const double weight = options_[kWeight];
    return {.terms = {{"contrastive", contrastive},
                      {"cross_entropy", assignment.cross_entropy, weight},
                      {"entropy", assignment.entropy, weight * options_[kEntropyWeight]},
                      {"mean_entropy", assignment.mean_entropy, -weight * options_[kMeanEntropyWeight]}},
            .metrics = {{"logit_scale", contrastive_->scale()}}};
  }

  void after_update(const Progress& /*progress*/) override { contrastive_->clamp(); }

 private:
  [[nodiscard]] std::shared_ptr<ProjectionHead> make_head(int64_t width) const {
    return std::make_shared<ProjectionHead>(ProjectionHeadShape{.width = width,
                                                                .layers = options_[kHeadLayers],
                                                                .hidden = options_[kHidden],
                                                                .out = options_[kPrototypes],
                                                                .batch_norm = false});
  }

  Options options_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<ContrastiveLoss> contrastive_;
  std::shared_ptr<ProjectionHead> image_head_, text_head_;
};

}  // namespace

SILC_OBJECTIVE(xclip, Xclip, 1, "xCLIP: CLIP and non-contrastive agreement on prototypes", kWeight, kEntropyWeight,
               kMeanEntropyWeight, kTemperature, kPrototypes, kHeadLayers, kHidden, kView);

}  // namespace silc::objectives::xclip
