#include "engine/conformance/bits.h"

#include <ATen/ops/isfinite.h>

#include <cstring>

namespace silc::conformance {

NamedTensors copy_of(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) copies.emplace(name, tensor.detach().clone());
  return copies;
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  const at::Tensor left = a.detach().contiguous(), right = b.detach().contiguous();
  return std::memcmp(left.const_data_ptr(), right.const_data_ptr(), left.nbytes()) == 0;
}

std::string first_difference(const NamedTensors& a, const NamedTensors& b) {
  for (const auto& [name, tensor] : a) {
    const auto found = b.find(name);
    if (found == b.end() || !same_bits(tensor, found->second)) return name;
  }
  for (const auto& [name, tensor] : b)
    if (!a.contains(name)) return name;
  return "";
}

std::string first_not_finite(const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors)
    if (tensor.is_floating_point() && !at::isfinite(tensor).all().item<bool>()) return name;
  return "";
}

}  // namespace silc::conformance
