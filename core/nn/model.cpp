#include "silc/model.h"

#include <torch/nn/init.h>

#include <cmath>

#include "nn/precision.h"
#include "nn/recompute.h"

namespace silc {

namespace {

at::Tensor new_projection(int64_t width, int64_t embed_dim) {
  return torch::nn::init::normal_(at::empty({width, embed_dim}), 0, 1 / std::sqrt(static_cast<double>(width)));
}

// [..., D] → [..., E], L2-normalised.
at::Tensor project(const at::Tensor& features, const at::Tensor& projection, const at::Tensor& bias) {
  const auto projected = at::matmul(features, projection);
  return l2_normalize(bias.defined() ? projected + bias.to(projected.scalar_type()) : projected);
}

// `forward` of an image backbone in chunks of the inputs' rows.
template <class Forward>
ImageFeatures features_in_chunks(const Forward& forward, const Tensors& inputs, const Tensors& parameters,
                                 int64_t chunk) {
  // Shared with the backward pass, which outlives this call.
  const auto grid = std::make_shared<ImageFeatures>();
  const auto outputs = recompute_in_chunks(
      [forward, grid](const Tensors& rows) {
        const ImageFeatures features = forward(rows);
        grid->grid_height = features.grid_height;
        grid->grid_width = features.grid_width;
        return Tensors{features.pooled, features.patches};
      },
      inputs, parameters, chunk);
  return {outputs[0], outputs[1], grid->grid_height, grid->grid_width};
}

}  // namespace

ImageTower::ImageTower(std::shared_ptr<ImageBackbone> backbone, int64_t embed_dim, bool projection_bias)
    : backbone_(register_module("backbone", std::move(backbone))),
      projection_(register_parameter("projection", new_projection(backbone_->width(), embed_dim))) {
  if (projection_bias) projection_bias_ = register_parameter("projection_bias", at::zeros({embed_dim}));
}

ImageFeatures ImageTower::forward(const at::Tensor& images) {
  if (!in_chunks(images)) return backbone_->forward(images);
  return features_in_chunks([backbone = backbone_](const Tensors& rows) { return backbone->forward(rows[0]); },
                            {images}, backbone_->parameters(), chunk_);
}

at::Tensor ImageTower::pool(const at::Tensor& images) {
  if (!in_chunks(images)) return backbone_->forward(images).pooled;
  return recompute_in_chunks(
      [backbone = backbone_](const Tensors& rows) { return Tensors{backbone->forward(rows[0]).pooled}; }, {images},
      backbone_->parameters(), chunk_)[0];
}

ImageFeatures ImageTower::forward_masked(const at::Tensor& images, const at::Tensor& mask,
                                         const at::Tensor& mask_token) {
  if (!in_chunks(images)) return backbone_->forward_masked(images, mask, mask_token);
  auto parameters = backbone_->parameters();
  parameters.push_back(mask_token);
  return features_in_chunks([backbone = backbone_, mask_token](
                                const Tensors& rows) { return backbone->forward_masked(rows[0], rows[1], mask_token); },
                            {images, mask}, parameters, chunk_);
}

PatchGrid ImageTower::patch_grid(const at::Tensor& images) const {
  return backbone_->patch_grid(images.size(2), images.size(3));
}

at::Tensor ImageTower::embed(const at::Tensor& features) const {
  return project(features, projection_, projection_bias_);
}

void ImageTower::train_projection(bool on) {
  projection_.set_requires_grad(on);
  if (projection_bias_.defined()) projection_bias_.set_requires_grad(on);
}

at::Tensor ImageTower::embed_image(const ImageFeatures& features) {
  return patch_head_ ? l2_normalize(full_precision(embed_patches(features)).mean(1)) : embed(features.pooled);
}

at::Tensor ImageTower::embed_patches(const ImageFeatures& features) {
  const auto patches = backbone_->localize(features);  // [B, N, D]
  return patch_head_ ? patch_head_->forward(patches) : embed(patches);
}

void ImageTower::set_patch_head(std::shared_ptr<PatchHead> head) {
  patch_head_ = register_module("patch_head", std::move(head));
}

int64_t ImageTower::width() const { return backbone_->width(); }

int64_t ImageTower::embed_dim() const { return projection_.size(1); }

TextTower::TextTower(std::shared_ptr<TextBackbone> backbone, int64_t embed_dim, bool projection_bias)
    : backbone_(register_module("backbone", std::move(backbone))),
      projection_(register_parameter("projection", new_projection(backbone_->width(), embed_dim))) {
  if (projection_bias) projection_bias_ = register_parameter("projection_bias", at::zeros({embed_dim}));
}

at::Tensor TextTower::forward(const at::Tensor& tokens) {
  if (chunk_ == 0 || tokens.size(0) <= chunk_) return backbone_->forward(tokens);
  return recompute_in_chunks(
      [backbone = backbone_](const Tensors& rows) { return Tensors{backbone->forward(rows[0])}; }, {tokens},
      backbone_->parameters(), chunk_)[0];
}

at::Tensor TextTower::embed(const at::Tensor& tokens) { return embed_features(forward(tokens)); }

at::Tensor TextTower::embed_features(const at::Tensor& features) const {
  return project(features, projection_, projection_bias_);
}

int64_t TextTower::width() const { return backbone_->width(); }

int64_t TextTower::embed_dim() const { return projection_.size(1); }

DualEncoder::DualEncoder(std::shared_ptr<ImageTower> image_tower, std::shared_ptr<TextTower> text_tower)
    : image(register_module("image", std::move(image_tower))), text(register_module("text", std::move(text_tower))) {}

DualEncoder::~DualEncoder() = default;

}  // namespace silc
