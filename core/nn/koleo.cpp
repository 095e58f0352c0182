#include "nn/koleo.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include "nn/precision.h"
#include "nn/ranks.h"

namespace silc {

namespace {

// Index of the nearest other row of `all`, [B, D], for each of this rank's rows [b, D].
at::Tensor nearest_neighbours(const at::Tensor& rows, const at::Tensor& all) {
  const torch::NoGradGuard no_grad;
  auto similarity = at::matmul(rows, all.t());  // [b, B]
  similarity.diagonal(ranks().rank() * rows.size(0)).fill_(-2);
  return similarity.argmax(1);
}

}  // namespace

at::Tensor koleo_loss(const at::Tensor& features) {
  constexpr double kEpsilon = 1e-8;
  if (features.size(0) * ranks().size() < 2) return features.sum() * 0;
  const NoAutocast guard;
  const auto x = l2_normalize(features);
  const auto all = whole_batch(x, x.size(0));
  const auto distance = at::linalg_vector_norm(x - all.index_select(0, nearest_neighbours(x, all)) + kEpsilon, 2, {-1});
  return -(distance + kEpsilon).log().mean();
}

}  // namespace silc
