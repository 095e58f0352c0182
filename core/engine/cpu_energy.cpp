#include "engine/cpu_energy.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "engine/cost.h"

namespace silc {
namespace {

std::optional<double> read_number(const std::filesystem::path& file) {
  std::ifstream stream(file);
  double number = 0;
  if (stream >> number) return number;
  return std::nullopt;
}

std::optional<double> read_joules(const std::filesystem::path& file) {
  const auto microjoules = read_number(file);
  return microjoules ? std::optional(*microjoules * 1e-6) : std::nullopt;
}

// Packages (intel-rapl:0), and the memory below them (intel-rapl:0:2); cores and the like are parts of their package,
// and psys counts all once more.
bool is_counted(const std::filesystem::path& zone) {
  std::string name;
  std::ifstream(zone / "name") >> name;
  return name.starts_with("package") || name == "dram";
}

// The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal, …, in ticks. Guests are in user.
double busy_seconds(const std::filesystem::path& stat) {
  std::ifstream stream(stat);
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, waiting = 0, irq = 0, softirq = 0;
  stream >> cpu >> user >> nice >> system >> idle >> waiting >> irq >> softirq;
  return (user + nice + system + irq + softirq) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

CpuEnergyMeter::CpuEnergyMeter(const Sources& sources) : stat_(sources.stat) {
  std::error_code error;
  for (const auto& zone : std::filesystem::directory_iterator(sources.powercap, error)) {
    if (!is_counted(zone.path())) continue;
    const auto now = read_joules(zone.path() / "energy_uj");
    const auto range = read_joules(zone.path() / "max_energy_range_uj");
    if (now && range) counters_.push_back({.file = zone.path() / "energy_uj", .range = *range, .last = *now});
  }
  busy_seconds_ = busy_seconds(stat_);
  own_seconds_ = process_core_seconds();
}

void CpuEnergyMeter::update() {
  if (counters_.empty()) return;
  const double busy = busy_seconds(stat_) - busy_seconds_;
  if (busy <= 0) return;  // less than a tick has passed
  double used = 0;
  for (Counter& counter : counters_) {
    const auto now = read_joules(counter.file);
    if (!now) continue;
    used += *now >= counter.last ? *now - counter.last : *now - counter.last + counter.range;
    counter.last = *now;
  }
  const double own = process_core_seconds();
  joules_ += used * std::min(1.0, (own - own_seconds_) / busy);
  busy_seconds_ += busy;
  own_seconds_ = own;
}

std::optional<double> CpuEnergyMeter::joules() const {
  return counters_.empty() ? std::nullopt : std::optional(joules_);
}

}  // namespace silc
