#include "engine/accelerator.h"

#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "engine/batches.h"
#include "engine/nvml.h"
#include "engine/proc_file.h"

namespace silc {
namespace {

const std::filesystem::path kGpus = "/proc/driver/nvidia/gpus";

// Bus ids of the machine's GPUs in the order of number_devices_by_address().
std::vector<std::string> all_addresses() {
  std::vector<std::string> addresses;
  std::error_code none;
  for (const auto& gpu : std::filesystem::directory_iterator(kGpus, none))
    addresses.push_back(gpu.path().filename().string());
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

std::string gpu_property(const std::string& address, const std::string& key) {
  return proc_property(kGpus / address / "information", key);
}

// Bus id of the GPU that CUDA_VISIBLE_DEVICES calls `name`: by its place on the bus, or by the beginning of its UUID.
std::string address_of(const std::string& name) {
  const std::vector<std::string> addresses = all_addresses();
  if (!name.empty() && name.find_first_not_of("0123456789") == std::string::npos) {
    const std::size_t number = std::stoul(name);
    return number < addresses.size() ? addresses[number] : "";
  }
  if (name.starts_with("GPU-"))
    for (const std::string& address : addresses)
      if (gpu_property(address, "GPU UUID").starts_with(name)) return address;
  return "";
}

// Whether other cells run on the GPU at the same time: silc says so to the engines that it starts.
bool is_shared() { return std::getenv("SILC_DEVICE_SHARED") != nullptr; }

}  // namespace

void number_devices_by_address() { setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 0); }

std::vector<std::string> visible_gpus(const char* variable, std::size_t found) {
  std::vector<std::string> names;
  if (variable == nullptr) {
    for (std::size_t i = 0; i < found; ++i) names.push_back(std::to_string(i));
    return names;
  }
  std::istringstream list(variable);
  for (std::string name; std::getline(list, name, ',');) {
    std::erase_if(name, [](unsigned char c) { return std::isspace(c) != 0; });
    names.push_back(name);
  }
  const bool parts = found > 0 && !names.empty() && names.front().starts_with("MIG-");
  if (!parts) names.resize(std::min(names.size(), found));  // CUDA stops at the first name that it does not know
  return names;
}

std::string visible_name(const c10::Device& device) {
  if (!device.is_cuda()) return "";
  const auto index = static_cast<std::size_t>(std::max<int>(device.index(), 0));
  const std::vector<std::string> names = visible_gpus(std::getenv("CUDA_VISIBLE_DEVICES"), index + 1);
  return index < names.size() ? names[index] : "";
}

std::string device_address(const c10::Device& device) { return address_of(visible_name(device)); }

std::string gpu_name(const c10::Device& device) {
  const std::string address = device_address(device);
  const std::string name = address.empty() ? "" : gpu_property(address, "Model");
  return name.empty() ? "CUDA device " + std::to_string(std::max<int>(device.index(), 0)) : name;
}

std::optional<DeviceMemory> device_memory(const c10::Device& device) {
  if (device.is_cpu()) return std::nullopt;
  const auto [free, total] = c10::getDeviceAllocator(device.type())->getMemoryInfo(std::max<int>(device.index(), 0));
  return DeviceMemory{static_cast<int64_t>(free), static_cast<int64_t>(total)};
}

DeviceMeter::DeviceMeter(const c10::Device& device)
    : device_(device),
      address_(is_shared() ? "" : device_address(device)),
      energy_before_(address_.empty() ? std::nullopt : gpu_energy(address_)),
      start_(std::chrono::steady_clock::now()) {}

std::optional<DeviceCost> DeviceMeter::elapsed() const {
  if (device_.is_cpu()) return std::nullopt;
  DeviceCost cost;
  cost.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const auto stats = c10::getDeviceAllocator(device_.type())->getDeviceStats(std::max<int>(device_.index(), 0));
  constexpr auto kAggregate = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  cost.peak_memory = stats.reserved_bytes[kAggregate].peak;
  if (energy_before_)
    if (const auto now = gpu_energy(address_)) cost.energy = *now - *energy_before_;
  return cost;
}

DeviceCopier::DeviceCopier(const c10::Device& device) : device_(device) {
  if (!device.is_cpu())
    stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device, /*isHighPriority=*/false);
}

void DeviceCopier::begin(Batch batch) {
  if (!stream_) {
    copies_.push_back({std::move(batch), std::nullopt});
    return;
  }
  // LibTorch keeps pinned memory that is being read from, so that the source may go at once.
  Copy copy{std::move(batch), c10::Event(device_.type())};
  const c10::StreamGuard beside(*stream_);
  for_each_tensor(copy.batch, [&](at::Tensor& tensor) { tensor = tensor.to(device_, /*non_blocking=*/true); });
  copy.done->record(*stream_);
  copies_.push_back(std::move(copy));
}

Batch DeviceCopier::finish() {
  Copy copy = std::move(copies_.front());
  copies_.erase(copies_.begin());
  if (!stream_) return std::move(copy.batch);
  const c10::Stream current = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  copy.done->block(current);
  // The allocator must not give the memory to later copies before what is queued now has read it.
  for_each_tensor(copy.batch, [&](const at::Tensor& tensor) { tensor.record_stream(current); });
  return std::move(copy.batch);
}

}  // namespace silc
