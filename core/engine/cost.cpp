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

Cost& Cost::operator+=(const Cost& other) {
  core_seconds += other.core_seconds;
  seconds += other.seconds;
  peak_memory = std::max(peak_memory, other.peak_memory);
  return *this;
}

Stopwatch::Stopwatch() : core_seconds_(process_core_seconds()), start_(std::chrono::steady_clock::now()) {}

Cost Stopwatch::elapsed() const {
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start_;
  return {.core_seconds = process_core_seconds() - core_seconds_,
          .seconds = wall.count(),
          .peak_memory = process_peak_memory()};
}

}  // namespace silc
