// What an objective that trains a caption decoder gives to evaluation.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "silc/export.h"

namespace silc {

// Called without gradients. patches: [B, N, D], the image tower's patch tokens.
class SILC_EXPORT Captioner {
 public:
  virtual ~Captioner() = default;

  // A caption for each picture by greedy search: the most probable token, again and again. `start`, `end`: the
  // tokenizer's ids → [B, T] int64: start, text, end, padding; without an end where the text has no room left.
  virtual at::Tensor write(const at::Tensor& patches, int64_t start, int64_t end) = 0;

  // log p of each of tokens[:, 1:], given the picture and the tokens before it; 0 for padding. tokens: [B, T] →
  // [B, T − 1] fp32.
  virtual at::Tensor log_likelihoods(const at::Tensor& patches, const at::Tensor& tokens) = 0;
};

}  // namespace silc
