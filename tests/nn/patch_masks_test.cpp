#include "nn/patch_masks.h"

#include <algorithm>

#include "tests/nn/fixture.h"

namespace silc {
namespace {

constexpr PatchGrid kGrid = {.height = 14, .width = 14};
constexpr int64_t kPatches = 14 * 14;

Progress progress_of(int64_t step) { return {.step = step, .fraction = 0, .total_steps = 100, .seed = 5}; }

std::vector<int64_t> masked(const at::Tensor& masks) {
  const auto counts = masks.sum(1);
  return {counts.data_ptr<int64_t>(), counts.data_ptr<int64_t>() + counts.numel()};
}

TEST(BlockMasks, HideNearlyAsManyPatchesAsAskedForAndNeverMore) {
  const std::vector<int64_t> counts = {0, 20, 50, 98};
  const auto hidden = masked(block_masks(kGrid, counts, 16, progress_of(1)));
  for (std::size_t s = 0; s < counts.size(); ++s) {
    EXPECT_LE(hidden[s], counts[s]);
    EXPECT_GE(hidden[s], counts[s] / 2);
  }
}

// A block of 16 patches or more in a mask of 30 has neighbours; as many patches drawn one by one would mostly be alone.
TEST(BlockMasks, HideNeighbours) {
  const auto mask = block_masks(kGrid, std::vector<int64_t>{30}, 16, progress_of(1)).view({14, 14});
  const auto pairs = (mask.slice(1, 1) & mask.slice(1, 0, -1)).sum() + (mask.slice(0, 1) & mask.slice(0, 0, -1)).sum();
  EXPECT_GT(pairs.item<int64_t>(), 30);
}

TEST(BlockMasks, AreTheSameWhenAStepIsTakenAgainAndOthersInTheNext) {
  const std::vector<int64_t> counts(4, 60);
  const auto masks = block_masks(kGrid, counts, 4, progress_of(1));
  EXPECT_TRUE(at::equal(masks, block_masks(kGrid, counts, 4, progress_of(1))));
  EXPECT_FALSE(at::equal(masks, block_masks(kGrid, counts, 4, progress_of(2))));
  EXPECT_FALSE(at::equal(masks[0], masks[1]));
}

TEST(BlockMasks, FitGridsThatAreNotSquareOrHaveRoomForNoBlock) {
  EXPECT_EQ(block_masks({.height = 3, .width = 8}, std::vector<int64_t>{10}, 1, progress_of(1)).sizes(),
            (at::IntArrayRef{1, 24}));
  EXPECT_EQ(masked(block_masks({.height = 1, .width = 1}, std::vector<int64_t>{1}, 1, progress_of(1)))[0], 0);
}

TEST(RandomMasks, HideExactlyTheirPartOfEverySample) {
  for (const auto count : masked(random_masks(5, kPatches, 0.75, progress_of(3)))) EXPECT_EQ(count, 147);
}

TEST(RandomMasks, HideEveryPatchEquallyOften) {
  // 400 draws of a probability of one half: five standard deviations are 0.125.
  const auto mean = random_masks(400, 16, 0.5, progress_of(3)).to(at::kDouble).mean(0);
  EXPECT_LT((mean - 0.5).abs().max().item<double>(), 0.125);
}

TEST(MaskCounts, IndependentOnesMaskSomeSamplesWithinTheRatio) {
  const auto counts = independent_mask_counts(1000, 100, 0.5, {0.1, 0.5}, progress_of(1));
  const auto none = std::count(counts.begin(), counts.end(), 0);
  EXPECT_NEAR(none, 500, 80);  // five standard deviations
  for (const auto count : counts) EXPECT_TRUE(count == 0 || (count >= 10 && count < 50)) << count;
}

TEST(MaskCounts, StratifiedOnesMaskExactlyTheirPartOfTheBatchEvenly) {
  auto counts = stratified_mask_counts(8, 100, 0.5, {0.1, 0.5}, progress_of(1));
  EXPECT_FALSE(std::is_sorted(counts.rbegin(), counts.rend()));
  std::sort(counts.begin(), counts.end());
  for (int i = 0; i < 4; ++i) EXPECT_EQ(counts[i], 0);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(counts[4 + i] >= 10 + 10 * i && counts[4 + i] <= 20 + 10 * i) << i;
}

TEST(PatchMasks, KnowWhereTheyHideAndHowMuchEachSampleCounts) {
  const auto mask = at::tensor({0, 1, 0, 0, 0, 0, 1, 0, 1}, at::kInt).to(at::kBool).view({3, 3});
  Batch batch;
  PatchMasks::of(mask).put_into(batch);
  const auto masks = PatchMasks::in(batch);
  EXPECT_TRUE(at::equal(masks.hidden, mask));
  EXPECT_TRUE(at::equal(masks.places, at::tensor({1, 6, 8}, at::kLong)));
  EXPECT_TRUE(at::allclose(masks.weights, at::tensor({1. / 3, 1. / 6, 1. / 6}, at::kDouble), 1e-15));
}

TEST(MaskedPatches, AreTheHiddenOnesInOrder) {
  const auto patches = at::arange(12, at::kFloat).view({2, 3, 2});
  const auto mask = at::tensor({0, 1, 0, 1, 0, 1}, at::kInt).to(at::kBool).view({2, 3});
  EXPECT_TRUE(at::equal(masked_patches(patches, PatchMasks::of(mask)),
                        at::tensor({2.f, 3.f, 6.f, 7.f, 10.f, 11.f}).view({3, 2})));
}

}  // namespace
}  // namespace silc
