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

// Where a model has shapes alone, numbers that mean nothing stand for what it would have computed.
at::Tensor on_host(const at::Tensor& tensor) {
  return tensor.is_meta() ? at::randn(tensor.sizes()) : tensor.to(at::kCPU, at::kFloat);
}

// `embed` of each chunk of `items`, put together; none for no items.
template <class Item, class Embed>
std::vector<at::Tensor> in_chunks(std::span<const Item> items, Embed embed) {
  const c10::InferenceMode inference;
  std::vector<at::Tensor> parts;
  for (size_t first = 0; first < items.size(); first += kChunk) {
    if (stop_requested()) throw Interrupted{};
    beat_heart();
    parts.push_back(on_host(embed(items.subspan(first, std::min(kChunk, items.size() - first)))));
  }
  return parts;
}

std::vector<int64_t> row_of(const at::Tensor& ids) {
  const at::Tensor row = ids.contiguous();
  return {row.const_data_ptr<int64_t>(), row.const_data_ptr<int64_t>() + row.numel()};
}

// Without start, end and padding.
std::vector<int64_t> text_of(const std::vector<int64_t>& ids, const Tokenizer& tokenizer) {
  const auto first = ids.begin() + (tokenizer.start_id() == Tokenizer::kNoStart ? 0 : 1);
  return {first, std::find(first, ids.end(), tokenizer.end_id())};
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
    const ImageFeatures features = towers_.image->forward(whole_pictures(chunk));
    embeddings.grid_height = features.grid_height;
    embeddings.grid_width = features.grid_width;
    return towers_.image->embed_patches(features);  // [b, N, E]
  });
  embeddings.values = together(parts, {0, 0, towers_.image->embed_dim()});
  return embeddings;
}

at::Tensor TowerEncoder::embed_texts(std::span<const std::string> texts) {
  const auto parts = in_chunks(texts, [&](std::span<const std::string> chunk) {
    return towers_.text->embed(tokens(chunk).to(towers_.device));  // [b, E]
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

std::vector<std::vector<int64_t>> TowerEncoder::write_captions(std::span<const Sample> samples) {
  if (!writes_captions()) return Encoder::write_captions(samples);
  const int64_t start = towers_.tokenizer->start_id(), end = towers_.tokenizer->end_id();
  std::vector<std::vector<int64_t>> captions;
  in_chunks(samples, [&](std::span<const Sample> chunk) {
    const ImageFeatures features = towers_.image->forward(pictures(chunk));
    const at::Tensor written = towers_.captioner->write(features.patches, start, end).to(at::kCPU);  // [b, T]
    for (int64_t b = 0; b < written.size(0); ++b) captions.push_back(text_of(row_of(written[b]), *towers_.tokenizer));
    return written;
  });
  return captions;
}

std::vector<std::vector<int64_t>> TowerEncoder::tokenize(std::span<const std::string> texts) {
  std::vector<std::vector<int64_t>> all;
  for (const std::string& text : texts) all.push_back(text_of(encode(text), *towers_.tokenizer));
  return all;
}

at::Tensor TowerEncoder::caption_log_likelihoods(std::span<const Sample> samples, std::span<const std::string> texts) {
  if (!writes_captions()) return Encoder::caption_log_likelihoods(samples, texts);
  const int64_t padding = towers_.tokenizer->padding_id();
  std::size_t first = 0;
  const auto parts = in_chunks(samples, [&](std::span<const Sample> chunk) {
    const at::Tensor ids = tokens(texts.subspan(first, chunk.size())).to(towers_.device);  // [b, T]
    first += chunk.size();
    const ImageFeatures features = towers_.image->forward(pictures(chunk));
    const at::Tensor each = towers_.captioner->log_likelihoods(features.patches, ids);  // [b, T − 1]
    return each.sum(1) / ids.slice(1, 1).ne(padding).sum(1).clamp_min(1);
  });
  return together(parts, {0});
}

at::Tensor TowerEncoder::tokens(std::span<const std::string> texts) const {
  at::Tensor tokens = at::empty({static_cast<int64_t>(texts.size()), towers_.context_length}, at::kLong);
  auto* row = tokens.mutable_data_ptr<int64_t>();
  for (const std::string& text : texts) {
    const std::vector<int64_t> ids = encode(text);
    row = std::copy(ids.begin(), ids.end(), row);
  }
  return tokens;
}

std::vector<int64_t> TowerEncoder::encode(const std::string& text) const {
  return in_plugin(PluginKind::tokenizer, towers_.tokenizer_name,
                   [&] { return towers_.tokenizer->encode(text, towers_.context_length); });
}

at::Tensor TowerEncoder::pictures(std::span<const Sample> samples) const {
  return transformed(samples, towers_.transform);
}

at::Tensor TowerEncoder::whole_pictures(std::span<const Sample> samples) const {
  ImageTransform transform = towers_.transform;
  transform.resize = ImageTransform::Resize::squash;
  return transformed(samples, transform);
}

at::Tensor TowerEncoder::transformed(std::span<const Sample> samples, const ImageTransform& transform) const {
  const int64_t size = towers_.image_size;
  at::Tensor images = at::empty({static_cast<int64_t>(samples.size()), 3, size, size}, at::kFloat);
  auto* pixels = images.mutable_data_ptr<float>();
  at::parallel_for(0, images.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      cut_evaluated(samples[static_cast<size_t>(i)].image, transform, size, pixels + i * 3 * size * size);
  });
  return images.to(towers_.device);
}

}  // namespace silc
