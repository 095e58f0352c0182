#include "plugins/evaluators/ranking.h"

#include <ATen/ATen.h>

namespace silc::evaluators {

at::Tensor cosines(const at::Tensor& queries, const at::Tensor& keys) {
  return at::matmul(queries.to(at::kDouble), keys.to(at::kDouble).t()).to(at::kFloat);
}

at::Tensor rank_of(const at::Tensor& scores, const at::Tensor& target) {
  const at::Tensor column = target.unsqueeze(1);    // [Q, 1]
  const at::Tensor own = scores.gather(1, column);  // [Q, 1]
  const at::Tensor index = at::arange(scores.size(1), target.options()).unsqueeze(0);
  const at::Tensor before = scores.gt(own).logical_or(scores.eq(own).logical_and(index.lt(column)));
  return before.sum(1);
}

}  // namespace silc::evaluators
