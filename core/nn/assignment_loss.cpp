#include "nn/assignment_loss.h"

#include <ATen/Functions.h>

#include <cmath>

#include "nn/precision.h"
#include "nn/ranks.h"

namespace silc {

namespace {

// − Σ_k p_k log q_k, a mean over rows.
at::Tensor cross_entropy(const at::Tensor& p, const at::Tensor& log_q) { return -(p * log_q).sum(-1).mean(); }

// The entropy of the mean distribution, from the logarithms [B, K]: log p̄ = logsumexp_b log p_b − log B stays finite
// where every p_bk is too small for a float.
at::Tensor entropy_of_mean(const at::Tensor& log_p) {
  const auto log_mean =
      logsumexp_over_ranks(log_p, 0) - std::log(static_cast<double>(ranks().size() * log_p.size(0)));  // [K]
  return -(log_mean.exp() * log_mean).sum();
}

}  // namespace

AssignmentLoss assignment_loss(const at::Tensor& image, const at::Tensor& text, double temperature) {
  const NoAutocast guard;
  const auto log_p = at::log_softmax(full_precision(image) / temperature, -1);  // [B, K]
  const auto log_q = at::log_softmax(full_precision(text) / temperature, -1);   // [B, K]
  const auto p = log_p.exp(), q = log_q.exp();
  return {.cross_entropy = (cross_entropy(p, log_q) + cross_entropy(q, log_p)) / 2,
          .entropy = (cross_entropy(p, log_p) + cross_entropy(q, log_q)) / 2,
          .mean_entropy = (entropy_of_mean(log_p) + entropy_of_mean(log_q)) / 2};
}

}  // namespace silc
