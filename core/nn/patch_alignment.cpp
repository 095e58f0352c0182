#include "nn/patch_alignment.h"

#include <ATen/Functions.h>

#include "nn/precision.h"
#include "nn/ranks.h"
#include "nn/recompute.h"

namespace silc {

namespace {

// patches: [B, N, E], texts: [T, E], both L2-normalised → [B, T].
at::Tensor compatibility(const at::Tensor& patches, const at::Tensor& texts, bool sigmoid, double scale) {
  const auto cosines = at::matmul(patches, texts.t());  // [B, N, T]
  const auto weights = sigmoid ? at::sigmoid(scale * cosines) : at::softmax(scale * cosines, 1);
  const auto pictures = at::matmul(weights.transpose(1, 2), patches);  // [B, T, E]
  return (l2_normalize(pictures) * texts).sum(-1);
}

}  // namespace

PatchEmbedder::PatchEmbedder(const PatchEmbedderShape& shape)
    : shape_(shape),
      fc1_(register_module("fc1", torch::nn::Linear(shape.width, shape.embed_dim))),
      fc2_(register_module("fc2", torch::nn::Linear(shape.embed_dim, shape.embed_dim))),
      skip_(register_module("skip", torch::nn::Linear(shape.width, shape.embed_dim))) {}

at::Tensor PatchEmbedder::forward(const at::Tensor& patches) {
  return l2_normalize(skip_->forward(patches) + fc2_->forward(at::relu(fc1_->forward(patches))));
}

at::Tensor PatchEmbedder::similarity(const at::Tensor& patches, const at::Tensor& texts) {
  const NoAutocast guard;
  const auto x = full_precision(patches), y = full_precision(texts);
  if (y.size(0) <= shape_.tile) return compatibility(x, y, shape_.sigmoid, shape_.scale);
  const auto compare = [sigmoid = shape_.sigmoid, scale = shape_.scale](const Tensors& inputs) -> Tensors {
    return {compatibility(inputs[0], inputs[1], sigmoid, scale)};
  };
  Tensors tiles;
  for (const auto& part : y.split(shape_.tile)) tiles.push_back(recompute(compare, {x, part}, {})[0]);
  return at::cat(tiles, 1);
}

at::Tensor SimilarityLoss::of_similarities(const at::Tensor& similarity) {
  const NoAutocast guard;
  const auto logits = full_precision(similarity) * logit_scale_.exp();    // [b, B]
  const auto image_to_text = at::logsumexp(logits, {1});                  // [b]
  const auto text_to_image = logsumexp_over_ranks(logits, 0);             // [B]
  const auto matched = logits.diagonal(ranks().rank() * logits.size(0));  // [b]
  if (!ranks().alone()) return (image_to_text - 2 * matched).mean() / 2 + text_to_image.mean() / 2;
  return ((image_to_text + text_to_image) / 2 - matched).mean();
}

}  // namespace silc
