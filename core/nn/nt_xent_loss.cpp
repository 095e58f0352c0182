#include "nn/nt_xent_loss.h"

#include <limits>

#include "nn/precision.h"
#include "nn/ranks.h"

namespace silc {

at::Tensor nt_xent_loss(const at::Tensor& first, const at::Tensor& second, double temperature) {
  const NoAutocast guard;
  const auto batch = first.size(0);                              // b, of this rank
  const auto views = l2_normalize(at::cat({first, second}));     // [2b, E]
  const auto all = whole_batch(views, batch);                    // [2B, E]
  const auto logits = at::matmul(views, all.t()) / temperature;  // [2b, 2B]
  const auto whole = all.size(0) / 2, place = ranks().rank() * batch;
  const auto itself = at::zeros_like(logits, logits.options().dtype(at::kBool));  // [2b, 2B]
  itself.slice(0, 0, batch).diagonal(place).fill_(true);
  itself.slice(0, batch).diagonal(whole + place).fill_(true);
  const auto others = logits.masked_fill(itself, -std::numeric_limits<double>::infinity());
  // The partner of view i is B places further on, and its similarity stands on a diagonal, of both halves the same.
  const auto partners = logits.slice(0, 0, batch).diagonal(whole + place).sum();
  return (at::logsumexp(others, {1}).sum() - 2 * partners) / static_cast<double>(2 * batch);
}

}  // namespace silc
