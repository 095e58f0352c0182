// The text tower of CLIP (Radford 2021, section 2.4), and with other options that of SigLIP.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <torch/nn/init.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/normalization.h>
#include <algorithm>

#include "nn/precision.h"
#include "nn/transformer.h"
#include "silc/backbone.h"

namespace silc::backbones::text_transformer {
namespace {

constexpr auto kWidth = integer_option("width", 512, 1, 16384, "width of the tokens");
constexpr auto kLayers = integer_option("layers", 12, 1, 256, "transformer blocks");
constexpr auto kHeads = integer_option("heads", 8, 1, 256, "attention heads");
constexpr auto kMlpRatio = number_option("mlp_ratio", 4, 0.01, 64, "width of the MLP's hidden layer over width");
constexpr auto kMask = choice_option("mask", "causal", "causal|bidirectional",
                                     "causal: a token sees those before it (CLIP); bidirectional: all of them, padding "
                                     "too (SigLIP)");
constexpr auto kPooling = choice_option("pooling", "eot", "eot|mean|last",
                                        "eot: the end token (CLIP); mean: over all tokens "
                                        "but padding; last: the last position (SigLIP)");
constexpr auto kMlp = choice_option("mlp", "gelu", "gelu|gelu_tanh|quick_gelu|swiglu",
                                    "activation of the MLP: gelu_tanh as in SigLIP, quick_gelu as in OpenAI's CLIP; "
                                    "swiglu: gated");
constexpr auto kNormEps =
    number_option("norm_eps", 1e-5, 1e-12, 0.1, "added to the variance in norms: 1e-5 in CLIP, 1e-6 in SigLIP");
constexpr auto kVocabulary = added(integer_option(
    "vocabulary", 0, 0, 10000000,
    "embeddings of tokens at least, where the tokenizer has fewer, so that the model has the size of one "
    "with a larger vocabulary; 0: as many as the tokenizer has"));

TransformerShape shape_of(const Options& options) {
  return {.width = options[kWidth],
          .layers = options[kLayers],
          .heads = options[kHeads],
          .mlp_ratio = options[kMlpRatio],
          .mlp = parse_mlp(options[kMlp]),
          .norm_eps = options[kNormEps]};
}

class TextTransformer : public TextBackbone {
 public:
  explicit TextTransformer(const TextBackboneContext& context)
      : shape_(shape_of(context.options)),
        causal_(context.options[kMask] == "causal"),
        pooling_(context.options[kPooling]),
        padding_id_(context.padding_id),
        end_id_(context.end_id),
        end_is_greatest_(context.end_id == context.vocabulary_size - 1) {
    check_shape(shape_, "text_transformer");
    const int64_t embeddings = std::max<int64_t>(context.vocabulary_size, context.options[kVocabulary]);
    token_embedding_ = register_module("token_embedding", torch::nn::Embedding(embeddings, shape_.width));
    torch::nn::init::normal_(token_embedding_->weight, 0, 0.02);
    positional_embedding_ = register_parameter(
        "positional_embedding", torch::nn::init::normal_(at::empty({context.context_length, shape_.width}), 0, 0.01));
    transformer_ = register_module("transformer", std::make_shared<Transformer>(shape_));
    ln_final_ = register_module("ln_final", layer_norm(shape_.width, shape_.norm_eps));
  }

  at::Tensor forward(const at::Tensor& tokens) override {
    const auto length = tokens.size(1);
    if (length > positional_embedding_.size(0))
      throw Error(fmt::format("backbone \"text_transformer\": {} tokens are more than the context length {}", length,
                              positional_embedding_.size(0)));
    auto x = token_embedding_->forward(tokens) + positional_embedding_.slice(0, 0, length);  // [B, T, D]
    x = transformer_->forward(x.to(compute_type(x)), causal_);                               // [B, T, D]
    return pool(x, tokens);
  }

  [[nodiscard]] int64_t width() const override { return shape_.width; }

 private:
  // The final norm acts on each token alone, so that only those which are pooled need it.
  at::Tensor pool(const at::Tensor& x, const at::Tensor& tokens) {
    if (pooling_ == "last") return ln_final_->forward(x.select(1, -1));
    if (pooling_ == "eot") {
      const auto marked = end_is_greatest_ ? tokens : tokens.eq(end_id_).to(at::kInt);
      const auto end = marked.argmax(1) + at::arange(0, tokens.numel(), tokens.size(1), tokens.options());  // [B]
      return ln_final_->forward(x.flatten(0, 1).index_select(0, end));
    }
    const auto kept = tokens.ne(padding_id_).unsqueeze(2);   // [B, T, 1]
    const auto sum = (ln_final_->forward(x) * kept).sum(1);  // [B, D]
    return sum / kept.sum(1).clamp_min(1);
  }

  TransformerShape shape_;
  bool causal_;
  std::string pooling_;
  int64_t padding_id_, end_id_;
  bool end_is_greatest_;  // as CLIP's is
  torch::nn::Embedding token_embedding_{nullptr};
  at::Tensor positional_embedding_;  // [T, D]
  std::shared_ptr<Transformer> transformer_;
  torch::nn::LayerNorm ln_final_{nullptr};
};

}  // namespace

SILC_TEXT_BACKBONE(text_transformer, TextTransformer, 1, "transformer of CLIP's or SigLIP's text tower", kWidth,
                   kLayers, kHeads, kMlpRatio, kMask, kPooling, kMlp, kNormEps, kVocabulary);

}  // namespace silc::backbones::text_transformer
