// For tests of objectives: a dual encoder that is as small as can be, and batches for it.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>

#include "silc/objective.h"

namespace silc::testing {

inline constexpr int64_t kImageSize = 16;     // S
inline constexpr int64_t kContextLength = 6;  // T
inline constexpr int64_t kVocabulary = 20;
inline constexpr int64_t kEmbedDim = 4;   // E
inline constexpr int64_t kClasses = 3;    // of labels and masks
inline constexpr int64_t kPatchSize = 4;  // in pixels; views may have any multiple of it

// Each patch is a linear function of its mean colour: [B, 3, H, W] → [B, N, D].
class TinyImageBackbone : public ImageBackbone {
 public:
  TinyImageBackbone() {
    weight_ = register_parameter("weight", at::randn({width(), 3}));
    bias_ = register_parameter("bias", at::zeros({width()}));
  }

  ImageFeatures forward(const at::Tensor& images) override { return pool(embed(images), images); }

  ImageFeatures forward_masked(const at::Tensor& images, const at::Tensor& mask,
                               const at::Tensor& mask_token) override {
    const auto tokens = embed(images);
    return pool(at::where(mask.unsqueeze(2), mask_token.to(tokens.scalar_type()), tokens), images);
  }

  [[nodiscard]] PatchGrid patch_grid(int64_t height, int64_t width) const override {
    return {height / kPatchSize, width / kPatchSize};
  }

  [[nodiscard]] int64_t width() const override { return 8; }

 private:
  at::Tensor embed(const at::Tensor& images) const {
    const auto colours = at::avg_pool2d(images, {kPatchSize, kPatchSize}).flatten(2).transpose(1, 2);  // [B, N, 3]
    return at::linear(colours, weight_, bias_);                                                        // [B, N, D]
  }

  static ImageFeatures pool(const at::Tensor& tokens, const at::Tensor& images) {
    const auto patches = at::tanh(tokens);
    return {patches.mean(1), patches, images.size(2) / kPatchSize, images.size(3) / kPatchSize};
  }

  at::Tensor weight_;  // [D, 3]
  at::Tensor bias_;    // [D]
};

// The mean of a table's rows: [B, T] → [B, D].
class TinyTextBackbone : public TextBackbone {
 public:
  TinyTextBackbone() { table_ = register_parameter("table", at::randn({kVocabulary, width()})); }
  at::Tensor forward(const at::Tensor& tokens) override { return at::embedding(table_, tokens).mean(1); }
  [[nodiscard]] int64_t width() const override { return 8; }

 private:
  at::Tensor table_;  // [vocabulary, D]
};

inline std::shared_ptr<ImageTower> tiny_image_tower() {
  return std::make_shared<ImageTower>(std::make_shared<TinyImageBackbone>(), kEmbedDim);
}

inline std::shared_ptr<DualEncoder> tiny_model() {
  return std::make_shared<DualEncoder>(tiny_image_tower(),
                                       std::make_shared<TextTower>(std::make_shared<TinyTextBackbone>(), kEmbedDim));
}

// What the engine hands to an objective. `options` must outlive it.
inline ObjectiveContext tiny_context(const Options& options, std::shared_ptr<DualEncoder> model) {
  return {.options = options,
          .model = std::move(model),
          .make_image_tower = tiny_image_tower,
          .image_size = kImageSize,
          .context_length = kContextLength,
          .vocabulary_size = kVocabulary,
          .padding_id = 0};
}

// A batch as the engine makes them, of random pictures, words and labels, for the views and captions that `objective`
// asks for.
inline Batch random_batch(const Objective& objective, int64_t size) {
  Batch batch{.size = size,
              .views = {},
              .tokens = at::randint(1, kVocabulary, {objective.captions() * size, kContextLength}, at::kLong),
              .labels = at::randint(kClasses, {size}, at::kLong)};
  for (const ViewSpec& view : objective.views()) {
    const int64_t side = view.size == 0 ? kImageSize : view.size;
    batch.views[view.name] = at::rand({view.count * size, 3, side, side}) * 2 - 1;
    if (view.masks) batch.masks[view.name] = at::randint(kClasses, {view.count * size, side, side}, at::kByte);
  }
  return batch;
}

// step() on a batch that was prepared, as the engine does it.
inline StepResult step(Objective& objective, Batch batch, const Progress& progress) {
  objective.prepare(batch, progress);
  return objective.step(batch, progress);
}

}  // namespace silc::testing
