// Masked prediction: the student predicts the teacher's prototypes of the patches that it does not see.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>

#include "nn/distillation_head.h"
#include "nn/patch_masks.h"
#include "nn/self_distillation_loss.h"

namespace silc {

// iBOT (Zhou 2022, equation 2; as in main_ibot.py and DINOv2's ibot_patch_loss.py): the mean over samples, masked or
// not, of the mean over a sample's masked patches of − Σ_k q_k log p_k, with q from the teacher, which sees the whole
// view, and p = softmax(s / τ_s) of the student. Targets as in SelfDistillationLoss, with a centre of their own.
class SILC_EXPORT PatchTokenLoss : public torch::nn::Module {
 public:
  PatchTokenLoss(int64_t prototypes, double student_temperature, double center_momentum,
                 Centering centering = Centering::moving_average);

  // student, teacher: [M, K] scores of the masked patches, as masked_patches() orders them. mean: [K], what the centre
  // moves to; undefined: the teacher's mean over the masked patches, as in DINOv2.
  // Metrics as in SelfDistillationResult, their names beginning with patch_, over masked patches; in a batch without
  // any none, or zeros where there are several ranks.
  SelfDistillationResult forward(const at::Tensor& student, const at::Tensor& teacher, const PatchMasks& masks,
                                 double teacher_temperature, const at::Tensor& mean = {});

  // The same from the tokens of all patches, [S, N, D] each, and the heads that score them.
  SelfDistillationResult of_heads(DistillationHead& student_head, const at::Tensor& student,
                                  DistillationHead& teacher_head, const at::Tensor& teacher, const PatchMasks& masks,
                                  double teacher_temperature);

  [[nodiscard]] const at::Tensor& center() const { return center_; }

 private:
  SelfDistillationResult forward_over_ranks(const at::Tensor& student, const at::Tensor& teacher,
                                            const PatchMasks& masks, double teacher_temperature,
                                            const at::Tensor& mean);

  double student_temperature_;
  double center_momentum_;
  Centering centering_;
  at::Tensor center_;  // [K]
};

}  // namespace silc
