#include "nn/caption_decoder.h"

#include <fmt/format.h>
#include <torch/nn/init.h>

#include <algorithm>
#include <cmath>

#include "nn/precision.h"
#include "nn/ranks.h"
#include "silc/error.h"

namespace silc {

namespace {

// A layer norm with gains and no biases.
class GainNorm : public torch::nn::Module {
 public:
  explicit GainNorm(int64_t width) : gain_(register_parameter("weight", at::ones({width}))) {}
  at::Tensor forward(const at::Tensor& x) { return at::layer_norm(x, gain_.sizes(), gain_); }

 private:
  at::Tensor gain_;
};

torch::nn::Linear linear_without_bias(int64_t in, int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

// As flax's attention, up to its cutting of the normal distribution's tails.
torch::nn::Linear lecun_linear(int64_t in, int64_t out) {
  auto linear = linear_without_bias(in, out);
  torch::nn::init::normal_(linear->weight, 0, 1 / std::sqrt(static_cast<double>(in)));
  return linear;
}

torch::nn::Linear xavier_linear(int64_t in, int64_t out) {
  auto linear = linear_without_bias(in, out);
  torch::nn::init::xavier_uniform_(linear->weight);
  return linear;
}

// Attention from one sequence to another, or to itself.
class Attention : public torch::nn::Module {
 public:
  Attention(int64_t width, int64_t memory_width, int64_t heads)
      : heads_(heads),
        query_(register_module("query", lecun_linear(width, width))),
        key_(register_module("key", lecun_linear(memory_width, width))),
        value_(register_module("value", lecun_linear(memory_width, width))),
        out_(register_module("out", lecun_linear(width, width))) {}

  // x: [B, T, width], memory: [B, N, memory_width], mask: [B, 1, T, N] bool, true where attention may go; undefined:
  // everywhere.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& memory, const at::Tensor& mask) {
    const auto split = [&](const at::Tensor& y) {
      return y.view({y.size(0), y.size(1), heads_, -1}).transpose(1, 2);  // [B, H, T, width/H]
    };
    const std::optional<at::Tensor> where = mask.defined() ? std::optional(mask) : std::nullopt;
    const auto mixed = at::scaled_dot_product_attention(split(query_->forward(x)), split(key_->forward(memory)),
                                                        split(value_->forward(memory)), where);
    return out_->forward(mixed.transpose(1, 2).reshape(x.sizes()));
  }

 private:
  int64_t heads_;
  torch::nn::Linear query_{nullptr}, key_{nullptr}, value_{nullptr}, out_{nullptr};
};

class DecoderBlock : public torch::nn::Module {
 public:
  explicit DecoderBlock(const CaptionDecoderShape& shape)
      : norm_1_(register_module("norm_1", std::make_shared<GainNorm>(shape.width))),
        self_(register_module("self_attention", std::make_shared<Attention>(shape.width, shape.width, shape.heads))),
        norm_2_(register_module("norm_2", std::make_shared<GainNorm>(shape.width))),
        cross_(register_module("cross_attention",
                               std::make_shared<Attention>(shape.width, shape.image_width, shape.heads))),
        norm_3_(register_module("norm_3", std::make_shared<GainNorm>(shape.width))) {
    const auto hidden = std::llround(static_cast<double>(shape.width) * shape.mlp_ratio);
    fc_1_ = register_module("fc_1", xavier_linear(shape.width, hidden));
    fc_2_ = register_module("fc_2", xavier_linear(hidden, shape.width));
  }

  at::Tensor forward(at::Tensor x, const at::Tensor& patches, const at::Tensor& mask) {
    const auto own = norm_1_->forward(x);
    x = x + self_->forward(own, own, mask);
    x = x + cross_->forward(norm_2_->forward(x), patches, {});
    return x + fc_2_->forward(at::gelu(fc_1_->forward(norm_3_->forward(x)), "tanh"));
  }

