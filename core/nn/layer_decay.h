// Learning rates that fall from the last block of a tower to its first.
#pragma once

#include <tuple>
#include <vector>

#include "silc/objective.h"

namespace silc {

// Layer-wise learning rate decay (Bao 2022; DINOv2's param_groups.py): with L blocks, block i = 0 … L − 1 is trained
// with decay^(L − i) times the learning rate, what comes before the blocks with decay^(L + 1), patch embeddings
// (convolutions of the stem) with `patch_embedding_scale` times that again; what comes after the blocks is in no group.
// `also` is trained as what comes before the blocks (a mask token). Blocks are found by their names, …blocks.i…; a
// tower without blocks gives no groups, and frozen parameters are in none.
SILC_EXPORT std::vector<ParameterGroup> layer_decay(const ImageTower& tower, double decay, double patch_embedding_scale,
                                                    const std::vector<at::Tensor>& also = {});

// The options of it, with DINOv2's values.
struct SILC_EXPORT LayerDecayOptions {
  Option<double> decay = number_option("layer_decay", 0.9, 0.01, 1,
                                       "a block's learning rate is that of the next block times this; 1: all alike");
  Option<double> patch_embedding_scale =
      number_option("patch_embedding_lr", 0.2, 0, 1, "learning rate of the patch embedding, times that of its layer");

  [[nodiscard]] constexpr auto members() const { return std::tie(decay, patch_embedding_scale); }

  [[nodiscard]] std::vector<ParameterGroup> groups(const Options& options, const ImageTower& tower,
                                                   const std::vector<at::Tensor>& also = {}) const;
};

}  // namespace silc
