#include "engine/tower_encoder.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "engine/failure.h"
#include "engine/stop_signal.h"
#include "engine/views.h"

namespace silc {
namespace {

// Bounds the memory of a forward pass, whatever an evaluator asks for at once.
constexpr size_t kChunk = 64;

// `embed` of each chunk of `items`, put together; none for no items.
template <class Item, class Embed>
std::vector<at::Tensor> in_chunks(std::span<const Item> items, Embed embed) {
  const c10::InferenceMode inference;
  std::vector<at::Tensor> parts;
  for (size_t first = 0; first < items.size(); first += kChunk) {
    if (stop_requested()) throw Interrupted{};
    beat_heart();
    parts.push_back(embed(items.subspan(first, std::min(kChunk, items.size() - first))).to(at::kCPU, at::kFloat));
  }
  return parts;
}

at::Tensor together(const std::vector<at::Tensor>& parts, at::IntArrayRef empty_shape) {
  return parts.empty() ? at::empty(empty_shape) : at::cat(parts);
}

}  // namespace

TowerEncoder::TowerEncoder(Towers towers) : towers_(std::move(towers)) {
  towers_.image->eval();
  towers_.text->eval();
}

at::Tensor TowerEncoder::embed_images(std::span<const Sample> samples) {
  const auto parts = in_chunks(samples, [&](std::span<const Sample> chunk) {
    return towers_.image->embed_image(towers_.image->forward(pictures(chunk)));  // [b, E]
  });
  return together(parts, {0, towers_.image->embed_dim()});
}

PatchEmbeddings TowerEncoder::embed_patches(std::span<const Sample> samples) {
  PatchEmbeddings embeddings;
  const auto parts = in_chunks(samples, [&](std::span<const Sample> chunk) {
    const ImageFeatures features = towers_.image->forward(pictures(chunk));
    embeddings.grid_height = features.grid_height;
    embeddings.grid_width = features.grid_width;
    return towers_.image->embed_patches(features);  // [b, N, E]
  });
  embeddings.values = together(parts, {0, 0, towers_.image->embed_dim()});
  return embeddings;
}

at::Tensor TowerEncoder::embed_texts(std::span<const std::string> texts) {
  const int64_t length = towers_.context_length;
  const auto parts = in_chunks(texts, [&](std::span<const std::string> chunk) {
    at::Tensor tokens = at::empty({static_cast<int64_t>(chunk.size()), length}, at::kLong);  // [b, T]
    auto* row = tokens.mutable_data_ptr<int64_t>();
    for (const std::string& text : chunk) {
      const auto ids = in_plugin(PluginKind::tokenizer, towers_.tokenizer_name,
                                 [&] { return towers_.tokenizer->encode(text, length); });
      row = std::copy(ids.begin(), ids.end(), row);
    }
    return towers_.text->embed(tokens.to(towers_.device));  // [b, E]
  });
  return together(parts, {0, towers_.text->embed_dim()});
}

at::Tensor TowerEncoder::similarities(std::span<const Sample> samples, const at::Tensor& texts) {
  const auto& head = towers_.image->patch_head();
  if (!head) return {};
  const at::Tensor on_device = texts.to(towers_.device);  // [T, E]
  const auto parts = in_chunks(samples, [&](std::span<const Sample> chunk) {
    const ImageFeatures features = towers_.image->forward(pictures(chunk));
    return head->similarity(towers_.image->embed_patches(features), on_device);  // [b, T]
  });
  return together(parts, {0, texts.size(0)});
}

at::Tensor TowerEncoder::pictures(std::span<const Sample> samples) const {
  const int64_t size = towers_.image_size;
  at::Tensor images = at::empty({static_cast<int64_t>(samples.size()), 3, size, size}, at::kFloat);
  auto* pixels = images.mutable_data_ptr<float>();
  at::parallel_for(0, images.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Image& image = samples[static_cast<size_t>(i)].image;
      cut_view(image, whole_picture(image), size, pixels + i * 3 * size * size);
    }
  });
  return images.to(towers_.device);
}

}  // namespace silc
