// Contrastive losses in memory that does not grow with the square of the batch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "silc/export.h"

namespace silc {

// clip_loss() and sigmoid_loss() take these for batches of more than so many pairs.
inline constexpr int64_t kContrastiveTile = 1024;

// The losses of contrastive_loss.h with the similarity matrix in tiles of `tile` × `tile`, one there at a time. The
// forward pass keeps sums over rows and columns, [B] each, and the backward pass computes the tiles again. image, text:
// [B, E] of one type, fp32 or fp64; scale, bias: scalars of that type.
SILC_EXPORT at::Tensor tiled_clip_loss(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale,
                                       int64_t tile);
SILC_EXPORT at::Tensor tiled_sigmoid_loss(const at::Tensor& image, const at::Tensor& text, const at::Tensor& scale,
                                          const at::Tensor& bias, int64_t tile);

}  // namespace silc
