#include "nn/bring.h"

#include <ATen/ATen.h>

namespace silc {

at::Tensor bring(const at::Tensor& drawn, const at::Device& device) {
  if (drawn.device() == device) return drawn;
  return (device.is_cuda() ? drawn.pin_memory() : drawn).to(device, /*non_blocking=*/!device.is_cpu());
}

}  // namespace silc