 private:
  std::shared_ptr<GainNorm> norm_1_;
  std::shared_ptr<Attention> self_;
  std::shared_ptr<GainNorm> norm_2_;
  std::shared_ptr<Attention> cross_;
  std::shared_ptr<GainNorm> norm_3_;
  torch::nn::Linear fc_1_{nullptr}, fc_2_{nullptr};
};

// In Batch::prepared.
constexpr const char* kParallelKey = "caption_parallel";
constexpr const char* kTokenPlacesKey = "caption_places";

// Those in tokens[:, 1:] that are no padding, [M]. tokens: [B, T] on the CPU.
at::Tensor places_to_predict(const at::Tensor& tokens, int64_t padding_id) {
  const auto ids = tokens.contiguous();
  const auto length = ids.size(1);
  const auto* id = ids.const_data_ptr<int64_t>();
  std::vector<int64_t> places;
  for (int64_t b = 0; b < ids.size(0); ++b)
    for (int64_t t = 1; t < length; ++t)
      if (id[b * length + t] != padding_id) places.push_back(b * (length - 1) + t - 1);
  return at::tensor(places, at::kLong);
}

// −log softmax(logits)_target, [M].
at::Tensor token_losses(const at::Tensor& logits, const at::Tensor& targets) {
  const NoAutocast guard;
  return at::cross_entropy_loss(full_precision(logits), targets, {}, at::Reduction::None);
}

}  // namespace

CaptionDecoder::CaptionDecoder(const CaptionDecoderShape& shape) : shape_(shape) {
  if (shape.width % shape.heads != 0)
    throw Error(fmt::format("the caption decoder's width {} is not a multiple of its heads {}; choose a width that is",
                            shape.width, shape.heads));
  token_embedding_ =
      register_module("token_embedding", torch::nn::Embedding(shape.vocabulary_size, shape.width));  // std 1
  if (shape.parallel > 0)
    mask_token_ = register_parameter("mask_token", torch::nn::init::normal_(at::empty({shape.width}), 0, 1));
  positional_embedding_ = register_parameter(
      "positional_embedding", torch::nn::init::normal_(at::empty({shape.context_length - 1, shape.width}), 0,
                                                       1 / std::sqrt(static_cast<double>(shape.width))));
  register_module("blocks", blocks_);
  for (int64_t i = 0; i < shape.layers; ++i) blocks_->push_back(std::make_shared<DecoderBlock>(shape));
  norm_ = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({shape.width})));
  head_ = register_module("head", torch::nn::Linear(shape.width, shape.vocabulary_size));
  torch::nn::init::zeros_(head_->weight);
  torch::nn::init::zeros_(head_->bias);
}

void CaptionDecoder::prepare(Batch& batch, Random random) const {
  const auto captions = batch.tokens.size(0);
  const auto parallel = at::empty({captions}, at::kBool);
  auto* choice = parallel.mutable_data_ptr<bool>();
  // Drawn for the captions of all ranks, one after the other, so that each caption's choice is the same on any number.
  int64_t drawn = 0;
  for (int64_t c = 0; c < captions; ++c) {
    for (const int64_t place = ranks().global_row(c, batch.size); drawn < place; ++drawn) random.uniform();
    choice[c] = random.uniform() < shape_.parallel;
    ++drawn;
  }
  batch.prepared[kParallelKey] = parallel;
  batch.prepared[kTokenPlacesKey] = places_to_predict(batch.tokens, shape_.padding_id);
}

at::Tensor CaptionDecoder::forward(const at::Tensor& patches, const Batch& batch) {
  return loss_at(batch.prepared.at(kTokenPlacesKey), patches, batch.tokens, batch.prepared.at(kParallelKey));
}

at::Tensor CaptionDecoder::loss(const at::Tensor& patches, const at::Tensor& tokens, const at::Tensor& parallel) {
  const auto places = places_to_predict(tokens.cpu(), shape_.padding_id).to(tokens.device());
  return loss_at(places, patches, tokens, parallel);
}

