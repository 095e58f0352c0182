// Comparing tensors bit by bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace silc::conformance {

using NamedTensors = std::map<std::string, at::Tensor>;

NamedTensors copy_of(const NamedTensors& tensors);

bool same_bits(const at::Tensor& a, const at::Tensor& b);

// The first name under which the two differ, empty if they are the same.
std::string first_difference(const NamedTensors& a, const NamedTensors& b);

// The first name whose tensor holds NaN or infinity; empty if there is none.
std::string first_not_finite(const NamedTensors& tensors);

}  // namespace silc::conformance
