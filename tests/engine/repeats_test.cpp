#include "engine/repeats.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "engine/batches.h"
#include "fakes.h"

namespace silc {
namespace {

Batch batch_of(std::vector<int64_t> samples, const std::vector<std::vector<int64_t>>& captions) {
  std::vector<at::Tensor> rows;
  for (const auto& caption : captions) rows.push_back(at::tensor(caption));
  return {.size = static_cast<int64_t>(samples.size()),
          .views = {},
          .tokens = at::stack(rows),
          .labels = {},
          .samples = std::move(samples)};
}

TEST(Repeats, AreNoneWhereAllDiffer) {
  const Repeats repeats = repeats_in(batch_of({4, 2, 9}, {{1, 2}, {1, 3}, {2, 2}}));
  EXPECT_EQ(repeats.pictures, 0);
  EXPECT_EQ(repeats.captions, 0);
}

TEST(Repeats, AreTheShareOfExamplesThatAnEarlierOneEquals) {
  const Repeats repeats = repeats_in(batch_of({7, 7, 7, 3}, {{1, 2}, {1, 3}, {1, 2}, {1, 4}}));
  EXPECT_EQ(repeats.pictures, 0.5);
  EXPECT_EQ(repeats.captions, 0.25);
}

TEST(Repeats, OfSeveralCaptionsComparesThoseAtTheSamePlace) {
  // Caption by caption: picture 0 has the same caption twice, and pictures 0 and 1 share their second one.
  const Repeats repeats = repeats_in(batch_of({0, 1}, {{5}, {6}, {5}, {5}}));
  EXPECT_EQ(repeats.captions, 0.25);
}

TEST(Repeats, OfBatchesThatAreLargerThanTheDataset) {
  const BatchSource source(
      std::make_shared<testing::FakeDataset>(2), std::make_shared<testing::FakeTokenizer>(), {{.name = "image"}},
      {.batch = 8, .image_size = 4, .context_length = 4, .seed = 1, .dataset_name = "fake", .tokenizer_name = "fake"});
  EXPECT_EQ(repeats_in(source.batch(0)).pictures, 0.75);
  EXPECT_GE(repeats_in(source.batch(0)).captions, 0.5) << "two pictures with two captions each";
}

}  // namespace
}  // namespace silc
