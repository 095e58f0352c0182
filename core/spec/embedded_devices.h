// The files of core/spec/devices, in the program.
#pragma once

#include <span>
#include <string_view>

namespace silc {

struct EmbeddedDevices {
  std::string_view name;
  std::string_view text;
};

std::span<const EmbeddedDevices> embedded_devices();

}  // namespace silc
