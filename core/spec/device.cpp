#include "spec/device.h"

#include <algorithm>

#include "files/durable_file.h"
#include "plugin/similar.h"
#include "spec/embedded_devices.h"
#include "spec/table_reader.h"
#include "spec/toml_document.h"

namespace silc {
namespace {

constexpr Range kPositive{.minimum = 0, .minimum_excluded = true};
constexpr Range kNotNegative{.minimum = 0};
constexpr Range kPart{.minimum = 0, .maximum = 1, .minimum_excluded = true};

// A number, or a table with one for each precision.
void read_mfu(TableReader& reader, const Entry& entry, Device& device, Faults& faults) {
  if (const Entry* given = entry.value.find("mfu"); given != nullptr && given->value.is_table()) {
    TableReader each(reader.take("mfu"), entry.key + ".mfu", faults);
    each.read("bf16", device.bf16_mfu, kPart);
    each.read("fp32", device.fp32_mfu, kPart);
    each.finish();
    return;
  }
  reader.read("mfu", device.bf16_mfu, kPart);
  device.fp32_mfu = device.bf16_mfu;
}

Device read_device(const Entry& entry, Faults& faults) {
  Device device;
  device.name = device.title = entry.key;
  TableReader reader(&entry.value, entry.key, faults);
  reader.read("title", device.title);
  TableReader flops(reader.take("flops"), entry.key + ".flops", faults);
  flops.read("bf16", device.bf16_flops, kNotNegative);
  flops.read("fp32", device.fp32_flops, kNotNegative);
  flops.finish();
  reader.read("memory", device.memory, kPositive);
  reader.read("memory_bandwidth", device.memory_bandwidth, kPositive);
  reader.read("within_node", device.within_node, kPositive);
  reader.read("between_nodes", device.between_nodes, kPositive);
  reader.read("devices_per_node", device.per_node, Range{.minimum = 1});
  read_mfu(reader, entry, device, faults);
  reader.read("mfu_assumed", device.mfu_assumed);
  reader.read("mfu_source", device.mfu_source);
  reader.read("source", device.source);
  reader.finish();
  // What nothing can be predicted without.
  const std::pair<const char*, double> needed[] = {{"flops.bf16 or flops.fp32", device.bf16_flops + device.fp32_flops},
                                                   {"memory", device.memory},
                                                   {"memory_bandwidth", device.memory_bandwidth},
                                                   {"within_node", device.within_node},
                                                   {"mfu", device.bf16_mfu + device.fp32_mfu}};
  for (const auto& [key, value] : needed)
    if (faults.empty() && value <= 0) faults.add(entry.place, "[" + entry.key + "] does not say " + key);
  if (device.between_nodes <= 0) device.between_nodes = device.within_node;
  return device;
}

}  // namespace

std::vector<Device> parse_devices(const std::string& text, const std::string& name) {
  Faults faults;
  std::vector<Device> devices;
  if (const auto document = parse_toml(text, name, faults)) {
    for (const Entry& entry : document->table()) devices.push_back(read_device(entry, faults));
    if (devices.empty()) faults.add(document->place, "there is no device: [NAME] with flops, memory, … is one");
  }
  faults.throw_if_any();
  return devices;
}

std::vector<Device> known_devices() {
  const EmbeddedDevices& file = embedded_devices().front();
  return parse_devices(std::string(file.text), "devices.toml");
}

Device find_device(const std::string& name) {
  if (name.ends_with(".toml")) return parse_devices(read_file(name), name).front();
  std::vector<std::string> names;
  for (const Device& device : known_devices()) {
    if (device.name == name) return device;
    names.push_back(device.name);
  }
  throw Error("there is no device \"" + name + "\"" + suggestion(name, names) +
              "; a file NAME.toml may describe another one (docs/scale.md)");
}

}  // namespace silc