// Only what is not padding meets the vocabulary, by far the widest of the decoder's layers.
at::Tensor CaptionDecoder::loss_at(const at::Tensor& places, const at::Tensor& patches, const at::Tensor& tokens,
                                   const at::Tensor& parallel) {
  const auto targets = tokens.slice(1, 1);                                 // [B, T − 1]
  const auto real = targets.ne(shape_.padding_id);                         // [B, T − 1]
  const auto weights = real / real.sum(1, /*keepdim=*/true).clamp_min(1);  // [B, T − 1], a caption's add up to 1
  const auto pick = [&](const at::Tensor& x) { return x.flatten(0, 1).index_select(0, places); };
  const auto x = pick(decode(patches, tokens.slice(1, 0, -1), parallel));  // [M, width]
  const auto losses = token_losses(head_->forward(norm_->forward(x)), pick(targets));
  return (losses * pick(weights)).sum() / static_cast<double>(tokens.size(0));
}

at::Tensor CaptionDecoder::logits(const at::Tensor& patches, const at::Tensor& tokens, const at::Tensor& parallel) {
  return head_->forward(norm_->forward(decode(patches, tokens.slice(1, 0, -1), parallel)));
}

// The whole prefix is decoded for each token: T² work, which evaluation can afford.
at::Tensor CaptionDecoder::write(const at::Tensor& patches, int64_t start, int64_t end) {
  const auto batch = patches.size(0);
  const auto one_by_one = at::zeros({batch}, patches.options().dtype(at::kBool));
  auto tokens =
      at::full({batch, shape_.context_length}, shape_.padding_id, patches.options().dtype(at::kLong));  // [B, T]
  tokens.select(1, 0).fill_(start);
  auto written = at::zeros_like(one_by_one);
  for (int64_t t = 1; t < shape_.context_length; ++t) {
    const auto scores = logits(patches, tokens.slice(1, 0, t + 1), one_by_one).select(1, t - 1);  // [B, V]
    const auto next = scores.argmax(1);
    tokens.select(1, t).copy_(at::where(written, at::full_like(next, shape_.padding_id), next));
    written = written.logical_or(next.eq(end));
    if (written.all().item<bool>()) break;
  }
  return tokens;
}

at::Tensor CaptionDecoder::log_likelihoods(const at::Tensor& patches, const at::Tensor& tokens) {
  const auto targets = tokens.slice(1, 1);  // [B, T − 1]
  const auto one_by_one = at::zeros({tokens.size(0)}, tokens.options().dtype(at::kBool));
  const auto scores = logits(patches, tokens, one_by_one);  // [B, T − 1, V]
  const auto losses = token_losses(scores.flatten(0, 1), targets.flatten()).view_as(targets);
  return at::where(targets.ne(shape_.padding_id), losses.neg(), at::zeros_like(losses));
}

at::Tensor CaptionDecoder::decode(const at::Tensor& patches, const at::Tensor& inputs, const at::Tensor& parallel) {
  const auto length = inputs.size(1);
  auto x = token_embedding_->forward(inputs);  // [B, T − 1, width]
  if (mask_token_.defined()) x = at::where(parallel.view({-1, 1, 1}), mask_token_, x);
  x = x + positional_embedding_.slice(0, 0, length);
  x = x.to(compute_type(x));
  const auto before = at::ones({length, length}, inputs.options().dtype(at::kBool)).tril();
  const auto mask = before.logical_or(parallel.view({-1, 1, 1})).unsqueeze(1);  // [B, 1, T − 1, T − 1]
  for (const auto& block : *blocks_) x = block->as<DecoderBlock>()->forward(x, patches, mask);
  return x;
}

std::shared_ptr<CaptionDecoder> CaptionDecoderOptions::make(const ObjectiveContext& context,
                                                            CaptionDecoderShape rest) const {
  constexpr int64_t kHeadWidth = 64;
  const auto& options = context.options;
  rest.vocabulary_size = context.vocabulary_size;
  rest.context_length = context.context_length;
  rest.padding_id = context.padding_id;
  rest.image_width = context.model->image->width();
  rest.width = options[width] > 0 ? options[width] : rest.image_width;
  rest.layers = options[layers];
  rest.heads = options[heads] > 0 ? options[heads] : std::max<int64_t>(1, rest.width / kHeadWidth);
  return std::make_shared<CaptionDecoder>(rest);
}

}  // namespace silc
