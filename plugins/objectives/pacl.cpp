// PACL (Mukhoti 2023, arXiv:2212.04994): CLIP's loss with another compatibility of picture and text, in which each text
// weighs the picture's patches by how well they fit it. Only the embedder of the patches is trained, on top of a CLIP
// model that stays as it is: it is for a second phase, or for a model that starts from a checkpoint. Checked against
// two public reimplementations (NMS05/Patch-Aligned-Contrastive-Learning, orensul/PACL-reproduction), which multiply
// the cosines by 10 before they become weights; the paper's equation names no factor. Its prompts made of a caption's
// nouns are the dataset's business.
//
// Evaluation is PACL's as well, as the embedder becomes part of the image tower: zero-shot segmentation reads its patch
// embeddings, zero-shot classification takes the class of the greatest compatibility (section 4.3). Where one vector
// has to stand for a picture (retrieval), it is the mean of the patch embeddings.
#include "nn/freeze.h"
#include "nn/health.h"
#include "nn/patch_alignment.h"
#include "nn/ranks.h"
#include "nn/views.h"

namespace silc::objectives::pacl {
namespace {

constexpr auto kTrain =
    choice_option("train", "embedder", "embedder|all",
                  "embedder: of the model nothing but the patch embedder (PACL); all: both towers too");
constexpr auto kPatchWeights =
    choice_option("patch_weights", "softmax", "softmax|sigmoid",
                  "of patches in a picture's vector: softmax over its patches (PACL), or a sigmoid of each");
constexpr auto kPatchScale =
    number_option("patch_scale", 10.0, 0.01, 1000, "times the cosine of patch and text, before softmax or sigmoid");
constexpr auto kTile = integer_option("tile", 64, 1, 65536,
                                      "texts compared with all pictures of the batch at once: the memory of their "
                                      "B * tile * N scores against computing them twice where tile is below the batch");
constexpr ViewOptions kView;

class Pacl : public Objective {
 public:
  explicit Pacl(const ObjectiveContext& context) : view_(kView.view(context.options)), model_(context.model) {
    const auto& options = context.options;
    // The projection of pooled features has no part in the loss.
    model_->image->train_projection(false);
    if (options[kTrain] == "embedder") freeze(*model_);
    embedder_ = register_module(
        "embedder", std::make_shared<PatchEmbedder>(PatchEmbedderShape{.width = model_->image->width(),
                                                                       .embed_dim = model_->image->embed_dim(),
                                                                       .sigmoid = options[kPatchWeights] == "sigmoid",
                                                                       .scale = options[kPatchScale],
                                                                       .tile = options[kTile]}));
    model_->image->set_patch_head(embedder_);
    loss_ = register_module("loss", std::make_shared<SimilarityLoss>());
  }

  [[nodiscard]] std::vector<ViewSpec> views() const override { return {view_}; }

  [[nodiscard]] std::vector<HealthCheck> health(const BatchShape& batch) const override {
    return contrastive_health(*loss_, batch);
  }

  StepResult step(const Batch& batch, const Progress& /*progress*/) override {
    const auto patches = model_->image->embed_patches(model_->image->forward(batch.views.at("image")));  // [B, N, E]
    const auto text = whole_batch(model_->text->embed(batch.tokens), batch.size);  // [B, E], of all ranks
    const auto similarity = embedder_->similarity(patches, text);                  // [b, B]
    return {.terms = {{"contrastive", loss_->of_similarities(similarity)}},
            .metrics = {{"logit_scale", loss_->scale()}}};
  }

  void after_update(const Progress& /*progress*/) override { loss_->clamp(); }

 private:
  ViewSpec view_;
  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<PatchEmbedder> embedder_;
  std::shared_ptr<SimilarityLoss> loss_;
};

}  // namespace

SILC_OBJECTIVE(pacl, Pacl, 1, "PACL: patches aligned with texts through a patch embedder", needs(Need::patch_tokens),
               kTrain, kPatchWeights, kPatchScale, kTile, kView);

}  // namespace silc::objectives::pacl
