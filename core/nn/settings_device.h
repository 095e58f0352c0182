// Which device's settings a computation follows.
#pragma once

#include <c10/core/Device.h>

#include "silc/export.h"

namespace silc {

// The device whose autocast and random generator a computation on `device` follows: shapes without values (LibTorch's
// "meta" device), which have none of their own, follow the CPU's.
SILC_EXPORT c10::Device settings_device(const c10::Device& device);

}  // namespace silc
