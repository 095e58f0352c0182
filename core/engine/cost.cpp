#include "engine/cost.h"

#include <sys/resource.h>

#include <algorithm>

namespace silc {
namespace {

rusage usage() {
  rusage result{};
  getrusage(RUSAGE_SELF, &result);
  return result;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

}  // namespace

double process_core_seconds() {
  const rusage now = usage();
  return seconds(now.ru_utime) + seconds(now.ru_stime);
}

int64_t process_peak_memory() { return usage().ru_maxrss * 1024; }

DeviceCost& DeviceCost::operator+=(const DeviceCost& other) {
  seconds += other.seconds;
  peak_memory = std::max(peak_memory, other.peak_memory);
  energy = energy && other.energy ? std::optional(*energy + *other.energy) : std::nullopt;
  return *this;
}

DeviceCost& DeviceCost::operator-=(const DeviceCost& other) {
  seconds -= other.seconds;
  energy = energy && other.energy ? std::optional(*energy - *other.energy) : std::nullopt;
  return *this;
}

void write_measured(const Cost& cost, nlohmann::json& to) {
  if (cost.cpu_energy) to["cpu_energy"] = *cost.cpu_energy;
  if (!cost.device) return;
  to["device_seconds"] = cost.device->seconds;
  to["device_peak_memory"] = cost.device->peak_memory;
  if (cost.device->energy) to["energy"] = *cost.device->energy;
}

void read_measured(const nlohmann::json& from, Cost& cost) {
  if (from.contains("cpu_energy")) cost.cpu_energy = from.value("cpu_energy", 0.0);
  if (!from.contains("device_seconds")) return;
  cost.device = DeviceCost{.seconds = from.value("device_seconds", 0.0),
                           .peak_memory = from.value("device_peak_memory", int64_t{0}),
                           .energy = std::nullopt};
  if (from.contains("energy")) cost.device->energy = from.value("energy", 0.0);
}

Cost& Cost::operator+=(const Cost& other) {
  const double own_energy = cpu_energy.value_or(0), other_energy = other.cpu_energy.value_or(0);
  const bool unknown = (!cpu_energy && core_seconds > 0) || (!other.cpu_energy && other.core_seconds > 0);
  const bool none = !cpu_energy && !other.cpu_energy;
  cpu_energy = unknown || none ? std::nullopt : std::optional(own_energy + other_energy);
  if (device && other.device)
    *device += *other.device;
  else if (other.device)
    device = other.device;
  core_seconds += other.core_seconds;
  seconds += other.seconds;
  peak_memory = std::max(peak_memory, other.peak_memory);
  return *this;
}

Cost& Cost::operator-=(const Cost& other) {
  if (device && other.device) *device -= *other.device;
  if (cpu_energy && other.cpu_energy) *cpu_energy -= *other.cpu_energy;
  core_seconds -= other.core_seconds;
  seconds -= other.seconds;
  return *this;
}

Stopwatch::Stopwatch() : core_seconds_(process_core_seconds()), start_(std::chrono::steady_clock::now()) {}

Cost Stopwatch::elapsed() const {
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start_;
  return {.core_seconds = process_core_seconds() - core_seconds_,
          .seconds = wall.count(),
          .peak_memory = process_peak_memory(),
          .device = std::nullopt,
          .cpu_energy = std::nullopt};
}

}  // namespace silc
