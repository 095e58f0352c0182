#include "schedule/watchdog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <memory>

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr WatchLimits kLimits{.hang_seconds = 10, .memory = 1'000'000'000};

// Looks once a second from `from` to `to`; what it said last.
std::string look_on(Watchdog& dog, const EngineSigns& signs, int from, int to) {
  std::string reason;
  for (int second = from; second <= to && reason.empty(); ++second) reason = dog.look(signs, second).reason;
  return reason;
}

TEST(Watchdog, StopsAnEngineWithoutASignOfLifeAndSaysWhereItWas) {
  Watchdog dog(kLimits);
  const EngineSigns signs{.heartbeats = 7, .events = 3, .memory = 1000, .plugin = "objective \"silc\""};
  EXPECT_EQ(look_on(dog, signs, 1, 10), "");
  EXPECT_EQ(
      look_on(dog, signs, 11, 11),
      "stopped by silc: no sign of life for 10 s in objective \"silc\"; engine.hang_seconds says how long to wait");
}

TEST(Watchdog, TakesAHeartbeatForASignOfLifeAndAnEventToo) {
  Watchdog dog(kLimits);
  EXPECT_EQ(look_on(dog, {.heartbeats = 7, .events = 3, .memory = 0, .plugin = ""}, 1, 9), "");
  EXPECT_EQ(look_on(dog, {.heartbeats = 8, .events = 3, .memory = 0, .plugin = ""}, 10, 18), "");
  EXPECT_EQ(look_on(dog, {.heartbeats = 8, .events = 4, .memory = 0, .plugin = ""}, 19, 27), "");
}

TEST(Watchdog, DoesNotCountTheTimeInWhichSilcItselfWasStopped) {
  Watchdog dog(kLimits);
  const EngineSigns signs{.heartbeats = 7, .events = 3, .memory = 0, .plugin = ""};
  dog.look(signs, 1);
  EXPECT_EQ(dog.look(signs, 5000).reason, "");
}

TEST(Watchdog, GivesAnEngineAMinuteToStart) {
  Watchdog dog(kLimits);
  const EngineSigns signs{.heartbeats = 0, .events = 0, .memory = 0, .plugin = ""};
  EXPECT_EQ(look_on(dog, signs, 1, 60), "");
  EXPECT_NE(look_on(dog, signs, 61, 61), "");
}

TEST(Watchdog, WaitsForEverIfToldSo) {
  Watchdog dog({.hang_seconds = 0, .memory = 0});
  EXPECT_EQ(look_on(dog, {.heartbeats = 7, .events = 3, .memory = 1LL << 50, .plugin = ""}, 1, 100'000), "");
}

TEST(Watchdog, StopsAtOnceAnEngineThatTakesMoreMemoryThanItMay) {
  Watchdog dog(kLimits);
  EXPECT_EQ(dog.look({.heartbeats = 1, .events = 0, .memory = 999'999'999, .plugin = ""}, 1).reason, "");
  const Verdict verdict =
      dog.look({.heartbeats = 2, .events = 0, .memory = 2'500'000'000, .plugin = "objective \"silc\""}, 2);
  EXPECT_THAT(verdict.reason, AllOf(HasSubstr("it took 2.5 GB of memory in objective \"silc\""),
                                    HasSubstr("engine.memory_limit (1 GB)")));
  EXPECT_TRUE(verdict.at_once);
}

TEST(ProcessMemory, CountsWhatAProcessWritesTo) {
  const int64_t before = process_memory(getpid());
  constexpr std::size_t kBytes = 64 << 20;
  const auto memory = std::make_unique<char[]>(kBytes);
  std::memset(memory.get(), 1, kBytes);
  EXPECT_GT(process_memory(getpid()) - before, int64_t{kBytes} * 9 / 10);
  EXPECT_GT(machine_memory(), process_memory(getpid()));
  EXPECT_EQ(process_memory(-1), 0);
}

}  // namespace
}  // namespace silc
