// From a teacher's scores of prototypes to the distributions that a student learns to predict.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "silc/export.h"
#include "silc/options.h"

namespace silc {

// What keeps a teacher from giving all samples the same distribution.
enum class Centering {
  moving_average,  // the scores' moving average is taken off (Caron 2021, section 3.1)
  sinkhorn_knopp,  // prototypes are given out evenly over the batch (Caron 2020, SwAV; option of DINOv2)
};

// The option that names one.
consteval Option<std::string> centering_option() {
  return choice_option("centering", "centering", "centering|sinkhorn_knopp",
                       "what balances the teacher's targets: a moving average of its scores, or three rounds of "
                       "Sinkhorn-Knopp over the batch");
}

// "centering" or "sinkhorn_knopp", the names of DINOv2's configuration.
SILC_EXPORT Centering parse_centering(const std::string& name);

// Logarithms of assignments: alternately every prototype (column) is given the same total and every sample (row) the
// total 1, `rounds` times. exp of the logits is the start (SwAV, appendix A; DINOv2's sinkhorn_knopp_teacher). The
// intermediate totals 1/K and 1/B of the published code cancel, as does the first division by the sum of all. logits:
// [B, K] → [B, K], B of this rank, columns over all; done with logarithms, so that no row or column underflows.
SILC_EXPORT at::Tensor log_sinkhorn_knopp(const at::Tensor& logits, int64_t rounds = 3);

// log of the targets, [B, K]. scores: [B, K] in full precision; center: [K], which only moving_average reads.
SILC_EXPORT at::Tensor log_teacher_targets(Centering centering, const at::Tensor& scores, const at::Tensor& center,
                                           double temperature);

// The number of prototypes that are the likeliest for at least one sample of targets [B, K], those of all ranks, as a
// scalar tensor.
SILC_EXPORT at::Tensor count_preferred(const at::Tensor& targets);

}  // namespace silc
