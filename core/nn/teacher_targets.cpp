#include "nn/teacher_targets.h"

#include <ATen/ATen.h>

#include "nn/ranks.h"
#include "silc/error.h"

namespace silc {

Centering parse_centering(const std::string& name) {
  if (name == "centering") return Centering::moving_average;
  if (name == "sinkhorn_knopp") return Centering::sinkhorn_knopp;
  throw Error("there is no centering \"" + name + "\"; choose \"centering\" or \"sinkhorn_knopp\"");
}

at::Tensor log_sinkhorn_knopp(const at::Tensor& logits, int64_t rounds) {
  auto log_q = logits;
  for (int64_t round = 0; round < rounds; ++round) {
    log_q = log_q - logsumexp_over_ranks(log_q, 0, /*keepdim=*/true);
    log_q = log_q - at::logsumexp(log_q, {1}, /*keepdim=*/true);
  }
  return log_q;
}

at::Tensor log_teacher_targets(Centering centering, const at::Tensor& scores, const at::Tensor& center,
                               double temperature) {
  if (centering == Centering::sinkhorn_knopp) return log_sinkhorn_knopp(scores / temperature);
  return at::log_softmax((scores - center) / temperature, -1);
}

at::Tensor count_preferred(const at::Tensor& targets) {
  // Not by bincount, whose result's size makes the host wait for a GPU.
  const auto preferred =
      at::zeros({targets.size(-1)}, targets.options().dtype(at::kFloat)).index_fill_(0, targets.argmax(-1), 1);
  return ranks().max(preferred).sum();
}

}  // namespace silc
