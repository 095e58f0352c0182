#include "pictures/copies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include "fixture.h"
#include "pictures/draw.h"

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::stored_picture;

// Waves of all lengths and directions, the longer the stronger, as photographs have them.
Image made_photograph(unsigned seed, int64_t width = 96, int64_t height = 64) {
  std::mt19937 random(seed);
  const auto uniform = [&](double least, double most) {
    return least + (most - least) * static_cast<double>(random()) / static_cast<double>(std::mt19937::max());
  };
  struct Wave {
    double x, y, phase;
    std::array<double, 3> strength;
  };
  std::vector<Wave> waves;
  for (int i = 0; i < 40; ++i) {
    const double frequency = std::exp(uniform(0, 3));
    const double angle = uniform(0, 6.283);
    const double strength = 60 / frequency;
    waves.push_back({frequency * std::cos(angle),
                     frequency * std::sin(angle),
                     uniform(0, 6.283),
                     {strength * uniform(0.6, 1), strength * uniform(0.6, 1), strength * uniform(0.6, 1)}});
  }
  Image image = blank_picture(width, height, {0, 0, 0});
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (std::size_t c = 0; c < 3; ++c) {
        double level = 128;
        for (const Wave& wave : waves)
          level += wave.strength[c] *
                   std::sin(wave.x * static_cast<double>(x) / static_cast<double>(width) * 6.283 +
                            wave.y * static_cast<double>(y) / static_cast<double>(height) * 6.283 + wave.phase);
        image.rgb[static_cast<std::size_t>(y * width + x) * 3 + c] =
            static_cast<uint8_t>(std::clamp(level, 0.0, 255.0));
      }
  return image;
}

Image changed(Image image, const std::function<std::array<double, 3>(double r, double g, double b)>& change) {
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    const std::array<double, 3> levels = change(image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]);
    for (std::size_t c = 0; c < 3; ++c) image.rgb[i + c] = static_cast<uint8_t>(std::clamp(levels[c], 0.0, 255.0));
  }
  return image;
}

// A drawing on white: a word in large letters.
Image drawing(std::string_view word, Colour colour = {0, 0, 0}) {
  Image image = blank_picture(20, 20, {255, 255, 255});
  draw_text(word, 4, 4, colour, image);
  return resized(image, 192, 192);
}

std::vector<std::vector<int64_t>> groups_of(const std::vector<Image>& images) {
  std::vector<Likeness> likenesses;
  for (const Image& image : images) likenesses.push_back(likeness_of(image));
  return find_copies(likenesses);
}

bool alike(const Image& one, const Image& other) { return are_copies(likeness_of(one), likeness_of(other)); }

TEST(Copies, AreFoundWhateverTheFileFormatAndQuality) {
  std::vector<Image> images;
  for (const std::string kind : {"jpeg_444", "jpeg_422", "jpeg_420", "jpeg_progressive", "jpeg_cmyk", "jpeg_grey",
                                 "png_rgb", "png_grey", "webp_lossy", "webp_lossless"})
    images.push_back(stored_picture(kind + ".rgb"));
  images.push_back(made_photograph(1, 75, 51));
  EXPECT_THAT(groups_of(images), ElementsAre(ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)));
}

TEST(Copies, AreFoundAtOtherSizesAndAspectRatios) {
  const Image photograph = made_photograph(2, 640, 480);
  EXPECT_TRUE(alike(photograph, resized(photograph, 320, 240)));
  EXPECT_TRUE(alike(photograph, resized(photograph, 64, 48)));
  EXPECT_TRUE(alike(photograph, resized(photograph, 512, 480)));
}

TEST(Copies, AreFoundInOtherColours) {
  const Image photograph = made_photograph(3);
  const auto grey = [](double r, double g, double b) {
    const double level = 0.299 * r + 0.587 * g + 0.114 * b;
    return std::array{level, level, level};
  };
  const auto darker = [](double r, double g, double b) { return std::array{0.7 * r, 0.7 * g, 0.7 * b}; };
  const auto flatter = [](double r, double g, double b) { return std::array{64 + r / 2, 64 + g / 2, 64 + b / 2}; };
  const auto warmer = [](double r, double g, double b) { return std::array{1.1 * r, g, 0.8 * b}; };
  EXPECT_TRUE(alike(photograph, changed(photograph, grey)));
  EXPECT_TRUE(alike(photograph, changed(photograph, darker)));
  EXPECT_TRUE(alike(photograph, changed(photograph, flatter)));
  EXPECT_TRUE(alike(photograph, changed(photograph, warmer)));
}

TEST(Copies, AreNotFoundAmongDifferentPhotographs) {
  std::vector<Image> images;
  for (unsigned seed = 0; seed < 500; ++seed) images.push_back(made_photograph(seed, 48, 32));
  EXPECT_THAT(groups_of(images), IsEmpty());
}

TEST(Copies, AreNotFoundAmongDifferentDrawingsOnWhite) {
  std::vector<Image> images;
  for (char first = 'a'; first <= 'z'; ++first)
    for (char second = 'a'; second <= 'z'; ++second) images.push_back(drawing(std::string{first, second}));
  EXPECT_THAT(groups_of(images), IsEmpty());
}

TEST(Copies, OfADrawingHaveItsColours) {
  const Image red = drawing("xo", {200, 20, 20});
  EXPECT_TRUE(alike(red, resized(red, 100, 100)));
  EXPECT_FALSE(alike(red, drawing("xo", {20, 20, 200})));
}

TEST(Copies, OfPlainPicturesAreNone) {
  const Image white = blank_picture(64, 64, {255, 255, 255});
  Image specked = white;
  specked.rgb[99] = 0;
  EXPECT_FALSE(alike(white, white));
  EXPECT_FALSE(alike(white, specked));
}

TEST(Copies, AreThoseOfComparingEachWithEach) {
  std::vector<Likeness> likenesses;
  std::mt19937 random(7);
  for (unsigned seed = 0; seed < 60; ++seed) {
    const Likeness original = likeness_of(made_photograph(seed, 32, 32));
    for (int copy = 0; copy < 6; ++copy) {  // some bits differ, wherever they lie
      likenesses.push_back(original);
      for (std::size_t flips = random() % 14; flips > 0; --flips)
        likenesses.back().hash[random() % 2] ^= uint64_t{1} << random() % 64;
    }
  }
  // Connected components, in quadratic time.
  std::vector<std::size_t> component(likenesses.size());
  for (std::size_t i = 0; i < component.size(); ++i) component[i] = i;
  for (std::size_t i = 0; i < component.size(); ++i)
    for (std::size_t j = i + 1; j < component.size(); ++j)
      if (are_copies(likenesses[i], likenesses[j]))
        std::replace(component.begin(), component.end(), std::max(component[i], component[j]),
                     std::min(component[i], component[j]));
  std::vector<std::vector<int64_t>> expected;
  for (std::size_t first = 0; first < component.size(); ++first) {
    std::vector<int64_t> members;
    for (std::size_t i = 0; i < component.size(); ++i)
      if (component[i] == first) members.push_back(static_cast<int64_t>(i));
    if (members.size() > 1) expected.push_back(members);
  }
  EXPECT_GT(expected.size(), 50U);
  EXPECT_EQ(find_copies(likenesses), expected);
}

}  // namespace
}  // namespace silc
