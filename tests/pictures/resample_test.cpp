#include "pictures/resample.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "fixture.h"
#include "pictures/resample_loops.h"

namespace silc {
namespace {

using testing::difference;
using testing::stored_picture;

Axis whole(int64_t length, int64_t size) {
  return {.begin = 0, .length = length, .size = size, .first = 0, .count = size};
}

Image resampled(const PixelView& pixels, const Axis& horizontal, const Axis& vertical, Interpolation filter,
                bool flip = false) {
  Image image{.width = horizontal.count, .height = vertical.count, .rgb = {}};
  const auto plane = static_cast<std::size_t>(image.width * image.height);
  std::vector<float> values(plane * 3);
  resample(pixels, horizontal, vertical, filter, flip, values.data());
  for (std::size_t i = 0; i < plane; ++i)
    for (std::size_t c = 0; c < 3; ++c)
      image.rgb.push_back(static_cast<uint8_t>(std::lround((values[c * plane + i] + 1) * 127.5F)));
  return image;
}

Image noise(int64_t width, int64_t height) {
  Image image{.width = width, .height = height, .rgb = {}};
  uint32_t state = 1;
  for (int64_t i = 0; i < width * height * 3; ++i) {
    state = state * 1664525 + 1013904223;
    image.rgb.push_back(static_cast<uint8_t>(state >> 24));
  }
  return image;
}

struct Case {
  std::string picture;
  std::string filter;
  int greatest;  // difference in grey levels
};

class Resample : public ::testing::TestWithParam<Case> {
 protected:
  Interpolation filter = GetParam().filter == "bilinear" ? Interpolation::bilinear : Interpolation::bicubic;
  Image picture = stored_picture("resize." + GetParam().picture);
  std::string prefix = fmt::format("resize.{}.{}.", GetParam().picture, GetParam().filter);
};

TEST_P(Resample, AgreesWithPillowAtEveryScale) {
  for (const auto& [width, height] : {std::pair{16, 16}, {24, 40}, {61, 47}, {90, 70}, {1, 1}})
    EXPECT_LE(difference(resampled(picture, whole(61, width), whole(47, height), filter),
                         stored_picture(fmt::format("{}{}x{}", prefix, width, height))),
              GetParam().greatest)
        << width << " x " << height;
}

TEST_P(Resample, LooksAtNothingBeyondACrop) {
  const Image crop =
      resampled(picture, {7, 43, 20, 0, 20}, {.begin = 5, .length = 33, .size = 20, .first = 0, .count = 20}, filter);
  EXPECT_LE(difference(crop, stored_picture(prefix + "crop")), GetParam().greatest);
}

TEST_P(Resample, MakesAPartOfTheResultAsItIsInTheWhole) {
  const Image all = resampled(picture, whole(61, 24), whole(47, 40), filter);
  Axis horizontal = whole(61, 24);
  horizontal.first = 3;
  horizontal.count = 10;
  const Image part = resampled(picture, horizontal, whole(47, 40), filter);
  for (int64_t y = 0; y < 40; ++y)
    for (int64_t i = 0; i < 30; ++i)
      ASSERT_EQ(part.rgb[static_cast<std::size_t>(y * 30 + i)], all.rgb[static_cast<std::size_t>(y * 72 + 9 + i)]);
}

TEST_P(Resample, MirrorsWhereAsked) {
  const Image plain = resampled(picture, whole(61, 24), whole(47, 40), filter);
  const Image mirrored = resampled(picture, whole(61, 24), whole(47, 40), filter, true);
  for (int64_t y = 0; y < 40; ++y)
    for (int64_t x = 0; x < 24; ++x)
      for (int64_t c = 0; c < 3; ++c)
        ASSERT_EQ(mirrored.rgb[static_cast<std::size_t>((y * 24 + x) * 3 + c)],
                  plain.rgb[static_cast<std::size_t>((y * 24 + 23 - x) * 3 + c)]);
}

// Bilinear results are not rounded to grey levels between the two directions, as Pillow's are.
INSTANTIATE_TEST_SUITE_P(Filters, Resample,
                         ::testing::Values(Case{"scene", "bilinear", 1}, Case{"noise", "bilinear", 1},
                                           Case{"scene", "bicubic", 0}, Case{"noise", "bicubic", 0}),
                         [](const auto& info) { return info.param.picture + "_" + info.param.filter; });

// All but the last, which any processor can run.
class ResampleOnThisProcessor : public ::testing::TestWithParam<Interpolation> {};

TEST_P(ResampleOnThisProcessor, GivesTheBitsThatAnyOtherGives) {
  const Image picture = noise(211, 157);
  const auto values = [&](const ResampleLoops& loops, const Axis& horizontal, const Axis& vertical, bool flip) {
    std::vector<float> planes(static_cast<std::size_t>(3 * horizontal.count * vertical.count), -7);
    resample(loops, picture, horizontal, vertical, GetParam(), flip, planes.data(),
             {.factor = {1.5F, 2, 0.3F}, .shift = {0.1F, -0.2F, 0.7F}});
    return planes;
  };
  const auto loops = usable_resample_loops();
  // Wholes and parts, smaller and larger, of sizes that fill vectors and do not, and of fewer pixels than a vector has.
  for (const int64_t length : {1, 2, 7, 21, 22, 64, 100, 157})
    for (const int64_t size : {1, 3, 16, 31, 32, 96, 150})
      for (const bool flip : {false, true}) {
        const Axis horizontal{
            .begin = 157 - length, .length = length, .size = size, .first = size / 3, .count = size - size / 3};
        const Axis vertical{.begin = (157 - length) / 2, .length = length, .size = size, .first = 0, .count = size};
        const std::vector<float> expected = values(*loops.back(), horizontal, vertical, flip);
        for (const ResampleLoops* faster : loops.first(loops.size() - 1))
          ASSERT_EQ(values(*faster, horizontal, vertical, flip), expected)
              << faster->processor << ", " << length << " to " << size << (flip ? ", mirrored" : "");
      }
}

INSTANTIATE_TEST_SUITE_P(Filters, ResampleOnThisProcessor,
                         ::testing::Values(Interpolation::bilinear, Interpolation::bicubic));

TEST(ResamplePastTheCache, GivesTheSameBits) {
  const Image picture = noise(90, 70);
  constexpr std::size_t kFloats = std::size_t{3} * 32 * 48;
  std::vector<float> plain(kFloats);
  std::vector<float> room(kFloats + kFloatsInLine);
  void* start = room.data();
  std::size_t space = room.size() * sizeof(float);
  auto* line = static_cast<float*>(std::align(kCacheLine, kFloats * sizeof(float), start, space));
  for (const ResampleLoops* loops : usable_resample_loops())
    for (const Interpolation filter : {Interpolation::bilinear, Interpolation::bicubic})
      for (const bool flip : {false, true}) {
        resample(*loops, picture, whole(90, 32), whole(70, 48), filter, flip, plain.data());
        resample(*loops, picture, whole(90, 32), whole(70, 48), filter, flip, line, {.past_cache = true});
        ASSERT_TRUE(std::equal(plain.begin(), plain.end(), line)) << loops->processor;
      }
}

TEST(ResampleShown, IsWhatIsMadeOfTheValuesLater) {
  const Image picture = noise(40, 30);
  const Shown shown{.factor = {1.9F, 1.8F, 1.7F}, .shift = {0.1F, 0, -0.1F}};
  std::vector<float> values(std::size_t{3} * 20 * 20);
  std::vector<float> changed(values.size());
  resample(picture, whole(40, 20), whole(30, 20), Interpolation::bicubic, false, values.data());
  resample(picture, whole(40, 20), whole(30, 20), Interpolation::bicubic, false, changed.data(), shown);
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_EQ(changed[i], values[i] * shown.factor[i / 400] + shown.shift[i / 400]);
  std::vector<float> later(values.size());
  show(values.data(), 400, shown, later.data());
  EXPECT_EQ(later, changed);
}

TEST(ResamplePart, GivesWhatTheWholePictureGives) {
  const Image all = stored_picture("resize.scene");
  PicturePart part{.pixels = {.width = 43, .height = 33, .rgb = {}}, .x = 7, .y = 5};
  for (int64_t y = 0; y < 33; ++y) {
    const auto row = all.rgb.begin() + ((y + 5) * 61 + 7) * 3;
    part.pixels.rgb.insert(part.pixels.rgb.end(), row, row + 43 * 3);
  }
  const Axis horizontal{.begin = 9, .length = 30, .size = 16, .first = 0, .count = 16};
  const Axis vertical{.begin = 5, .length = 20, .size = 16, .first = 0, .count = 16};
  for (const Interpolation filter : {Interpolation::bilinear, Interpolation::bicubic})
    EXPECT_EQ(difference(resampled(all, horizontal, vertical, filter), resampled(part, horizontal, vertical, filter)),
              0);
}

TEST(ResamplePart, TakesAReducedPictureForWhatItCovers) {
  // Every 2 × 2 pixels alike, so the reduced picture says the same.
  Image all{.width = 40, .height = 40, .rgb = {}};
  PicturePart half{.pixels = {.width = 20, .height = 20, .rgb = {}}, .reduction = 2};
  const auto value = [](int64_t x, int64_t y) { return static_cast<uint8_t>((x * 5 + y * 7) % 256); };
  for (int64_t y = 0; y < 40; ++y)
    for (int64_t x = 0; x < 40; ++x) all.rgb.insert(all.rgb.end(), 3, value(x / 2, y / 2));
  for (int64_t y = 0; y < 20; ++y)
    for (int64_t x = 0; x < 20; ++x) half.pixels.rgb.insert(half.pixels.rgb.end(), 3, value(x, y));
  const Axis axis{.begin = 5, .length = 30, .size = 5, .first = 0, .count = 5};
  EXPECT_LE(difference(resampled(all, axis, axis, Interpolation::bilinear),
                       resampled(half, axis, axis, Interpolation::bilinear)),
            1);
}

}  // namespace
}  // namespace silc
