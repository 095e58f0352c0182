#include "nn/multi_crop.h"

#include <gtest/gtest.h>

#include "silc/testing/options.h"

namespace silc {
namespace {

constexpr MultiCropOptions kCrops({.global_area = {0.3, 0.9}, .local = {.views = 4, .area = {0.1, 0.2}}});

using Changes = std::map<std::string, OptionValue>;

std::vector<ViewSpec> specs(const Changes& changes = {}, int64_t image_size = 224) {
  return kCrops.specs(testing::defaults_of(changes, kCrops), image_size);
}

TEST(MultiCrop, HasTwoGlobalCropsAndTheLocalOnes) {
  const auto views = specs();
  ASSERT_EQ(views.size(), 3U);
  EXPECT_EQ(views[0].name, "global_1");
  EXPECT_EQ(views[1].name, "global_2");
  EXPECT_EQ(views[1].area, (Pair{0.3, 0.9}));
  EXPECT_EQ(views[2].name, "local");
  EXPECT_EQ(views[2].count, 4);
  EXPECT_EQ(views[2].area, (Pair{0.1, 0.2}));
}

TEST(MultiCrop, LocalCropsAreAsLargeForAPictureAsDinosFor224) {
  EXPECT_EQ(specs()[2].size, 96);
  EXPECT_EQ(specs({}, 336)[2].size, 144);
  EXPECT_EQ(specs({}, 16)[2].size, 16);
  EXPECT_EQ(specs({{"local_size", int64_t{40}}})[2].size, 40);
}

TEST(MultiCrop, LeavesOutLocalCropsThatAreNotWanted) { EXPECT_EQ(specs({{"local_views", int64_t{0}}}).size(), 2U); }

TEST(MultiCrop, ColoursAreThoseOfDino) {
  const auto views = specs();
  EXPECT_EQ(views[0].colours, (Photometric{.jitter = 0.8, .greyscale = 0.2, .blur = 1.0}));
  EXPECT_EQ(views[1].colours, (Photometric{.jitter = 0.8, .greyscale = 0.2, .blur = 0.1, .solarize = 0.2}));
  EXPECT_EQ(views[2].colours, (Photometric{.jitter = 0.8, .greyscale = 0.2, .blur = 0.5}));
  for (const auto& view : specs({{"colours", false}})) EXPECT_EQ(view.colours, Photometric{});
}

TEST(MultiCrop, AllCropsAreMirrored) {
  for (const auto& view : specs()) EXPECT_TRUE(view.flip);
}

}  // namespace
}  // namespace silc
