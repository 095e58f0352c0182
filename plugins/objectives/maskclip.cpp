// MaskCLIP (Dong 2023, CVPR, arXiv:2208.12262): CLIP, and masked self-distillation of the image tower. The tower sees
// the picture a second time with 75 % of its patches hidden; a decoder of one layer predicts from that what an EMA
// teacher, which sees the whole picture, says of the hidden patches: a distribution over the prototypes of an online
// tokenizer, a head that the teacher averages too.
//
// L = L_CLIP + λ · L_Dist, λ = 0.05 (its equation 8 and table 6e: 1 is worse than 0.05 by 6 points on ImageNet).
//
// The authors published no code. From the paper are λ, the ratio, the decoder's depth and the teacher's momentum from
// 0.999 to 0.9999; temperatures, centre and head are DINO's, and the momentum's cosine is too. Two parts differ from
// the paper: hidden patches are replaced by a mask token at the tower's input (as in BEiT and iBOT), where the paper's
// tower sees the other patches alone (as in MAE), which is cheaper; and the masked language modelling of its text
// branch (β = 0.05) is left out, so that this is its row without it (table 6a).
#include <algorithm>

#include "nn/contrastive_loss.h"
#include "nn/health.h"
#include "nn/patch_masks.h"
#include "nn/patch_token_loss.h"
#include "nn/teacher.h"
#include "nn/transformer.h"
#include "nn/views.h"

namespace silc::objectives::maskclip {
namespace {

constexpr auto kWeight = number_option("weight", 0.05, 0, 1000, "weight of the masked self-distillation");
constexpr auto kMaskRatio = number_option("mask_ratio", 0.75, 0, 1, "part of the patches that is hidden");
constexpr auto kDecoderLayers = integer_option("decoder_layers", 1, 0, 64, "transformer blocks after the image tower");
constexpr auto kDecoderHeads =
    integer_option("decoder_heads", 0, 0, 256, "their attention heads; 0: width / 64, but one at least");
constexpr MomentumOptions kMomentum(0.999, 0.9999);
constexpr SteadyDistillationOptions kTargets(0.04);
constexpr DistillationHeadOptions kTokenizer({.prototypes = 8192});
constexpr ViewOptions kView;

class MaskClip : public Objective {
 public:
  explicit MaskClip(const ObjectiveContext& context) : options_(context.options), model_(context.model) {
    const auto width = model_->image->width();
    contrastive_ = register_module("contrastive", std::make_shared<ClipLoss>());
    mask_token_ = register_parameter("mask_token", at::zeros({width}));
    decoder_ = register_module("decoder", make_decoder(width));
    decoder_norm_ = register_module("decoder_norm", layer_norm(width));
    tokenizer_ = register_module("tokenizer", kTokenizer.make(context));
    teacher_ = register_module("teacher", std::make_shared<Teacher>(context, tokenizer_, kTokenizer.make(context)));
    distillation_ =
        register_module("distillation", kTargets.make<PatchTokenLoss>(options_, options_[kTokenizer.prototypes]));
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override { return {kView.view(options_)}; }

  void prepare(Batch& batch, const Progress& progress) const override {
    hide_at_random(batch, "image", *model_->image, options_[kMaskRatio], progress);
  }

  StepResult step(const Batch& batch, const Progress& /*progress*/) override {
    const auto& images = batch.views.at("image");                          // [B, 3, S, S]
    const auto image = model_->image->embed(model_->image->pool(images));  // [B, E]
    const auto text = model_->text->embed(batch.tokens);                   // [B, E]
    const auto contrastive = contrastive_->forward(image, text);

    const auto seen = teacher_->features(images).patches;  // [B, N, D]
    const auto mask = PatchMasks::in(batch);
    const auto predicted = tokenizer_->forward(masked_patches(decode(images, mask.hidden), mask));  // [M, K]
    const auto tokens = teacher_->head()->forward(masked_patches(seen, mask));                      // [M, K]
    auto distilled = distillation_->forward(predicted, tokens, mask, options_[kTargets.teacher_temperature]);

    distilled.metrics["logit_scale"] = contrastive_->scale();
    return {.terms = {{"contrastive", contrastive}, {"distillation", distilled.loss, options_[kWeight]}},
            .metrics = std::move(distilled.metrics)};
  }

  void after_update(const Progress& progress) override {
    contrastive_->clamp();
    teacher_->update(kMomentum.momentum(options_, progress.fraction));
  }

  [[nodiscard]] std::shared_ptr<ImageTower> teacher() const override { return teacher_->tower(); }
  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return health_of(batch, contrastive_, nullptr, distillation_);
  }

 private:
  [[nodiscard]] std::shared_ptr<Transformer> make_decoder(int64_t width) const {
    constexpr int64_t kHeadWidth = 64;
    const auto wanted = options_[kDecoderHeads];
    const auto heads = wanted > 0 ? wanted : std::max<int64_t>(1, width / kHeadWidth);
    if (width % heads != 0)
      throw Error("objective \"maskclip\": decoder_heads " + std::to_string(heads) +
                  " does not divide the image tower's width " + std::to_string(width) + "; choose one that does");
    return std::make_shared<Transformer>(
        TransformerShape{.width = width, .layers = options_[kDecoderLayers], .heads = heads});
  }

  // What the student makes of the picture whose masked patches are hidden, [B, N, D].
  at::Tensor decode(const at::Tensor& images, const at::Tensor& mask) {
    const auto patches = model_->image->forward_masked(images, mask, mask_token_).patches;
    return decoder_norm_->forward(decoder_->forward(patches, /*causal=*/false));
  }

  Options options_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<ContrastiveLoss> contrastive_;
  at::Tensor mask_token_;  // [D]
  std::shared_ptr<Transformer> decoder_;
  torch::nn::LayerNorm decoder_norm_{nullptr};
  std::shared_ptr<DistillationHead> tokenizer_;
  std::shared_ptr<Teacher> teacher_;
  std::shared_ptr<PatchTokenLoss> distillation_;
};

}  // namespace

SILC_OBJECTIVE(maskclip, MaskClip, 1, "MaskCLIP: CLIP with masked self-distillation of the image tower",
               needs(Need::patch_tokens, Need::masked_input), kWeight, kMaskRatio, kDecoderLayers, kDecoderHeads,
               kMomentum, kTargets, kTokenizer, kView);

}  // namespace silc::objectives::maskclip
