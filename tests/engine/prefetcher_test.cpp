#include "engine/prefetcher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>

namespace silc {
namespace {

TEST(Prefetcher, HandsOutInOrderWhateverTakesLongest) {
  Prefetcher<int64_t> items(3, 30, 4, 6, [](int64_t index) {
    std::this_thread::sleep_for(std::chrono::milliseconds(index % 4 == 3 ? 3 : 0));
    return index * index;
  });
  for (int64_t index = 3; index < 30; ++index) ASSERT_EQ(items.next(), index * index);
  EXPECT_EQ(items.next(), std::nullopt);
}

TEST(Prefetcher, CarriesAnExceptionToItsPlace) {
  Prefetcher<int64_t> items(0, 5, 2, 3, [](int64_t index) {
    if (index == 1) throw std::runtime_error("item 1 is bad");
    return index;
  });
  EXPECT_EQ(items.next(), 0);
  EXPECT_THROW(items.next(), std::runtime_error);
  EXPECT_EQ(items.next(), 2);
}

TEST(Prefetcher, MakesNoMoreThanItsDepthAhead) {
  std::atomic<int64_t> furthest{0};
  Prefetcher<int64_t> items(0, 1000, 3, 4, [&](int64_t index) {
    int64_t seen = furthest.load();
    while (seen < index && !furthest.compare_exchange_weak(seen, index)) {
    }
    return index;
  });
  for (int64_t taken = 0; taken < 20; ++taken) {
    items.next();
    // Items taken … taken + depth may be in the making once item `taken` is out.
    EXPECT_LE(furthest.load(), taken + 4);
  }
}

TEST(Prefetcher, StopsWithItemsLeft) {
  std::atomic<int> made{0};
  {
    Prefetcher<int> items(0, 1 << 30, 2, 2, [&](int64_t) { return ++made; });
    items.next();
  }
  const int after = made.load();
  EXPECT_LE(after, 4);
}

}  // namespace
}  // namespace silc
