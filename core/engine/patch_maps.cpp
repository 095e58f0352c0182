#include "engine/patch_maps.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace silc {
namespace {

constexpr int64_t kMostTerms = 64;
constexpr int64_t kTermsStep = 8;
constexpr double kLevels = 127;

std::vector<int8_t> bytes_of(const at::Tensor& values) {
  const at::Tensor levels = values.to(at::kChar).contiguous();
  return {levels.const_data_ptr<int8_t>(), levels.const_data_ptr<int8_t>() + levels.numel()};
}

// Columns in steps of which 127 reach the greatest value: [M, K] → integers [M, K] and steps [K].
std::pair<at::Tensor, at::Tensor> quantised(const at::Tensor& factor) {
  const at::Tensor step = factor.abs().amax(0).clamp_min(1e-12) / kLevels;
  return {(factor / step).round(), step};
}

}  // namespace

PatchMaps patch_maps(const at::Tensor& scores) {
  const at::Tensor exact = scores.to(at::kDouble);
  const auto [u, singular, vt] = at::linalg_svd(exact, /*full_matrices=*/false);
  const at::Tensor root = singular.sqrt();
  const int64_t most = std::min(kMostTerms, singular.size(0));
  for (int64_t terms = std::min(kTermsStep, most);; terms = std::min(terms + kTermsStep, most)) {
    const at::Tensor weight = root.slice(0, 0, terms);
    const auto [patches, patch_step] = quantised(u.slice(1, 0, terms) * weight);
    const auto [texts, text_step] = quantised(vt.t().slice(1, 0, terms) * weight);
    const at::Tensor scales = (patch_step * text_step).contiguous();
    const double error = (at::matmul(patches * scales, texts.t()) - exact).abs().max().item<double>();
    if (error > kMapError && terms < most) continue;
    return {.terms = terms,
            .patches = bytes_of(patches),
            .texts = bytes_of(texts),
            .scales = {scales.const_data_ptr<double>(), scales.const_data_ptr<double>() + terms},
            .error = error};
  }
}

}  // namespace silc
