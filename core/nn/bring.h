// What a step draws on the CPU, whatever the device, brought to where it computes.
#pragma once

#include <ATen/core/Tensor.h>

#include "silc/export.h"

namespace silc {

// `drawn`, a tensor on the CPU (masks, places, choices), on `device`. Through pinned memory, so that the host does not
// wait for what the device still computes, as it would in Tensor::to.
SILC_EXPORT at::Tensor bring(const at::Tensor& drawn, const at::Device& device);

}  // namespace silc
