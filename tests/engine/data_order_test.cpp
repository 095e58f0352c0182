#include "engine/data_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "engine/random_streams.h"
#include "silc/error.h"
#include "silc/random.h"

namespace silc {
namespace {

std::vector<int64_t> epoch(const DataOrder& order, int64_t size, int64_t number) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < size; ++i) indices.push_back(order.sample_at(number * size + i));
  return indices;
}

TEST(DataOrder, GivesEverySampleOnceAnEpoch) {
  for (const int64_t size : {1, 2, 3, 5, 16, 17, 1000}) {
    const DataOrder order(size, 7);
    for (int64_t number = 0; number < 3; ++number) {
      std::vector<int64_t> indices = epoch(order, size, number);
      std::sort(indices.begin(), indices.end());
      for (int64_t i = 0; i < size; ++i) ASSERT_EQ(indices[static_cast<size_t>(i)], i) << "size " << size;
    }
  }
}

TEST(DataOrder, DiffersBetweenEpochsAndSeeds) {
  const DataOrder order(100, 7);
  EXPECT_NE(epoch(order, 100, 0), epoch(order, 100, 1));
  EXPECT_NE(epoch(order, 100, 0), epoch(DataOrder(100, 8), 100, 0));
}

TEST(DataOrder, IsAPureFunctionOfSeedAndPosition) {
  EXPECT_EQ(epoch(DataOrder(50, 1), 50, 4), epoch(DataOrder(50, 1), 50, 4));
}

// Where the first sample of an epoch goes, over many epochs: 1000 draws over 10 places have a standard deviation of 9.5
// around 100, and 60 is more than six of them.
TEST(DataOrder, PutsASampleEverywhereEquallyOften) {
  const DataOrder order(10, 5);
  std::vector<int> count(10);
  for (int64_t number = 0; number < 1000; ++number) ++count[static_cast<size_t>(order.sample_at(number * 10))];
  for (const int times : count) EXPECT_NEAR(times, 100, 60);
}

// Shards of different sizes, one of them empty.
std::vector<int64_t> shards_of(int64_t size) {
  std::vector<int64_t> starts = {0, 0};
  for (int64_t i = 1; starts.back() + 5000 + 100 * (i % 7) < size; ++i)
    starts.push_back(starts.back() + 5000 + 100 * (i % 7));
  return starts;
}

TEST(DataOrderOverShards, GivesEverySampleOnceAnEpoch) {
  const int64_t size = 100'003;
  const DataOrder order(size, 7, shards_of(size));
  for (int64_t number = 0; number < 2; ++number) {
    std::vector<int64_t> indices = epoch(order, size, number);
    std::sort(indices.begin(), indices.end());
    for (int64_t i = 0; i < size; ++i) ASSERT_EQ(indices[static_cast<size_t>(i)], i);
  }
}

TEST(DataOrderOverShards, ReadsAFewShardsAtATime) {
  const int64_t size = 400'000;
  const std::vector<int64_t> starts = shards_of(size);
  const DataOrder order(size, 7, starts);
  std::set<int64_t> shards;
  for (int64_t position = 100'000; position < 110'000; ++position)
    shards.insert(std::upper_bound(starts.begin(), starts.end(), order.sample_at(position)) - starts.begin());
  EXPECT_LE(shards.size(), 2U * DataOrder::kWindow / 5000 + 2) << "of " << starts.size();
}

TEST(DataOrderOverShards, TakesTheShardsInAnotherOrderEachEpochAndForEachSeed) {
  const int64_t size = 100'000;
  const auto first = [&](uint64_t seed, int64_t number) {
    return DataOrder(size, seed, shards_of(size)).sample_at(number * size);
  };
  EXPECT_NE(first(1, 0), first(1, 1));
  EXPECT_NE(first(1, 0), first(2, 0));
  EXPECT_EQ(first(1, 5), first(1, 5));
}

TEST(DataOrderOverShards, ShufflesDataOfOneWindowAsAWhole) {
  EXPECT_EQ(epoch(DataOrder(1000, 3, {0, 500}), 1000, 2), epoch(DataOrder(1000, 3), 1000, 2));
}

TEST(DataOrderOverShards, RefusesStartsThatAreNone) {
  EXPECT_THROW(DataOrder(1000, 3, {1, 500}), Error);
  EXPECT_THROW(DataOrder(1000, 3, {0, 500, 400}), Error);
  EXPECT_THROW(DataOrder(1000, 3, {0, 1001}), Error);
}

TEST(DataOrder, DrawsEachCaption) {
  const DataOrder order(10, 5);
  std::set<int64_t> drawn;
  for (int64_t position = 0; position < 100; ++position) drawn.insert(order.caption_at(position, 3));
  EXPECT_EQ(drawn, (std::set<int64_t>{0, 1, 2}));
}

TEST(DataOrder, DrawsEachOfSeveralCaptionsByItself) {
  const DataOrder order(10, 5);
  int same = 0;
  for (int64_t position = 0; position < 1000; ++position) {
    // The first is what a run with a single caption draws.
    EXPECT_EQ(order.caption_at(position, 4, 0), order.caption_at(position, 4));
    if (order.caption_at(position, 4, 1) == order.caption_at(position, 4, 0)) ++same;
  }
  EXPECT_NEAR(same, 250, 82);  // six standard deviations
}

// A changed number here changes the captions of every cell: it goes with a new kEngineVersion.
TEST(DataOrder, DrawsTheFirstCaptionFromItsStreamAndPosition) {
  const DataOrder order(10, 5);
  for (int64_t position = 0; position < 20; ++position) {
    Random random(5, kCaptionStream, static_cast<uint64_t>(position));
    EXPECT_EQ(order.caption_at(position, 4), random.below(4));
  }
}

}  // namespace
}  // namespace silc
