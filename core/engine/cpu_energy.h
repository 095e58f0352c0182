// Energy of the CPU, where the machine counts it (RAPL, by Linux's powercap). No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace silc {

// What this process took of the energy that the machine's processor packages and memory used since the meter was made.
// The counters are the whole machine's: the process is given its share of all CPU time that was spent meanwhile, idling
// cores included, so that the shares of all processes add up to the whole. Linux lets root read the counters, and those
// whom it allows (/sys/class/powercap/intel-rapl:*/energy_uj; AMD's have the same names).
class CpuEnergyMeter {
 public:
  struct Sources {
    std::filesystem::path powercap = "/sys/class/powercap";
    std::filesystem::path stat = "/proc/stat";
  };
  explicit CpuEnergyMeter(const Sources& sources);
  CpuEnergyMeter() : CpuEnergyMeter(Sources{}) {}

  // Takes what was used since the last look at the counters. They run over after some minutes under load, so they are
  // to be looked at more often.
  void update();

  // Joules up to the last update; nothing where the machine does not tell.
  [[nodiscard]] std::optional<double> joules() const;

 private:
  struct Counter {
    std::filesystem::path file;
    double range = 0;  // joules after which it begins anew
    double last = 0;
  };

  std::filesystem::path stat_;
  std::vector<Counter> counters_;
  double busy_seconds_ = 0;  // of all CPUs, at the last update
  double own_seconds_ = 0;
  double joules_ = 0;
};

}  // namespace silc
