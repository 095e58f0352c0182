// From an image feature to scores of prototypes: the projection head of DINO.
#pragma once

#include <torch/nn/modules/container/modulelist.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "silc/objective.h"

namespace silc {

struct DistillationHeadShape {
  int64_t width = 0;  // of the feature
  int64_t layers = 3;
  int64_t hidden = 2048;
  int64_t bottleneck = 256;
  int64_t prototypes = 65536;
  int64_t patch_prototypes = 0;  // of patch tokens, after the same MLP (iBOT without shared_head); 0: the same ones
  bool norm_last_layer = true;   // the prototypes' gains stay at 1; otherwise they are learned, from 1 on
};

// Caron 2021, section 3.3 and appendix C: `layers` linear layers with GELU between them, L2 normalisation in the
// bottleneck, and a weight-normalised linear layer without bias. Where its gains are fixed at 1, as by default, its
// scores are cosines in [−1, 1]. Linear weights start from a normal distribution with std 0.02, truncated at ±2 as in
// DINO's code, biases at zero; the prototypes as PyTorch's linear layers do, of which only the directions count. The
// last product is done in full precision: in bf16 the rounding of a cosine, 2⁻⁹, would be an error of 0.05 in a logit
// at temperature 0.04.
class SILC_EXPORT DistillationHead : public torch::nn::Module {
 public:
  explicit DistillationHead(const DistillationHeadShape& shape);

  at::Tensor forward(const at::Tensor& features);  // [B, D] → [B, K]

  // forward() or bottleneck() of each set, in one pass; of an undefined set undefined.
  std::vector<at::Tensor> each(std::span<const at::Tensor> sets);
  std::vector<at::Tensor> each_bottleneck(std::span<const at::Tensor> sets);

  // The two halves of forward(): the MLP with its normalisation, and the cosines with the prototypes. Scores are linear
  // in what bottleneck() gives, so that those of a mean are the mean of those.
  at::Tensor bottleneck(const at::Tensor& features);            // [B, D] → [B, bottleneck]
  at::Tensor scores(const at::Tensor& bottleneck) const;        // → [B, K]
  at::Tensor patch_scores(const at::Tensor& bottleneck) const;  // → [B, K'], of patch tokens

  // Drops the gradients of prototypes and gains, so that the last layer stays as it is in this step.
  void freeze_last_layer();

 private:
  struct LastLayer {
    at::Tensor prototypes;  // [K, bottleneck]
    at::Tensor gains;       // [K, 1], undefined where they are 1
  };
  static at::Tensor product(const at::Tensor& bottleneck, const LastLayer& layer);
  LastLayer make_last_layer(const std::string& prefix, int64_t bottleneck, int64_t prototypes, bool norm);

  torch::nn::ModuleList mlp_;
  LastLayer last_layer_;
  LastLayer patch_last_layer_;  // undefined prototypes: last_layer_
};

// The options that a head is made from.
struct SILC_EXPORT DistillationHeadOptions {
  Option<int64_t> prototypes, layers, hidden, bottleneck;

  consteval explicit DistillationHeadOptions(const DistillationHeadShape& standard = {})
      : prototypes(integer_option("prototypes", standard.prototypes, 2, 1048576, "outputs of a distillation head")),
        layers(integer_option("head_layers", standard.layers, 1, 16, "layers of the head's MLP")),
        hidden(integer_option("hidden", standard.hidden, 1, 65536, "width of the head's hidden layers")),
        bottleneck(integer_option("bottleneck", standard.bottleneck, 1, 65536, "width before the prototypes")) {}

  [[nodiscard]] constexpr auto members() const { return std::tie(prototypes, layers, hidden, bottleneck); }

  // For pooled features of the context's image tower.
  [[nodiscard]] DistillationHeadShape shape(const ObjectiveContext& context) const;
  [[nodiscard]] std::shared_ptr<DistillationHead> make(const ObjectiveContext& context) const;
};

// The same with what DINO's family does to keep the last layer stable (Caron 2021, appendix C): fixed gains, and
// prototypes that stay as they are at the beginning.
struct SILC_EXPORT DinoHeadOptions : DistillationHeadOptions {
  Option<bool> norm_last_layer;
  Option<double> freeze;

  consteval explicit DinoHeadOptions(const DistillationHeadShape& standard = {})
      : DistillationHeadOptions(standard),
        norm_last_layer(boolean_option("norm_last_layer", standard.norm_last_layer,
                                       "the prototypes' gains stay at 1; false: they are learned, which can be better "
                                       "for small models and is less stable")),
        freeze(number_option("freeze_last_layer", 0.01, 0, 1,
                             "fraction of training at its beginning in which the prototypes stay")) {}

  [[nodiscard]] constexpr auto members() const {
    return std::tuple_cat(DistillationHeadOptions::members(), std::tie(norm_last_layer, freeze));
  }

  [[nodiscard]] DistillationHeadShape shape(const ObjectiveContext& context) const;
  [[nodiscard]] std::shared_ptr<DistillationHead> make(const ObjectiveContext& context) const;
};

}  // namespace silc
