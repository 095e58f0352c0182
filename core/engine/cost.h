// What the process has used so far, as the operating system counts it. No LibTorch.
#pragma once

#include <chrono>
#include <cstdint>

namespace silc {

// Of the whole process: user and system CPU seconds of all threads.
double process_core_seconds();
int64_t process_peak_memory();  // greatest resident set, bytes

// Cost of a stretch of work.
struct Cost {
  double core_seconds = 0;
  double seconds = 0;
  int64_t peak_memory = 0;  // bytes

  // Sums times, keeps the greater peak.
  Cost& operator+=(const Cost& other);
};

class Stopwatch {
 public:
  Stopwatch();
  [[nodiscard]] Cost elapsed() const;

 private:
  double core_seconds_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace silc
