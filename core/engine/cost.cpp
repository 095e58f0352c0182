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

void write_device_cost(const std::optional<DeviceCost>& cost, nlohmann::json& to) {
  if (!cost) return;
  to["device_seconds"] = cost->seconds;
  to["device_peak_memory"] = cost->peak_memory;
  if (cost->energy) to["energy"] = *cost->energy;
}

std::optional<DeviceCost> read_device_cost(const nlohmann::json& from) {
  if (!from.contains("device_seconds")) return std::nullopt;
  DeviceCost cost{.seconds = from.value("device_seconds", 0.0),
                  .peak_memory = from.value("device_peak_memory", int64_t{0}),
                  .energy = std::nullopt};
  if (from.contains("energy")) cost.energy = from.value("energy", 0.0);
  return cost;
}

Cost& Cost::operator+=(const Cost& other) {
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
          .device = std::nullopt};
}

}  // namespace silc
