// What the process has used so far, as the operating system counts it. No LibTorch.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

namespace silc {

// Of the whole process: user and system CPU seconds of all threads.
double process_core_seconds();
int64_t process_peak_memory();  // greatest resident set, bytes

// What a GPU was occupied with.
struct DeviceCost {
  double seconds = 0;            // of wall time, times devices (one): as GPU hours are counted
  int64_t peak_memory = 0;       // bytes that LibTorch's allocator held at most
  std::optional<double> energy;  // joules; not known where several cells share the GPU, or it does not count

  // Sums times and energy, which is not known where one of the two is not; keeps the greater peak.
  DeviceCost& operator+=(const DeviceCost& other);
  // Takes times and energy away; the peak stays.
  DeviceCost& operator-=(const DeviceCost& other);
};

// Cost of a stretch of work.
struct Cost {
  double core_seconds = 0;
  double seconds = 0;
  int64_t peak_memory = 0;                          // bytes
  std::optional<DeviceCost> device = std::nullopt;  // none on the CPU
  std::optional<double> cpu_energy = std::nullopt;  // joules (engine/cpu_energy.h)

  // Sums times and energy, which is not known where that of one which took time is not; keeps the greater peak.
  Cost& operator+=(const Cost& other);
  // Takes times and energy away; peaks stay.
  Cost& operator-=(const Cost& other);
};

// What not every machine tells, as metrics.json and `checkpointed` events have it: "device_seconds",
// "device_peak_memory" and "energy" of a GPU, "cpu_energy". What is not known is left out.
void write_measured(const Cost& cost, nlohmann::json& to);
void read_measured(const nlohmann::json& from, Cost& cost);

class Stopwatch {
 public:
  Stopwatch();
  [[nodiscard]] Cost elapsed() const;

 private:
  double core_seconds_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace silc
