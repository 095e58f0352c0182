// What the engine asks of a GPU beyond LibTorch's operators: which one it is, what training takes there, and copies
// beside the computation. By LibTorch's device-neutral interfaces: CUDA's own headers are not needed to build silc.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/cost.h"
#include "silc/objective.h"

namespace silc {

// GPUs are numbered by their place on the bus, as nvidia-smi does, and not by what CUDA takes for their speed. Before
// anything asks for a GPU; whoever sets CUDA_DEVICE_ORDER decides instead.
void number_devices_by_address();

// The GPUs that a process can use, of which CUDA finds `found`, by the names of CUDA_VISIBLE_DEVICES, whose value
// `variable` is (null: not set): "1", "GPU-8932f937-…", "MIG-…". Of parts of GPUs (MIG) CUDA finds one a process only,
// so all that are named are given.
std::vector<std::string> visible_gpus(const char* variable, std::size_t found);

// A CUDA device's name among them; empty for other devices.
std::string visible_name(const c10::Device& device);

// PCI bus id of a CUDA device, "0000:17:00.0"; empty for other devices, for parts of a GPU (MIG), and where the driver
// does not tell.
std::string device_address(const c10::Device& device);

// "NVIDIA H200", or "CUDA device 0" where the driver does not tell.
std::string gpu_name(const c10::Device& device);

struct DeviceMemory {
  int64_t free = 0;   // bytes
  int64_t total = 0;  // bytes
};

// Nothing on the CPU.
std::optional<DeviceMemory> device_memory(const c10::Device& device);

// Measures a stretch of work, from its construction on.
class DeviceMeter {
 public:
  explicit DeviceMeter(const c10::Device& device);
  // Nothing on the CPU.
  [[nodiscard]] std::optional<DeviceCost> elapsed() const;

 private:
  c10::Device device_;
  std::string address_;  // empty: energy is not known
  std::optional<double> energy_before_;
  std::chrono::steady_clock::time_point start_;
};

// Copies batches to a GPU while it computes: on a stream of its own, from pinned memory, so that neither host nor
// device waits. On the CPU a batch is handed through.
class DeviceCopier {
 public:
  explicit DeviceCopier(const c10::Device& device);

  // Begins to copy; finish() gives batches in the order in which they were begun.
  void begin(Batch batch);
  // The oldest that was begun: usable by what is queued on the device from now on.
  [[nodiscard]] Batch finish();
  [[nodiscard]] std::size_t begun() const { return copies_.size(); }

 private:
  struct Copy {
    Batch batch;
    std::optional<c10::Event> done;
  };

  c10::Device device_;
  std::optional<c10::Stream> stream_;
  std::vector<Copy> copies_;  // the oldest first
};

}  // namespace silc
