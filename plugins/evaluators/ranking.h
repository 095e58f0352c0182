// Ranks by score, the same on every machine.
#pragma once

#include <ATen/core/Tensor.h>

namespace silc::evaluators {

// Cosines of unit vectors: queries [Q, E], keys [K, E] → [Q, K] fp32. Summed in double and rounded, so that equal
// vectors give equal scores wherever they stand in a matrix product.
at::Tensor cosines(const at::Tensor& queries, const at::Tensor& keys);

// Position of column target[q] when row q is sorted by descending score, from 0; among equal scores the lower index
// comes first. scores: [Q, K], target: [Q] int64 → [Q] int64.
at::Tensor rank_of(const at::Tensor& scores, const at::Tensor& target);

}  // namespace silc::evaluators
