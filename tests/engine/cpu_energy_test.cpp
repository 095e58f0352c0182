#include "engine/cpu_energy.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "engine/cost.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

// A machine of one package with its memory, whose counters and CPU time the test sets.
class CpuEnergy : public ::testing::Test {
 protected:
  CpuEnergy() {
    zone("intel-rapl:0", "package-0", 1000);
    zone("intel-rapl:0:0", "core", 1000);
    zone("intel-rapl:0:2", "dram", 1000);
    zone("intel-rapl:1", "psys", 1000);
    set("intel-rapl:0", 100);
    set("intel-rapl:0:0", 50);
    set("intel-rapl:0:2", 10);
    set("intel-rapl:1", 500);
    busy(0);
  }

  void zone(const std::string& path, const std::string& name, double range) {
    std::filesystem::create_directories(powercap_ / path);
    std::ofstream(powercap_ / path / "name") << name << "\n";
    std::ofstream(powercap_ / path / "max_energy_range_uj") << static_cast<int64_t>(range * 1e6) << "\n";
  }

  void set(const std::string& path, double joules) {
    std::ofstream(powercap_ / path / "energy_uj") << static_cast<int64_t>(joules * 1e6) << "\n";
  }

  void busy(double seconds) {
    const auto ticks = static_cast<int64_t>(seconds * static_cast<double>(sysconf(_SC_CLK_TCK)));
    std::ofstream(stat_) << "cpu  " << ticks << " 0 0 999999 888888 0 0 0 0 0\ncpu0 7 7 7 7 7 7 7 7 7 7\n";
  }

  // Works for that long on one core.
  static void work(double seconds) {
    const double until = process_core_seconds() + seconds;
    while (process_core_seconds() < until) continue;
  }

  CpuEnergyMeter meter() const { return CpuEnergyMeter({.powercap = powercap_, .stat = stat_}); }

  TemporaryFolder folder_;
  std::filesystem::path powercap_ = folder_ / "powercap";
  std::filesystem::path stat_ = folder_ / "stat";
};

TEST_F(CpuEnergy, OfPackagesAndMemoryIsSharedByCpuTime) {
  CpuEnergyMeter meter = this->meter();
  work(0.1);
  set("intel-rapl:0", 130);
  set("intel-rapl:0:0", 70);
  set("intel-rapl:0:2", 20);
  set("intel-rapl:1", 600);
  busy(0.4);
  meter.update();
  // A quarter of 30 + 10 J; the work takes a little longer than it was asked to.
  EXPECT_NEAR(*meter.joules(), 10, 2);
  EXPECT_GE(*meter.joules(), 10);
}

TEST_F(CpuEnergy, IsNoMoreThanAllThatWasUsed) {
  CpuEnergyMeter meter = this->meter();
  work(0.1);
  set("intel-rapl:0", 104);
  busy(0.05);
  meter.update();
  EXPECT_DOUBLE_EQ(*meter.joules(), 4);
}

TEST_F(CpuEnergy, GoesOnWhereACounterBeginsAnew) {
  set("intel-rapl:0", 990);
  CpuEnergyMeter meter = this->meter();
  work(0.05);
  set("intel-rapl:0", 20);
  busy(0.01);
  meter.update();
  EXPECT_DOUBLE_EQ(*meter.joules(), 30);
}

TEST_F(CpuEnergy, KeepsWhatWasUsedWithinATickForTheNextLook) {
  CpuEnergyMeter meter = this->meter();
  work(0.05);
  set("intel-rapl:0", 101);
  meter.update();
  EXPECT_EQ(*meter.joules(), 0);
  set("intel-rapl:0", 103);
  busy(0.02);
  meter.update();
  EXPECT_DOUBLE_EQ(*meter.joules(), 3);
}

TEST_F(CpuEnergy, IsNotKnownWhereTheMachineHasNoCounters) {
  std::filesystem::remove_all(powercap_);
  CpuEnergyMeter meter = this->meter();
  meter.update();
  EXPECT_FALSE(meter.joules());
}

TEST_F(CpuEnergy, IsNotKnownWhereCountersMustNotBeRead) {
  for (const char* zone : {"intel-rapl:0", "intel-rapl:0:2"}) std::filesystem::remove(powercap_ / zone / "energy_uj");
  EXPECT_FALSE(meter().joules());
}

TEST(CostOfEnergy, IsSummedAndNotKnownWhereAPartIsNot) {
  Cost none, known{.core_seconds = 1, .cpu_energy = 5}, unknown{.core_seconds = 1};
  none += known;
  EXPECT_EQ(none.cpu_energy, 5);
  none += known;
  EXPECT_EQ(none.cpu_energy, 10);
  none -= known;
  EXPECT_EQ(none.cpu_energy, 5);
  none += unknown;
  EXPECT_FALSE(none.cpu_energy);
}

}  // namespace
}  // namespace silc
