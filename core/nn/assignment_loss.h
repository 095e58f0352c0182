// The non-contrastive loss between pictures and captions: they agree on soft assignments to prototypes.
#pragma once

#include <ATen/core/Tensor.h>

#include "silc/export.h"

namespace silc {

// All in nats, means over the batch, and halves of a part for pictures and one for captions.
struct AssignmentLoss {
  at::Tensor cross_entropy;  // ½ (H(p, q) + H(q, p)) of each pair, to be small: both say the same
  at::Tensor entropy;        // ½ (H(p) + H(q)) of each sample, to be small: sharp assignments
  at::Tensor mean_entropy;   // ½ (H(p̄) + H(q̄)) of the batch's mean, to be great: all prototypes are in use
};

// nCLIP (Zhou 2023): p = softmax(image / temperature), q = softmax(text / temperature); H(p, q) = − Σ_k p_k log q_k.
// Gradients flow into both arguments of the cross-entropy. image, text: [B, K], row i of both belonging together. In
// full precision, also under autocast.
SILC_EXPORT AssignmentLoss assignment_loss(const at::Tensor& image, const at::Tensor& text, double temperature);

}  // namespace silc
