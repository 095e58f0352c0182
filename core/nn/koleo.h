// The Kozachenko-Leonenko regularizer: features spread out evenly.
#pragma once

#include <ATen/core/Tensor.h>

#include "silc/export.h"

namespace silc {

// −(1/B) Σ_i log(min_{j≠i} ‖x_i − x_j‖ + ε) on L2-normalised features, ε = 1e-8 (Sablayrolles 2019, section 3; as in
// DINOv2's koleo_loss.py, which adds ε to each coordinate of the difference too). features: [B, D] → scalar; 0 for a
// batch of one, which has no neighbours.
SILC_EXPORT at::Tensor koleo_loss(const at::Tensor& features);

}  // namespace silc
