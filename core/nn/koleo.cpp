#include "nn/koleo.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include "nn/precision.h"

namespace silc {

namespace {

// Index of the nearest other row, [B].
at::Tensor nearest_neighbours(const at::Tensor& normalized) {
  const torch::NoGradGuard no_grad;
  return at::matmul(normalized, normalized.t()).fill_diagonal_(-2).argmax(1);
}

}  // namespace

at::Tensor koleo_loss(const at::Tensor& features) {
  constexpr double kEpsilon = 1e-8;
  if (features.size(0) < 2) return features.sum() * 0;
  const NoAutocast guard;
  const auto x = l2_normalize(features);
  const auto distance = at::linalg_vector_norm(x - x.index_select(0, nearest_neighbours(x)) + kEpsilon, 2, {-1});
  return -(distance + kEpsilon).log().mean();
}

}  // namespace silc
