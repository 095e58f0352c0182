#include "nn/nt_xent_loss.h"

#include <limits>

#include "nn/precision.h"

namespace silc {

at::Tensor nt_xent_loss(const at::Tensor& first, const at::Tensor& second, double temperature) {
  const NoAutocast guard;
  const auto batch = first.size(0);
  const auto views = l2_normalize(at::cat({first, second}));                  // [2B, E]
  const auto logits = at::matmul(views, views.t()) / temperature;             // [2B, 2B]
  const auto itself = at::eye(2 * batch, logits.options().dtype(at::kBool));  // [2B, 2B]
  const auto others = logits.masked_fill(itself, -std::numeric_limits<double>::infinity());
  // The partner of view i is B places further on, and its similarity stands on a diagonal, twice.
  return (at::logsumexp(others, {1}).sum() - 2 * logits.diagonal(batch).sum()) / static_cast<double>(2 * batch);
}

}  // namespace silc
