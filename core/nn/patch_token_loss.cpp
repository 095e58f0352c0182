#include "nn/patch_token_loss.h"

#include <ATen/ATen.h>

#include "nn/precision.h"
#include "nn/ranks.h"
#include "nn/soft_cross_entropy.h"

namespace silc {

PatchTokenLoss::PatchTokenLoss(int64_t prototypes, double student_temperature, double center_momentum,
                               Centering centering)
    : student_temperature_(student_temperature),
      center_momentum_(center_momentum),
      centering_(centering),
      center_(register_buffer("center", at::zeros({prototypes}))) {}

SelfDistillationResult PatchTokenLoss::forward(const at::Tensor& student, const at::Tensor& teacher,
                                               const PatchMasks& masks, double teacher_temperature,
                                               const at::Tensor& mean) {
  const NoAutocast guard;
  const bool moves = centering_ == Centering::moving_average;
  const auto move_center = [&](const at::Tensor& to) {
    if (moves) center_.lerp_(full_precision(to.detach()), 1 - center_momentum_);
  };
  if (!ranks().alone()) return forward_over_ranks(student, teacher, masks, teacher_temperature, mean);
  if (teacher.size(0) == 0) {
    if (mean.defined()) move_center(mean);
    return {full_precision(student).sum(), {}};
  }

  const auto scores = full_precision(teacher.detach());                                      // [M, K]
  const auto log_q = log_teacher_targets(centering_, scores, center_, teacher_temperature);  // [M, K]
  const auto q = log_q.exp();                                                                // [M, K]
  const auto weights = masks.weights.to(q.scalar_type()).unsqueeze(1);                       // [M, 1]
  const auto targets = q * weights;                                                          // [M, K]
  const auto loss = soft_cross_entropy(full_precision(student), targets, weights, student_temperature_);
  move_center(mean.defined() ? mean : scores.mean(0));

  const auto total = weights.sum();
  const auto entropy = -at::dot(targets.view(-1), log_q.view(-1)) / total;
  return {loss,
          {{"patch_teacher_entropy", entropy},
           {"patch_teacher_student_kl", loss.detach() / total - entropy},
           {"patch_prototypes_in_use", count_preferred(q)}}};
}

// Ranks have different numbers of masked patches, and some none, which the others do not know.
SelfDistillationResult PatchTokenLoss::forward_over_ranks(const at::Tensor& student, const at::Tensor& teacher,
                                                          const PatchMasks& masks, double teacher_temperature,
                                                          const at::Tensor& mean) {
  const auto scores = full_precision(teacher.detach());                                      // [M, K]
  const auto log_q = log_teacher_targets(centering_, scores, center_, teacher_temperature);  // [M, K]
  const auto q = log_q.exp();                                                                // [M, K]
  const auto weights = masks.weights.to(q.scalar_type()).unsqueeze(1);                       // [M, 1]
  const auto targets = q * weights;                                                          // [M, K]
  const auto loss = teacher.size(0) > 0
                        ? soft_cross_entropy(full_precision(student), targets, weights, student_temperature_)
                        : full_precision(student).sum();
  if (centering_ == Centering::moving_average) {
    auto to = center_;
    if (mean.defined()) {
      to = ranks().mean(full_precision(mean.detach()));
    } else {
      const auto patches = at::full({1}, static_cast<double>(scores.size(0)), scores.options());
      const auto sums = ranks().sum(at::cat({scores.sum(0), patches}));  // [K + 1]
      const auto count = sums[-1];
      to = at::where(count > 0, sums.slice(0, 0, -1) / count.clamp_min(1), center_);
    }
    center_.lerp_(to, 1 - center_momentum_);
  }
  // The mean of each rank's figure over the ranks is that of all masked patches.
  const auto total = ranks().mean(weights.sum());
  const auto per_patch = at::where(total > 0, 1 / total, total);
  const auto entropy = -(targets * log_q).sum() * per_patch;
  return {loss,
          {{"patch_teacher_entropy", entropy},
           {"patch_teacher_student_kl", loss.detach() * per_patch - entropy},
           {"patch_prototypes_in_use", count_preferred(q)}}};
}

SelfDistillationResult PatchTokenLoss::of_heads(DistillationHead& student_head, const at::Tensor& student,
                                                DistillationHead& teacher_head, const at::Tensor& teacher,
                                                const PatchMasks& masks, double teacher_temperature) {
  const auto predicted = student_head.forward(masked_patches(student, masks));  // [M, K]
  const auto targets = teacher_head.forward(masked_patches(teacher, masks));    // [M, K]
  return forward(predicted, targets, masks, teacher_temperature);
}

}  // namespace silc
