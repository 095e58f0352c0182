// The loss of DINO and of SILC's local-to-global part: the student predicts the teacher's prototypes.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <map>
#include <string>

#include "nn/teacher_targets.h"
#include "silc/export.h"

namespace silc {

struct SelfDistillationResult {
  at::Tensor loss;  // scalar
  // teacher_entropy: mean entropy of the teacher's distributions in nats, log K at most; near 0 or log K it collapses.
  // teacher_student_kl: mean divergence over the pairs, in nats.
  // prototypes_in_use: prototypes that are the likeliest for at least one of the teacher's views.
  std::map<std::string, at::Tensor> metrics;  // scalars, detached
};

// Mean over pairs (teacher view g, student view v) and pictures of − Σ_k q_gk log p_vk, with
// q = softmax((t − c) / τ_t) and p = softmax(s / τ_s) (Caron 2021, section 3.1), c the centre before this step; with
// Sinkhorn-Knopp, q are the assignments of all teacher views together, and there is no centre.
//
// The cross-entropy is linear in q, so all teachers that a student view is paired with are summed first and each
// student view meets one target: the same value and gradient for one product instead of one per pair.
class SILC_EXPORT SelfDistillationLoss : public torch::nn::Module {
 public:
  SelfDistillationLoss(int64_t prototypes, double student_temperature, double center_momentum,
                       Centering centering = Centering::moving_average);

  // teacher: [G·B, K] scores of the global views, without a gradient. student_local: [V·B, K]. student_global: [G·B,
  // K], paired with every teacher view but its own; undefined: the student sees local views only. Views lie one after
  // the other as in Batch::views. Updates the centre: c ← m c + (1 − m) mean(t).
  SelfDistillationResult forward(const at::Tensor& teacher, const at::Tensor& student_local,
                                 const at::Tensor& student_global, int64_t batch, double teacher_temperature);

  [[nodiscard]] const at::Tensor& center() const { return center_; }

 private:
  double student_temperature_;
  double center_momentum_;
  Centering centering_;
  at::Tensor center_;  // [K]
};

}  // namespace silc
