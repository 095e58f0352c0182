// What a device can do, by figures: for predictions of trainings elsewhere. No LibTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace silc {

struct Device {
  std::string name;
  std::string title;
  double bf16_flops = 0;        // FLOP/s, dense peak; 0: not in this precision
  double fp32_flops = 0;        // likewise
  double memory = 0;            // bytes
  double memory_bandwidth = 0;  // bytes/s
  double within_node = 0;       // bytes/s that it sends to others of its node
  double between_nodes = 0;     // bytes/s, its share of the node's network
  int64_t per_node = 1;         // devices
  double bf16_mfu = 0;          // part of the peak that training reaches, in (0, 1]
  double fp32_mfu = 0;          // likewise
  bool mfu_assumed = false;     // nobody has published it
  std::string mfu_source;
  std::string source;
};

// Those that silc knows (core/spec/devices/devices.toml), in that order.
std::vector<Device> known_devices();

// One of them by its name, or the first device of a file of the same form, NAME.toml. Throws silc::Error for a name
// that there is not, with the nearest, and SpecError with file:line:column for faults of a file.
Device find_device(const std::string& name);

// Those of a file's text, which messages call `name`. Throws SpecError.
std::vector<Device> parse_devices(const std::string& text, const std::string& name);

}  // namespace silc
