// Captioning as pretraining: CapPa (Tschannen 2023, arXiv:2306.07915) by default, Cap with parallel = 0, and with
// contrastive = "clip" a contrastive captioner in the manner of CoCa (Yu 2022, arXiv:2205.01917; its weights are
// weight = 2 and contrastive_weight = 1), whose text tower can be asked zero-shot questions. Defaults are those of
// google-research/big_vision (configs/proj/cappa/pretrain.py, models/proj/cappa/cappa.py).
#include "nn/caption_decoder.h"
#include "nn/contrastive_loss.h"
#include "nn/freeze.h"
#include "nn/health.h"
#include "nn/views.h"

namespace silc::objectives::cap {
namespace {

constexpr auto kParallel = number_option("parallel", 0.75, 0, 1,
                                         "fraction of captions whose tokens are all predicted at once, from the "
                                         "picture alone (CapPa); 0: each from those before it (Cap)");
constexpr CaptionDecoderOptions kDecoder("decoder_");
constexpr auto kMlpRatio = number_option("mlp_ratio", 4, 0.01, 64, "width of the decoder's MLP over its width");
constexpr auto kWeight = number_option("weight", 1.0, 0, 1000, "weight of the captioning loss");
constexpr auto kContrastive =
    choice_option("contrastive", "none", "none|clip|siglip",
                  "contrastive loss beside captioning. none: the text tower and the projections are not trained, and "
                  "zero-shot evaluations mean nothing");
constexpr auto kContrastiveWeight = number_option("contrastive_weight", 1.0, 0, 1000, "weight of the contrastive loss");
constexpr ViewOptions kView;

class Cap : public Objective {
 public:
  explicit Cap(const ObjectiveContext& context) : options_(context.options), model_(context.model) {
    decoder_ = register_module(
        "decoder", kDecoder.make(context, {.mlp_ratio = options_[kMlpRatio], .parallel = options_[kParallel]}));
    if (options_[kContrastive] == "none") {
      freeze_all_but_image_backbone(*model_);
    } else {
      contrastive_ = register_module("contrastive", make_contrastive_loss(options_[kContrastive]));
    }
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override { return {kView.view(options_)}; }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return health_of(batch, contrastive_);
  }

  void prepare(Batch& batch, const Progress& progress) const override { decoder_->prepare(batch, progress.random(0)); }

  // L = weight · L_caption(patches, text) + contrastive_weight · L_contrastive(pooled, text).
  StepResult step(const Batch& batch, const Progress& /*progress*/) override {
    const auto features = model_->image->forward(batch.views.at("image"));
    const auto caption = decoder_->forward(features.patches, batch);
    StepResult result;
    result.terms.push_back({"caption", caption, options_[kWeight]});
    if (contrastive_) {
      const auto image = model_->image->embed(features.pooled);  // [B, E]
      const auto text = model_->text->embed(batch.tokens);       // [B, E]
      result.terms.push_back({"contrastive", contrastive_->forward(image, text), options_[kContrastiveWeight]});
      result.metrics["logit_scale"] = contrastive_->scale();
    }
    return result;
  }

  [[nodiscard]] std::shared_ptr<Captioner> captioner() const override { return decoder_; }

  void after_update(const Progress& /*progress*/) override {
    if (contrastive_) contrastive_->clamp();
  }

 private:
  Options options_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<CaptionDecoder> decoder_;
  std::shared_ptr<ContrastiveLoss> contrastive_;
};

}  // namespace

SILC_OBJECTIVE(cap, Cap, 1, "CapPa: captioning from patch tokens, in parallel or token by token; with contrast: CoCa",
               needs(Need::patch_tokens), kParallel, kDecoder, kMlpRatio, kWeight, kContrastive, kContrastiveWeight,
               kView);

}  // namespace silc::objectives::cap
