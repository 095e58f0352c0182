#include "nn/patch_grid.h"

#include <c10/core/InferenceMode.h>
#include <c10/util/StringUtil.h>

#include "nn/precision.h"
#include "silc/error.h"

namespace silc {
namespace {

// Constant tensors outlive the call that makes them, and training may use what an evaluation made.
struct Constant {
  c10::InferenceMode inference{false};
  at::NoGradGuard no_grad;
  NoAutocast full;
};

bool usable(const at::Tensor& cached, const c10::Device& device, at::ScalarType type) {
  return cached.defined() && cached.device() == device && cached.scalar_type() == type;
}

}  // namespace

int64_t patches_along(int64_t pixels, int64_t patch, const char* backbone) {
  if (pixels % patch != 0 || pixels == 0)
    throw Error(c10::str("backbone \"", backbone, "\": a view of ", pixels, " pixels cannot be cut into patches of ",
                         patch, "; choose image_size and the objective's view sizes as multiples of ", patch));
  return pixels / patch;
}

at::Tensor project_patches(const at::Tensor& images, const at::Tensor& weight, const at::Tensor& bias) {
  const auto patch = weight.size(2), height = images.size(2) / patch, width = images.size(3) / patch;
  const auto patches = images.to(compute_type(images))
                           .view({-1, 3, height, patch, width, patch})
                           .permute({0, 2, 4, 1, 3, 5})
                           .reshape({images.size(0), height * width, -1});  // [B, N, 3·P·P]
  return at::linear(patches, weight.flatten(1), bias);
}

at::Tensor GridInterpolation::resample(const at::Tensor& trained, int64_t height, int64_t width) {
  if (height == side_ && width == side_) return trained;
  auto& matrix = matrices_[{height, width}];
  if (!usable(matrix, trained.device(), trained.scalar_type())) {
    const Constant constant;
    matrix = at::_upsample_bicubic2d_aa(at::eye(side_ * side_).view({1, -1, side_, side_}), {height, width},
                                        /*align_corners=*/false)
                 .flatten(2)
                 .squeeze(0)
                 .t()
                 .to(trained.options());  // [N', N]
  }
  const NoAutocast guard;
  return at::matmul(matrix, trained);  // [N', D]
}

at::Tensor rotate(const at::Tensor& x, const Rotary& rotary) {
  const auto pairs = x.unflatten(-1, {-1, 2});                                                  // [B, H, T, D/2H, 2]
  const auto crossed = at::stack({-pairs.select(-1, 1), pairs.select(-1, 0)}, -1).flatten(-2);  // [B, H, T, D/H]
  return (x * rotary.cosine + crossed * rotary.sine).to(x.scalar_type());
}

const Rotary& RotaryGrid::angles(int64_t height, int64_t width, const c10::Device& device) {
  constexpr double kBase = 10000;
  auto& table = tables_[{height, width}];
  if (usable(table.sine, device, at::kFloat)) return table;
  const Constant constant;
  const auto bands = head_width_ / 4;
  const auto frequencies = at::pow(kBase, -(at::arange(bands, at::kFloat) / bands));  // [D/4H]
  const auto along = [&](int64_t cells) {
    const auto places = at::arange(cells, at::kFloat) / cells * reference_;
    return at::outer(places, frequencies);  // [cells, D/4H]
  };
  const auto rows = along(height).unsqueeze(1).expand({height, width, bands});
  const auto columns = along(width).unsqueeze(0).expand({height, width, bands});
  const auto patches = at::cat({rows, columns}, 2).repeat_interleave(2, 2).flatten(0, 1);  // [N, D/H]
  const auto turned = at::cat({at::zeros({prefix_, head_width_}), patches}).to(device);    // [T, D/H]
  table = {turned.sin(), turned.cos()};
  return table;
}

at::Tensor mask_patches(const at::Tensor& tokens, const at::Tensor& mask, const at::Tensor& mask_token) {
  if (mask.sizes() != tokens.sizes().slice(0, 2) || mask.scalar_type() != at::kBool ||
      mask_token.sizes() != tokens.sizes().slice(2))
    throw Error(c10::str("a mask of patches must be bool of shape ", tokens.sizes().slice(0, 2),
                         " and its token of shape ", tokens.sizes().slice(2), "; they are ", mask.scalar_type(),
                         " of shape ", mask.sizes(), " and of shape ", mask_token.sizes()));
  return at::where(mask.unsqueeze(2), mask_token.to(tokens.scalar_type()), tokens);
}

}  // namespace silc
