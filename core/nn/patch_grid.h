// The grid of patches that a vision transformer sees: patches as tokens, their positions on grids of several sizes, and
// masked patches.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <utility>

#include "silc/export.h"

namespace silc {

// Patches of a view along one side of it. Throws silc::Error where they do not fill it; `backbone` names the plugin in
// the message.
SILC_EXPORT int64_t patches_along(int64_t pixels, int64_t patch, const char* backbone);

// images: [B, 3, H, W], weight: [D, 3, P, P], bias: [D] or undefined → [B, N, D]: the convolution whose stride is its
// kernel as the matrix product that it is.
SILC_EXPORT at::Tensor project_patches(const at::Tensor& images, const at::Tensor& weight, const at::Tensor& bias = {});

// Reads position embeddings that were trained on a square grid at grids of other sizes: bicubic as in DINO (Caron 2021)
// and with antialiasing as in open_clip's and timm's resampling. Interpolation is linear, so it is kept as a matrix for
// each size: its gradient is then a product too, the same to the bit on every run and device.
class SILC_EXPORT GridInterpolation {
 public:
  explicit GridInterpolation(int64_t side) : side_(side) {}

  // trained: [side², D], row by row → [height · width, D], in the type of `trained` even under autocast.
  at::Tensor resample(const at::Tensor& trained, int64_t height, int64_t width);

 private:
  int64_t side_;
  std::map<std::pair<int64_t, int64_t>, at::Tensor> matrices_;  // by height and width
};

// By how much rotary position embeddings turn each pair of channels of each token. Undefined: not at all.
struct Rotary {
  at::Tensor sine, cosine;  // [T, D/H], fp32
};

// x: [B, H, T, D/H], turned in fp32; the result has x's type.
SILC_EXPORT at::Tensor rotate(const at::Tensor& x, const Rotary& rotary);

// Two-dimensional rotary position embeddings as in EVA-02 (Fang 2023, section 2.1): half of a head's channels are
// turned by the row, half by the column, neighbouring channels in pairs, with frequencies 10000^(-4i/(D/H)). Positions
// on other grids than the reference are stretched to it.
class SILC_EXPORT RotaryGrid {
 public:
  // head_width: D/H, a multiple of 4. reference: side of the grid on which neighbours are one step apart.
  // prefix: tokens before the patches, which are not turned.
  RotaryGrid(int64_t head_width, int64_t reference, int64_t prefix)
      : head_width_(head_width), reference_(reference), prefix_(prefix) {}

  // For prefix + height · width tokens.
  const Rotary& angles(int64_t height, int64_t width, const c10::Device& device);

 private:
  int64_t head_width_;
  int64_t reference_;
  int64_t prefix_;
  std::map<std::pair<int64_t, int64_t>, Rotary> tables_;  // by height and width
};

// tokens: [B, N, D] with those at which mask ([B, N] bool) is true replaced by mask_token ([D]). Throws silc::Error for
// other shapes.
SILC_EXPORT at::Tensor mask_patches(const at::Tensor& tokens, const at::Tensor& mask, const at::Tensor& mask_token);

}  // namespace silc
