#include "schedule/forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"

namespace silc {
namespace {

using ::testing::ElementsAre;

// One that computes a FLOP, sends a byte and reads a byte of memory in a second.
Device slow_device() {
  Device device;
  device.name = "slow";
  device.bf16_flops = device.fp32_flops = 2;
  device.bf16_mfu = device.fp32_mfu = 0.5;
  device.memory = 100;
  device.memory_bandwidth = 1;
  device.within_node = 1;
  device.between_nodes = 0.5;
  device.per_node = 2;
  return device;
}

// Ten updates of 100 FLOPs on each of two ranks.
CountedTraining training(std::vector<CountedTransfer> transfers, int64_t ranks = 2) {
  CountedTraining counted;
  counted.ranks = ranks;
  counted.steps = 10;
  counted.flops = 10 * 100 * static_cast<double>(ranks);
  counted.precision = "fp32";
  counted.parts = {{.steps = 10, .rank_flops = 100, .input_bytes = 50, .transfers = std::move(transfers)}};
  return counted;
}

ForecastSettings plain() {
  return {.pictures = 8, .checkpoint_interval = 0, .disk = 1, .picture_bytes = 3, .latency = 0, .reserved_memory = 10};
}

TEST(Forecast, OfOneRankIsItsFlopsOverPeakTimesMfu) {
  const Forecast alone = forecast(training({}, 1), slow_device(), plain());
  EXPECT_DOUBLE_EQ(alone.update_seconds, 100);
  EXPECT_DOUBLE_EQ(alone.seconds, 1000);
  EXPECT_DOUBLE_EQ(alone.mfu, 0.5);
  EXPECT_DOUBLE_EQ(alone.pictures_per_second, 0.08);
  EXPECT_DOUBLE_EQ(alone.read_per_second, 0.24);
  EXPECT_DOUBLE_EQ(alone.input_per_second, 0.5);
}

TEST(Forecast, WaitsForWhatALossSends) {
  const Forecast waiting =
      forecast(training({{.after = 30, .bytes = 20, .latencies = 0, .beside = false}}), slow_device(), plain());
  EXPECT_DOUBLE_EQ(waiting.waiting, 20);
  EXPECT_DOUBLE_EQ(waiting.beside, 0);
  EXPECT_DOUBLE_EQ(waiting.update_seconds, 120);
  EXPECT_DOUBLE_EQ(waiting.device_seconds, 2400);
  EXPECT_DOUBLE_EQ(waiting.sent_otherwise, 20);
}

TEST(Forecast, HidesGradientsBehindWhatIsComputedMeanwhile) {
  const Forecast hidden =
      forecast(training({{.after = 60, .bytes = 20, .latencies = 0, .beside = true}}), slow_device(), plain());
  EXPECT_DOUBLE_EQ(hidden.waiting, 0);
  EXPECT_DOUBLE_EQ(hidden.beside, 20);
  const Forecast late = forecast(training({{.after = 60, .bytes = 30, .latencies = 0, .beside = true},
                                           {.after = 70, .bytes = 40, .latencies = 0, .beside = true}}),
                                 slow_device(), plain());
  EXPECT_DOUBLE_EQ(late.waiting, 30) << "the second waits for the first: until 60 + 30 + 40";
  EXPECT_DOUBLE_EQ(late.beside, 40);
  EXPECT_DOUBLE_EQ(late.sent_gradients, 70);
}

TEST(Forecast, SendsAtThePaceOfTheLinksBetweenNodes) {
  EXPECT_DOUBLE_EQ(link_speed(slow_device(), 2), 1);
  EXPECT_DOUBLE_EQ(link_speed(slow_device(), 3), 0.5);
  const Forecast far =
      forecast(training({{.after = 0, .bytes = 20, .latencies = 0, .beside = false}}, 4), slow_device(), plain());
  EXPECT_DOUBLE_EQ(far.waiting, 40);
}

TEST(Forecast, AddsTheLatenciesOfMessages) {
  ForecastSettings settings = plain();
  settings.latency = 1;
  const std::vector<CountedTransfer> two = {{.after = 0, .bytes = 0, .latencies = 3, .beside = false},
                                            {.after = 10, .bytes = 0, .latencies = 1, .beside = false}};
  EXPECT_DOUBLE_EQ(forecast(training(two, 8), slow_device(), settings).waiting, 4);
}

TEST(Forecast, CountsTheTrafficOfTheOptimizer) {
  CountedTraining counted = training({}, 1);
  counted.memory.weights = 4;
  counted.memory.kept = 2;
  EXPECT_DOUBLE_EQ(forecast(counted, slow_device(), plain()).optimizer, 46);
}

TEST(Forecast, AddsCheckpointsAtTheirIntervalAndOneAtTheEnd) {
  ForecastSettings settings = plain();
  settings.checkpoint_interval = 400;
  CountedTraining counted = training({}, 1);
  counted.checkpoint_bytes = 7;
  const Forecast planned = forecast(counted, slow_device(), settings);
  EXPECT_DOUBLE_EQ(planned.checkpoint_seconds, 7);
  EXPECT_DOUBLE_EQ(planned.seconds, 1000 + 3 * 7);
}

TEST(Forecast, SaysWhetherAllFitsWithWhatCudaTakes) {
  CountedTraining counted = training({}, 1);
  counted.memory.peak = 90;
  EXPECT_TRUE(forecast(counted, slow_device(), plain()).fits);
  counted.memory.peak = 91;
  EXPECT_FALSE(forecast(counted, slow_device(), plain()).fits);
}

TEST(Forecast, TriesRecomputationFirstAndThenSmallerChunks) {
  ResolvedCell cell = make_cell("CLIP");
  cell.optimizer.batch = 512;
  cell.engine.ranks = 2;
  EXPECT_THAT(savings(cell), ElementsAre(ElementsAre("engine.recompute=\"blocks\""),
                                         ElementsAre("engine.recompute=\"blocks\"", "engine.chunk=64"),
                                         ElementsAre("engine.recompute=\"blocks\"", "engine.chunk=16")));
  cell.engine.recompute = "blocks";
  cell.engine.chunk = 64;
  EXPECT_THAT(savings(cell), ElementsAre(ElementsAre("engine.chunk=16")));
}

}  // namespace
}  // namespace silc
