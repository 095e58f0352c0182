// Where a computation leaves mixed precision, and in which type the network's tokens flow.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "silc/export.h"

namespace silc {

// While one lives, autocast casts nothing in this thread: losses and normalisations keep the precision of what they
// are given.
class NoAutocast {
 private:
  c10::impl::ExcludeDispatchKeyGuard guard_{c10::autocast_dispatch_keyset};
};

// The type in which matrix products run on `tensor`'s device at this moment: autocast's, or else the tensor's own.
SILC_EXPORT at::ScalarType compute_type(const at::Tensor& tensor);

// Half precision to fp32; fp32 and fp64 stay.
SILC_EXPORT at::Tensor full_precision(const at::Tensor& tensor);

// x / max(‖x‖₂, 1e-12) along the last dimension, in full precision even under autocast.
SILC_EXPORT at::Tensor l2_normalize(const at::Tensor& x);

}  // namespace silc
