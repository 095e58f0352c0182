// The loss of SimCLR between two views of each picture.
#pragma once

#include <ATen/core/Tensor.h>

#include "silc/export.h"

namespace silc {

// NT-Xent (Chen 2020, equation 1): for each of the 2B views the cross-entropy, over the other 2B − 1, of cosine /
// temperature, with the other view of its picture as the target; the mean over all. `first` and `second`: [B, E], not
// normalised, row i of both showing the same picture. In full precision, also under autocast.
SILC_EXPORT at::Tensor nt_xent_loss(const at::Tensor& first, const at::Tensor& second, double temperature);

}  // namespace silc
