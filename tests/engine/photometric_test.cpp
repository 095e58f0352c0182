#include "engine/photometric.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <map>
#include <string>

#include "tests/nn/fixture.h"

namespace silc {
namespace {

using Adjustment = ColourJitter::Adjustment;

// tests/reference/photometric.py
class PhotometricTest : public ::testing::Test {
 protected:
  // fp32 sums of up to 49 products of numbers below 1 in another order, doubled: some 1e-6.
  void expect_change(const ColourChange& change, const std::string& name) const {
    const at::Tensor pixels = expected_.at("picture").clone();
    apply_colours(change, pixels.size(1), pixels.mutable_data_ptr<float>());
    EXPECT_TRUE(torch::allclose(pixels, expected_.at(name), 0, 1e-5)) << name << "\n" << pixels - expected_.at(name);
  }

  static ColourChange jitter(ColourJitter values) {
    ColourChange change;
    change.jitter = values;
    return change;
  }

  const testing::Fixture expected_ = testing::load_fixture("photometric");
};

TEST_F(PhotometricTest, JittersAsTorchvisionDoes) {
  expect_change(jitter({.brightness = 1.4}), "brightness.1.4");
  expect_change(jitter({.brightness = 0.6}), "brightness.0.6");
  expect_change(jitter({.contrast = 1.4}), "contrast.1.4");
  expect_change(jitter({.contrast = 0.6}), "contrast.0.6");
  expect_change(jitter({.saturation = 1.2}), "saturation.1.2");
  expect_change(jitter({.saturation = 0}), "saturation.0.0");
}

TEST_F(PhotometricTest, TurnsHuesAsTorchvisionDoes) {
  expect_change(jitter({.hue = 0.1}), "hue.0.1");
  expect_change(jitter({.hue = -0.1}), "hue.-0.1");
  expect_change(jitter({.hue = 0.5}), "hue.0.5");
  expect_change(jitter({.hue = -0.5}), "hue.-0.5");
}

TEST_F(PhotometricTest, MakesGreyBlursAndSolarizesAsTorchvisionDoes) {
  expect_change({.greyscale = true}, "greyscale");
  expect_change({.blur = 0.4}, "blur.0.4");
  expect_change({.blur = 1.7}, "blur.1.7");
  expect_change({.solarize = true}, "solarize");
}

TEST_F(PhotometricTest, ChangesInTheOrderThatWasDrawn) {
  expect_change({.jitter = ColourJitter{.order = {Adjustment::hue, Adjustment::saturation, Adjustment::brightness,
                                                  Adjustment::contrast},
                                        .brightness = 1.2,
                                        .contrast = 0.8,
                                        .saturation = 0.9,
                                        .hue = 0.07},
                 .greyscale = true,
                 .blur = 0.9,
                 .solarize = true},
                "all");
}

TEST_F(PhotometricTest, LeavesPixelsAsTheyAreWhereNothingWasDrawn) {
  const at::Tensor pixels = expected_.at("picture").clone();
  apply_colours({}, pixels.size(1), pixels.mutable_data_ptr<float>());
  EXPECT_TRUE(torch::equal(pixels, expected_.at("picture")));
}

TEST_F(PhotometricTest, BlursAPictureThatIsSmallerThanItsKernel) {
  at::Tensor pixels = torch::full({3, 2, 2}, 0.25);
  apply_colours({.blur = 2.0}, 2, pixels.mutable_data_ptr<float>());
  EXPECT_TRUE(torch::allclose(pixels, torch::full({3, 2, 2}, 0.25)));
}

Photometric half_of_everything() { return {.jitter = 0.5, .greyscale = 0.5, .blur = 0.5, .solarize = 0.5}; }

TEST(DrawColours, DrawsEachPartWithItsProbability) {
  Photometric colours = half_of_everything();
  colours.greyscale = 0.2;
  colours.solarize = 0;
  int jitter = 0, greyscale = 0, blur = 0;
  for (uint64_t index = 0; index < 2000; ++index) {
    Random random(1, 6, index);
    const ColourChange change = draw_colours(colours, random);
    jitter += change.jitter ? 1 : 0;
    greyscale += change.greyscale ? 1 : 0;
    blur += change.blur ? 1 : 0;
    EXPECT_FALSE(change.solarize);
  }
  // Six standard deviations: 6 · √(2000 · 0.25) = 134, 6 · √(2000 · 0.16) = 107.
  EXPECT_NEAR(jitter, 1000, 134);
  EXPECT_NEAR(greyscale, 400, 107);
  EXPECT_NEAR(blur, 1000, 134);
}

TEST(DrawColours, StaysWithinItsRangesAndUsesEveryOrder) {
  const Photometric colours{.jitter = 1, .brightness = 1.5, .hue = 0.2, .blur = 1, .blur_sigma = {0.5, 0.7}};
  std::map<std::array<Adjustment, 4>, int> orders;
  double lowest = 1, highest = 1;
  for (uint64_t index = 0; index < 2400; ++index) {
    Random random(1, 6, index);
    const ColourChange change = draw_colours(colours, random);
    ASSERT_TRUE(change.jitter);
    ++orders[change.jitter->order];
    lowest = std::min(lowest, change.jitter->brightness);
    highest = std::max(highest, change.jitter->brightness);
    ASSERT_LE(std::abs(change.jitter->hue), 0.2);
    ASSERT_GE(*change.blur, 0.5);
    ASSERT_LE(*change.blur, 0.7);
  }
  // Uniform in [0, 2.5]: the chance that 2400 draws stay 0.02 away from an end is (1 − 0.008)^2400 = 4e-9.
  EXPECT_GE(lowest, 0);
  EXPECT_LT(lowest, 0.02);
  EXPECT_LE(highest, 2.5);
  EXPECT_GT(highest, 2.48);
  // 24 orders, 100 of each with a standard deviation of 9.8.
  EXPECT_EQ(orders.size(), 24U);
  for (const auto& [order, times] : orders) EXPECT_NEAR(times, 100, 60);
}

}  // namespace
}  // namespace silc
