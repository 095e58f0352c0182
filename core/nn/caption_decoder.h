// A text decoder that looks at a picture's patch tokens: the captioning loss of Cap, CapPa and CoCa.
#pragma once

#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <cstdint>
#include <string_view>
#include <tuple>

#include "silc/captioner.h"
#include "silc/objective.h"

namespace silc {

struct CaptionDecoderShape {
  int64_t vocabulary_size = 0;
  int64_t context_length = 0;  // T
  int64_t padding_id = 0;
  int64_t image_width = 0;  // D, of the patch tokens
  int64_t width = 0;        // of the decoder
  int64_t layers = 6;
  int64_t heads = 0;
  double mlp_ratio = 4;
  double parallel = 0;  // fraction of captions that are predicted in parallel
};

// The decoder of CapPa (Tschannen 2023; big_vision, models/proj/cappa/cappa.py): pre-norm blocks of self-attention,
// cross-attention to the patch tokens and an MLP, without biases; learned positions; a last norm and a linear layer to
// the vocabulary, both with bias, the latter starting from zero. A caption is predicted either token by token, each
// from those before it (Cap), or in parallel: all inputs are one learned mask token and see each other, so that every
// token must be read from the picture (CapPa, section 3).
//
// Captions begin with a start token; what is predicted is tokens[:, 1:], the end token included and padding left out.
class SILC_EXPORT CaptionDecoder : public torch::nn::Module, public Captioner {
 public:
  // Throws silc::Error where `heads` does not divide `width`.
  explicit CaptionDecoder(const CaptionDecoderShape& shape);

  // In Objective::prepare(): finds the tokens that are no padding, and decides by `random` (Progress::random()) which
  // captions are predicted in parallel.
  void prepare(Batch& batch, Random random) const;

  // In step(), of a batch that prepare() has seen: the mean over captions of the mean over a caption's tokens of
  // −log p(token). patches: [B, N, D].
  at::Tensor forward(const at::Tensor& patches, const Batch& batch);

  // The same for a choice of one's own: tokens [B, T], parallel [B] bool. A GPU is waited for.
  at::Tensor loss(const at::Tensor& patches, const at::Tensor& tokens, const at::Tensor& parallel);

  // Scores of the vocabulary for tokens[:, 1:] → [B, T − 1, V].
  at::Tensor logits(const at::Tensor& patches, const at::Tensor& tokens, const at::Tensor& parallel);

  at::Tensor write(const at::Tensor& patches, int64_t start, int64_t end) override;
  at::Tensor log_likelihoods(const at::Tensor& patches, const at::Tensor& tokens) override;

 private:
  // places: [M], those of the tokens to predict in tokens[:, 1:].
  at::Tensor loss_at(const at::Tensor& places, const at::Tensor& patches, const at::Tensor& tokens,
                     const at::Tensor& parallel);

  // The decoder's last tokens, before the norm: [B, T − 1, width].
  at::Tensor decode(const at::Tensor& patches, const at::Tensor& inputs, const at::Tensor& parallel);

  CaptionDecoderShape shape_;
  torch::nn::Embedding token_embedding_{nullptr};
  at::Tensor mask_token_;            // [width]; undefined where no caption is predicted in parallel
  at::Tensor positional_embedding_;  // [T − 1, width]
  torch::nn::ModuleList blocks_;
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear head_{nullptr};
};

// The options of a decoder on top of an image tower, their names beginning with `prefix`.
struct SILC_EXPORT CaptionDecoderOptions {
  Option<int64_t> layers, width, heads;

  consteval explicit CaptionDecoderOptions(std::string_view prefix)
      : layers(prefixed(prefix, integer_option("layers", 6, 1, 256, "blocks of the caption decoder"))),
        width(prefixed(prefix, integer_option("width", 0, 0, 16384, "the decoder's width; 0: the image tower's"))),
        heads(prefixed(prefix, integer_option("heads", 0, 0, 256,
                                              "the decoder's attention heads; 0: its width / 64, but one at least"))) {}

  [[nodiscard]] constexpr auto members() const { return std::tie(layers, width, heads); }

  // For the context's model and tokenizer; what the options leave open is that of `rest`.
  [[nodiscard]] std::shared_ptr<CaptionDecoder> make(const ObjectiveContext& context, CaptionDecoderShape rest) const;
};

}  // namespace silc
