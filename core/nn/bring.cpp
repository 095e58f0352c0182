#include "nn/bring.h"

#include <ATen/ATen.h>

namespace silc {

at::Tensor bring(const at::Tensor& drawn, const at::Device& device) {
  if (drawn.device() == device || !device.is_cuda()) return drawn.to(device);
  return drawn.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace silc
