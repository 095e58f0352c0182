#include "nn/precision.h"

#include <ATen/autocast_mode.h>

#include "nn/settings_device.h"

namespace silc {

c10::Device settings_device(const c10::Device& device) { return device.is_meta() ? c10::Device(at::kCPU) : device; }

at::ScalarType compute_type(const at::Tensor& tensor) {
  const auto device = settings_device(tensor.device()).type();
  const bool casts = at::autocast::is_autocast_available(device) && at::autocast::is_autocast_enabled(device);
  return casts ? at::autocast::get_autocast_dtype(device) : tensor.scalar_type();
}

at::Tensor full_precision(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? tensor : tensor.to(at::kFloat);
}

at::Tensor l2_normalize(const at::Tensor& x) {
  const NoAutocast guard;
  const auto full = full_precision(x);
  return full / at::linalg_vector_norm(full, 2, {-1}, /*keepdim=*/true).clamp_min(1e-12);
}

}  // namespace silc
