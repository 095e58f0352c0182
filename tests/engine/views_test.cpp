#include "engine/views.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

namespace silc {
namespace {

Image noise(int64_t width, int64_t height) {
  Image image{.width = width, .height = height, .rgb = {}};
  for (int64_t i = 0; i < width * height * 3; ++i) image.rgb.push_back(static_cast<uint8_t>(i * 37 % 256));
  return image;
}

at::Tensor cut(const Image& image, const Crop& crop, int64_t size) {
  at::Tensor view = torch::empty({3, size, size});
  cut_view(image, crop, size, Interpolation::bilinear, view.mutable_data_ptr<float>());
  return view;
}

at::Tensor resized_by_aten(const Image& image, const Crop& crop, int64_t size) {
  const at::Tensor pixels = torch::tensor(at::ArrayRef<uint8_t>(image.rgb))
                                .reshape({image.height, image.width, 3})
                                .permute({2, 0, 1})
                                .to(torch::kFloat)
                                .narrow(1, crop.y, crop.height)
                                .narrow(2, crop.x, crop.width);
  return at::_upsample_bilinear2d_aa(pixels.unsqueeze(0), {size, size}, false)[0] / 127.5 - 1;
}

// Sums of up to a few dozen fp32 products of weights below 1 and values up to 255, in another order: 1e-6 relative, so
// 1e-5 on a scale of 2 has room.
constexpr double kTolerance = 1e-5;

TEST(CutView, AgreesWithPyTorchsAntialiasedResizing) {
  // tests/reference/engine.py
  const at::Tensor expected =
      torch::tensor({0.226778746,  0.0603921413, -0.105994344, 0.311484694,  0.14509809,    -0.0212884545, 0.396190524,
                     0.22980392,   0.0634174347, -0.343529403, 0.0996078253, 0.184201717,   -0.258823514,  0.184313774,
                     0.268907666,  -0.174117625, 0.269019604,  0.353613377,  -0.0533332825, -0.363137245,  0.187562943,
                     0.0313725471, -0.278431356, 0.272269011,  0.116078496,  -0.193725467,  0.35697484})
          .to(torch::kFloat)
          .reshape({3, 3, 3});
  const at::Tensor view = cut(noise(7, 5), {.x = 1, .y = 0, .width = 6, .height = 4}, 3);
  EXPECT_TRUE(torch::allclose(view, expected, 0, kTolerance)) << view;
}

TEST(CutView, AgreesWithAtenForEveryScale) {
  const Image image = noise(61, 47);
  for (const auto& [width, height] : {std::pair{61, 47}, {30, 47}, {13, 9}, {1, 1}, {61, 2}}) {
    const Crop crop{.x = 61 - width, .y = (47 - height) / 2, .width = width, .height = height};
    for (const int64_t size : {1, 8, 33, 64})
      EXPECT_TRUE(torch::allclose(cut(image, crop, size), resized_by_aten(image, crop, size), 0, kTolerance))
          << width << " x " << height << " to " << size;
  }
}

TEST(CutView, LeavesPixelsAsTheyAreAtTheirOwnSize) {
  const Image image = noise(9, 9);
  const at::Tensor view = cut(image, {.x = 0, .y = 0, .width = 9, .height = 9}, 9);
  EXPECT_FLOAT_EQ(view[1][2][3].item<float>(), static_cast<float>(image.rgb[(2 * 9 + 3) * 3 + 1]) / 127.5F - 1);
}

TEST(CutView, MirrorsWhereAsked) {
  const Image image = noise(20, 20);
  Crop crop{.x = 2, .y = 3, .width = 15, .height = 10};
  const at::Tensor plain = cut(image, crop, 8);
  crop.flip = true;
  EXPECT_TRUE(torch::equal(cut(image, crop, 8), plain.flip(2)));
}

TEST(CutEvaluated, SquashesTheWholePicture) {
  const Image image = noise(20, 12);
  at::Tensor view = torch::empty({3, 8, 8});
  cut_evaluated(image, {}, 8, view.mutable_data_ptr<float>());
  EXPECT_TRUE(torch::equal(view, cut(image, {.x = 0, .y = 0, .width = 20, .height = 12}, 8)));
}

TEST(CutEvaluated, TakesTheCentreOnceTheShorterSideFits) {
  const ImageTransform transform{.resize = ImageTransform::Resize::shortest};
  for (const auto& [width, height] : {std::pair<int64_t, int64_t>{20, 12}, {12, 20}, {12, 12}}) {
    const Image image = noise(width, height);
    at::Tensor view = torch::empty({3, 12, 12});
    cut_evaluated(image, transform, 12, view.mutable_data_ptr<float>());
    EXPECT_TRUE(
        torch::equal(view, cut(image, {.x = (width - 12) / 2, .y = (height - 12) / 2, .width = 12, .height = 12}, 12)))
        << "nothing to resize";
  }
}

TEST(CutEvaluated, MakesTheShorterSideTheModelsSize) {
  // 30 × 20 → int(10 · 30 / 20) = 15 columns, of which the middle 10 from int(round(2.5)) = 2 on.
  const Image image = noise(30, 20);
  at::Tensor view = torch::empty({3, 10, 10});
  cut_evaluated(image, {.resize = ImageTransform::Resize::shortest}, 10, view.mutable_data_ptr<float>());
  at::Tensor whole = torch::empty({3, 10, 15});
  resample(image, {.begin = 0, .length = 30, .size = 15, .first = 0, .count = 15},
           {.begin = 0, .length = 20, .size = 10, .first = 0, .count = 10}, Interpolation::bilinear, false,
           whole.mutable_data_ptr<float>());
  EXPECT_TRUE(torch::equal(view, whole.narrow(2, 2, 10)));
}

TEST(GreatestReduction, NeverMakesACropSmallerThanItsView) {
  EXPECT_EQ(greatest_reduction({.width = 448, .height = 448}, 224), 2);
  EXPECT_EQ(greatest_reduction({.width = 447, .height = 448}, 224), 1);
  EXPECT_EQ(greatest_reduction({.width = 5000, .height = 4000}, 224), 8);
  EXPECT_EQ(greatest_reduction({.width = 10, .height = 10}, 224), 1);
}

at::Tensor cut_mask(const Image& image, const std::vector<uint8_t>& mask, const Crop& crop, int64_t size) {
  at::Tensor classes = torch::empty({size, size}, torch::kByte);
  cut_mask(mask, image.width, crop, size, classes.mutable_data_ptr<uint8_t>());
  return classes;
}

TEST(CutMask, TakesTheNearestPixelAsAtenDoes) {
  const Image image = noise(61, 47);
  std::vector<uint8_t> mask;
  for (size_t i = 0; i < 61 * 47; ++i) mask.push_back(static_cast<uint8_t>(i * 131 % 251));
  const at::Tensor whole = torch::tensor(at::ArrayRef<uint8_t>(mask)).reshape({1, 1, 47, 61});
  for (const auto& [width, height] : {std::pair{61, 47}, {30, 46}, {13, 9}, {1, 1}, {61, 2}}) {
    const Crop crop{.x = 61 - width, .y = (47 - height) / 2, .width = width, .height = height};
    const at::Tensor part = whole.narrow(2, crop.y, crop.height).narrow(3, crop.x, crop.width);
    for (const int64_t size : {1, 8, 33, 64})
      EXPECT_TRUE(torch::equal(cut_mask(image, mask, crop, size),
                               at::_upsample_nearest_exact2d(part.contiguous(), {size, size})[0][0]))
          << width << " x " << height << " to " << size;
  }
}

TEST(CutMask, IsMirroredWithItsPicture) {
  const Image image = noise(20, 20);
  std::vector<uint8_t> mask;
  for (size_t i = 0; i < 20 * 20; ++i) mask.push_back(static_cast<uint8_t>(i % 251));
  Crop crop{.x = 2, .y = 3, .width = 15, .height = 10};
  const at::Tensor plain = cut_mask(image, mask, crop, 8);
  crop.flip = true;
  EXPECT_TRUE(torch::equal(cut_mask(image, mask, crop, 8), plain.flip(1)));
}

TEST(RandomCrop, StaysInsideAndWithinItsRanges) {
  const ViewSpec view{.name = "local", .area = {0.05, 0.4}, .aspect_ratio = {0.75, 4.0 / 3}};
  for (uint64_t index = 0; index < 2000; ++index) {
    Random random(1, 2, index);
    const Crop crop = random_crop(view, 120, 90, random);
    ASSERT_GE(crop.x, 0);
    ASSERT_GE(crop.y, 0);
    ASSERT_LE(crop.x + crop.width, 120);
    ASSERT_LE(crop.y + crop.height, 90);
    // Sides are rounded to whole pixels: at worst half of one on the shortest side, about 20.
    const double ratio = static_cast<double>(crop.width) / static_cast<double>(crop.height);
    ASSERT_GT(ratio, 0.75 * 0.95);
    ASSERT_LT(ratio, 4.0 / 3 * 1.05);
    const double area = static_cast<double>(crop.width * crop.height) / (120 * 90);
    ASSERT_GT(area, 0.05 * 0.95);
    ASSERT_LT(area, 0.4 * 1.05);
  }
}

TEST(RandomCrop, DrawsItsAreaUniformly) {
  const ViewSpec view{.name = "global", .area = {0.2, 0.6}};
  double sum = 0;
  for (uint64_t index = 0; index < 4000; ++index) {
    Random random(1, 2, index);
    const Crop crop = random_crop(view, 400, 400, random);
    sum += static_cast<double>(crop.width * crop.height) / (400 * 400);
  }
  // Standard deviation of the mean: 0.4 / √12 / √4000 = 0.0018.
  EXPECT_NEAR(sum / 4000, 0.4, 0.01);
}

TEST(RandomCrop, FallsBackToTheMiddleOfAPictureThatIsTooNarrow) {
  Random random(1, 2, 3);
  const Crop crop = random_crop({.name = "global", .area = {0.9, 1.0}}, 400, 20, random);
  EXPECT_EQ(crop.height, 20);
  EXPECT_EQ(crop.width, 27);  // 20 · 4/3, rounded
  EXPECT_EQ(crop.x, (400 - 27) / 2);
}

TEST(RandomCrop, TakesTheWholePictureForTheWholeArea) {
  Random random(1, 2, 3);
  const Crop crop = random_crop({.name = "whole"}, 70, 30, random);
  EXPECT_EQ(crop.width, 70);
  EXPECT_EQ(crop.height, 30);
  EXPECT_FALSE(crop.flip);
}

TEST(RandomCrop, FlipsHalfOfTheTime) {
  int flips = 0;
  for (uint64_t index = 0; index < 1000; ++index) {
    Random random(1, 2, index);
    if (random_crop({.name = "global", .area = {0.4, 1.0}, .flip = true}, 50, 50, random).flip) ++flips;
  }
  EXPECT_NEAR(flips, 500, 100);  // six standard deviations
}

}  // namespace
}  // namespace silc
