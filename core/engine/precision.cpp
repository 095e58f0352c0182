#include "engine/precision.h"

#include <ATen/autocast_mode.h>

#include "engine/shapes_only.h"
#include "nn/settings_device.h"
#include "silc/error.h"

namespace silc {

Precision parse_precision(const std::string& name) {
  if (name == "fp32") return Precision::fp32;
  if (name == "bf16") return Precision::bf16;
  throw Error("engine.precision is \"" + name + "\"; use \"fp32\" or \"bf16\"");
}

Autocast::Autocast(Precision precision, const c10::Device& device)
    : on_(precision == Precision::bf16), device_(settings_device(device).type()) {
  if (!on_) return;
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!on_) return;
  at::autocast::decrement_nesting();
  at::autocast::set_autocast_enabled(device_, false);
  at::autocast::clear_cache();
  clear_shape_copies();
}

}  // namespace silc
