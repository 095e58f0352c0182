#include "engine/data_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

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

TEST(DataOrder, DrawsEachCaption) {
  const DataOrder order(10, 5);
  std::set<int64_t> drawn;
  for (int64_t position = 0; position < 100; ++position) drawn.insert(order.caption_at(position, 3));
  EXPECT_EQ(drawn, (std::set<int64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace silc
