#include "engine/nvml.h"

#include <dlfcn.h>

namespace silc {
namespace {

// Of nvml.h, which is stable: functions give 0 for success, handles are pointers.
using Handle = void*;
using Init = int (*)();
using HandleByBusId = int (*)(const char*, Handle*);
using TotalEnergy = int (*)(Handle, unsigned long long*);  // millijoules
using MigMode = int (*)(Handle, unsigned*, unsigned*);     // now, and after the next reset; 1: divided

struct Library {
  HandleByBusId handle_by_bus_id = nullptr;
  TotalEnergy total_energy = nullptr;
  MigMode mig_mode = nullptr;  // drivers before MIG have none

  Library() {
    void* library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    const auto init = reinterpret_cast<Init>(dlsym(library, "nvmlInit_v2"));
    if (init == nullptr || init() != 0) return;
    handle_by_bus_id = reinterpret_cast<HandleByBusId>(dlsym(library, "nvmlDeviceGetHandleByPciBusId_v2"));
    total_energy = reinterpret_cast<TotalEnergy>(dlsym(library, "nvmlDeviceGetTotalEnergyConsumption"));
    mig_mode = reinterpret_cast<MigMode>(dlsym(library, "nvmlDeviceGetMigMode"));
  }
};

}  // namespace

std::optional<double> gpu_energy(const std::string& id) {
  static const Library library;  // stays loaded as long as the process runs
  if (library.handle_by_bus_id == nullptr || library.total_energy == nullptr) return std::nullopt;
  Handle handle = nullptr;
  unsigned long long millijoules = 0;
  if (library.handle_by_bus_id(id.c_str(), &handle) != 0) return std::nullopt;
  unsigned divided = 0;
  unsigned after_reset = 0;
  if (library.mig_mode != nullptr && library.mig_mode(handle, &divided, &after_reset) == 0 && divided != 0)
    return std::nullopt;
  if (library.total_energy(handle, &millijoules) != 0) return std::nullopt;
  return static_cast<double>(millijoules) * 1e-3;
}

}  // namespace silc
