// The views of DINO: two global crops and several local ones, each with colours of its own.
#pragma once

#include <vector>

#include "silc/objective.h"

namespace silc {

struct MultiCrop {
  Pair global_area = {0.4, 1.0};
  int64_t local_views = 8;
  Pair local_area = {0.05, 0.4};
  int64_t local_size = 0;  // pixels
  bool colours = true;     // false: crops and mirroring only
};

// "global_1" and "global_2", one crop each, and "local" where there are any. Colours as in DataAugmentationDINO of
// DINO, iBOT and DINOv2: jitter 0.8, greyscale 0.2, blur 1, 0.1 and 0.5, and solarize 0.2 in the second global crop
// only; all crops are mirrored half of the time.
SILC_EXPORT std::vector<ViewSpec> multi_crop_views(const MultiCrop& crops);

// Colours of DINO's local crops: jitter 0.8, greyscale 0.2, blur 0.5.
SILC_EXPORT Photometric local_crop_colours();

// Both global crops, [2·B, 3, S, S].
SILC_EXPORT at::Tensor global_crops(const Batch& batch);

// Side of local crops: `wanted` pixels; 0: image_size · 96/224 as in DINO, rounded to a multiple of 16.
SILC_EXPORT int64_t local_crop_size(int64_t wanted, int64_t image_size);

}  // namespace silc
