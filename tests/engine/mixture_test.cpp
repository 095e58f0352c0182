#include "engine/mixture.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/data_order.h"
#include "fakes.h"
#include "silc/error.h"

namespace silc {
namespace {

// Samples whose caption says where they are from.
class Source : public Dataset {
 public:
  Source(std::string name, int64_t size, std::vector<int64_t> shards = {},
         std::vector<std::string> classes = {"a", "b", "c"})
      : name_(std::move(name)), size_(size), shards_(std::move(shards)), classes_(std::move(classes)) {}
  int64_t size() const override { return size_; }
  Sample sample(int64_t index) const override {
    Sample sample;
    sample.image = {.width = 1, .height = 1, .rgb = {0, 0, 0}};
    sample.captions = {name_, std::to_string(index)};
    sample.label = 1;
    return sample;
  }
  std::vector<std::string> classes() const override { return classes_; }
  std::vector<int64_t> shard_starts() const override { return shards_; }
  std::string fingerprint() const override { return name_; }

 private:
  std::string name_;
  int64_t size_;
  std::vector<int64_t> shards_;
  std::vector<std::string> classes_;
};

// How often each sample of each source comes in [begin, end).
std::map<std::string, std::map<std::string, int>> counts(const Mixture& mixture, int64_t begin, int64_t end) {
  std::map<std::string, std::map<std::string, int>> counts;
  for (int64_t i = begin; i < end; ++i) {
    const std::vector<std::string> captions = mixture.captions(i);
    ++counts[captions[0]][captions[1]];
  }
  return counts;
}

TEST(Mixture, GivesEachSourceItsShareExactly) {
  const Mixture mixture(
      {{std::make_shared<Source>("large", 90), "large", 3}, {std::make_shared<Source>("small", 7), "small", 1}});
  EXPECT_EQ(mixture.size(), 120);
  EXPECT_EQ(mixture.share(0), 90);
  EXPECT_EQ(mixture.share(1), 30);
  auto seen = counts(mixture, 0, 120);
  EXPECT_EQ(seen["large"].size(), 90U) << "every one";
  EXPECT_EQ(seen["small"].size(), 7U);
  for (const auto& [sample, times] : seen["small"]) EXPECT_NEAR(times, 30.0 / 7, 1) << sample;
}

TEST(Mixture, ShowsAllOfASourceThatHasMoreThanItsShareOfTheOther) {
  const Mixture mixture(
      {{std::make_shared<Source>("large", 100), "large", 1}, {std::make_shared<Source>("small", 10), "small", 9}});
  EXPECT_EQ(mixture.share(0), 100);
  EXPECT_EQ(mixture.share(1), 900);
}

TEST(Mixture, KeepsTheSharesInEverySliceOfShards) {
  std::vector<int64_t> shards;
  for (int64_t i = 0; i < 10; ++i) shards.push_back(i * 1000);
  const Mixture mixture({{std::make_shared<Source>("sharded", 10'000, shards), "sharded", 3},
                         {std::make_shared<Source>("plain", 50), "plain", 1}});
  const std::vector<int64_t> starts = mixture.shard_starts();
  ASSERT_EQ(starts.size(), 10U);
  for (std::size_t slice = 0; slice < starts.size(); ++slice) {
    const int64_t end = slice + 1 < starts.size() ? starts[slice + 1] : mixture.size();
    int64_t sharded = 0;
    auto seen = counts(mixture, starts[slice], end);
    for (const auto& [sample, times] : seen["sharded"]) sharded += times;
    EXPECT_NEAR(static_cast<double>(sharded) / static_cast<double>(end - starts[slice]), 0.75, 1e-3);
  }
}

TEST(Mixture, HasTheClassesThatAllSourcesHave) {
  const auto source = [](std::vector<std::string> classes) {
    return std::make_shared<Source>("s", 5, std::vector<int64_t>{}, classes);
  };
  const Mixture same({{source({"a", "b"}), "s", 1}, {source({"a", "b"}), "s", 1}});
  EXPECT_EQ(same.classes().size(), 2U);
  EXPECT_EQ(same.sample(0).label, 1);
  const Mixture other({{source({"a", "b"}), "s", 1}, {source({"b", "a"}), "s", 1}});
  EXPECT_TRUE(other.classes().empty());
  EXPECT_EQ(other.sample(0).label, kNoLabel);
}

TEST(Mixture, NamesTheSourceOfABrokenSample) {
  const auto broken = std::make_shared<testing::FakeDataset>(4);
  broken->broken = 2;
  const Mixture mixture({{std::make_shared<Source>("good", 4), "good", 1}, {broken, "fake_data", 1}});
  try {
    for (int64_t i = 0; i < mixture.size(); ++i) static_cast<void>(mixture.sample(i));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "dataset \"fake_data\": picture 2 is cut short");
  }
}

TEST(Mixture, RefusesASourceWithoutSamples) {
  EXPECT_THROW(Mixture({{std::make_shared<Source>("none", 0), "none", 1}}), Error);
}

}  // namespace
}  // namespace silc
