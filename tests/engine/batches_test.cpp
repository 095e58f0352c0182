#include "engine/batches.h"

#include <gtest/gtest.h>

#include <tuple>

#include "engine/prefetcher.h"
#include "engine/views.h"
#include "fakes.h"
#include "silc/error.h"

namespace silc {
namespace {

using testing::FakeDataset;
using testing::FakeTokenizer;

BatchSource source(std::shared_ptr<FakeDataset> dataset = std::make_shared<FakeDataset>(7),
                   std::vector<ViewSpec> views = {{.name = "global", .count = 2, .area = {0.4, 1.0}, .flip = true}}) {
  return BatchSource(std::move(dataset), std::make_shared<FakeTokenizer>(), std::move(views),
                     {.batch = 3,
                      .image_size = 8,
                      .context_length = 4,
                      .seed = 5,
                      .total_steps = 10,
                      .dataset_name = "fake_data",
                      .tokenizer_name = "fake_words"});
}

void expect_equal(const Batch& a, const Batch& b) {
  EXPECT_TRUE(torch::equal(a.tokens, b.tokens));
  EXPECT_TRUE(torch::equal(a.labels, b.labels));
  ASSERT_EQ(a.views.size(), b.views.size());
  for (const auto& [name, view] : a.views) EXPECT_TRUE(torch::equal(view, b.views.at(name)));
}

TEST(BatchSource, GivesTheShapesThatObjectivesAreTold) {
  const Batch batch = source().batch(0);
  EXPECT_EQ(batch.size, 3);
  EXPECT_EQ(batch.views.at("global").sizes(), (at::IntArrayRef{6, 3, 8, 8}));
  EXPECT_EQ(batch.tokens.sizes(), (at::IntArrayRef{3, 4}));
  EXPECT_EQ(batch.labels.sizes(), (at::IntArrayRef{3}));
}

TEST(BatchSource, LaysOutViewByView) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  // The whole picture twice: both views of a picture are the same.
  const Batch batch = source(dataset, {{.name = "whole", .count = 2}}).batch(1);
  const at::Tensor views = batch.views.at("whole");
  EXPECT_TRUE(torch::equal(views.narrow(0, 0, 3), views.narrow(0, 3, 3)));
  EXPECT_FALSE(torch::equal(views[0], views[1]));
}

TEST(BatchSource, DrawsEachViewAfresh) {
  const at::Tensor views = source().batch(0).views.at("global");
  EXPECT_FALSE(torch::equal(views[0], views[3]));
}

TEST(BatchSource, GivesTheSameBatchesForAnyNumberOfThreads) {
  const BatchSource batches = source();
  const auto make = [&](int64_t step) { return batches.batch(step); };
  Prefetcher<Batch> one(0, 6, 1, 2, make);
  Prefetcher<Batch> three(0, 6, 3, 4, make);
  for (int step = 0; step < 6; ++step) expect_equal(*one.next(), *three.next());
}

TEST(BatchSource, LeavesOutViewsThatAreNotNeededYet) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  const ViewSpec always{.name = "global", .area = {0.4, 1.0}};
  const ViewSpec late{.name = "late", .size = 4, .area = {0.1, 0.4}, .from = 0.5};
  const BatchSource batches = source(dataset, {late, always});
  EXPECT_FALSE(batches.batch(4).views.contains("late"));
  EXPECT_TRUE(batches.batch(5).views.contains("late"));
}

TEST(BatchSource, NamesTheDatasetOfABrokenSample) {
  const auto dataset = std::make_shared<FakeDataset>(7);
  dataset->broken = 4;
  const BatchSource batches = source(dataset);
  try {
    for (int step = 0; step < 3; ++step) std::ignore = batches.batch(step);
    FAIL() << "sample 4 was read";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "dataset \"fake_data\": picture 4 is cut short");
  }
}

TEST(BatchSource, RefusesAnEmptyDataset) { EXPECT_THROW(source(std::make_shared<FakeDataset>(0)), Error); }

TEST(BatchSource, RefusesTwoViewsOfOneName) {
  EXPECT_THROW(source(std::make_shared<FakeDataset>(7), {{.name = "a"}, {.name = "a"}}), Error);
}

}  // namespace
}  // namespace silc
