#include "schedule/watchdog.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

namespace silc {

namespace {

constexpr double kLongestGap = 2;     // seconds between two looks
constexpr double kStartSeconds = 60;  // that an engine may take to come to its first plugin

std::string place(const EngineSigns& signs) { return signs.plugin.empty() ? "" : " in " + signs.plugin; }

}  // namespace

Verdict Watchdog::look(const EngineSigns& signs, double now) {
  const bool moved = looked_ == 0 || signs.heartbeats != last_.heartbeats || signs.events != last_.events;
  quiet_ = moved ? 0 : quiet_ + std::min(now - looked_, kLongestGap);
  looked_ = now;
  last_ = signs;
  if (limits_.memory > 0 && signs.memory > limits_.memory)
    return {
        fmt::format("stopped by silc: it took {:.3g} GB of memory{}, more than engine.memory_limit ({:.3g} GB) "
                    "allows; a smaller optimizer.batch or model needs less",
                    1e-9 * static_cast<double>(signs.memory), place(signs), 1e-9 * static_cast<double>(limits_.memory)),
        true};
  const double patience = signs.heartbeats == 0 ? std::max(limits_.hang_seconds, kStartSeconds) : limits_.hang_seconds;
  if (limits_.hang_seconds > 0 && quiet_ >= patience)
    return {fmt::format("stopped by silc: no sign of life for {:.4g} s{}; engine.hang_seconds says how long to wait",
                        patience, place(signs)),
            false};
  return {};
}

int64_t process_memory(int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  int64_t size = 0, resident = 0, shared = 0;
  if (!(file >> size >> resident >> shared)) return 0;
  return (resident - shared) * sysconf(_SC_PAGESIZE);
}

int64_t machine_memory() {
  const int64_t machine = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  int64_t group = 0;
  // "max" where there is no limit, which does not read as a number.
  if (std::ifstream file("/sys/fs/cgroup/memory.max"); file >> group && group > 0) return std::min(machine, group);
  return machine;
}

}  // namespace silc
