// Cross-entropy between distributions, as distillation from a teacher uses it.
#pragma once

#include <ATen/core/Tensor.h>

#include "silc/export.h"

namespace silc {

// − Σ_v Σ_b Σ_k targets_bk log softmax(logits_vb / temperature)_k, a scalar. logits: [V·B, K], v·B + b in row order.
// targets: [B, K], not differentiated, whose row b sums to mass_b. mass: [B, 1], or a scalar that holds for all rows.
//
// Keeps the logarithms only: the gradient (mass · softmax − target) / temperature is made from them in one buffer.
SILC_EXPORT at::Tensor soft_cross_entropy(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& mass,
                                          double temperature);

}  // namespace silc
