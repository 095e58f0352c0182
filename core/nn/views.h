// Running an image tower over several sets of views.
#pragma once

#include <span>
#include <vector>

#include "silc/model.h"

namespace silc {

// Pooled features of each set, [V·B, 3, H, W] → [V·B, D]. Sets of pictures of one size go through the tower together,
// in one pass.
SILC_EXPORT std::vector<at::Tensor> pooled_features(ImageTower& tower, std::span<const at::Tensor> sets);

}  // namespace silc
