// The views of a picture, and running an image tower over several sets of them.
#pragma once

#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "silc/objective.h"

namespace silc {

// The view [V·B, 3, H, W], undefined where the batch has none of the name.
SILC_EXPORT at::Tensor find_view(const Batch& batch, const std::string& name);

// Pooled features of each set, [V·B, 3, H, W] → [V·B, D]. Sets of pictures of one size go through the tower together,
// in one pass. Of an undefined set undefined.
SILC_EXPORT std::vector<at::Tensor> pooled_features(ImageTower& tower, std::span<const at::Tensor> sets);

// The options of the one view of a contrastive objective: nearly all of the picture.
struct SILC_EXPORT ViewOptions {
  Option<Pair> area;
  Option<bool> flip;

  consteval explicit ViewOptions(const Pair& standard = {0.9, 1.0})
      : area(
            pair_option("area", standard[0], standard[1], 0.01, 1.0, "part of the picture's area that the view shows")),
        flip(boolean_option("flip", false, "mirror the view half of the time")) {}

  [[nodiscard]] constexpr auto members() const { return std::tie(area, flip); }

  // The view "image".
  [[nodiscard]] ViewSpec view(const Options& options) const;
};

}  // namespace silc
