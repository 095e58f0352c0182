#include "pictures/cutout.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.h"
#include "silc/error.h"

namespace silc {
namespace {

using testing::stored_bytes;

int greatest_difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  if (a.size() != b.size()) return 256;
  int greatest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) greatest = std::max(greatest, std::abs(a[i] - b[i]));
  return greatest;
}

Cutout drawing() { return decode_cutout(stored_bytes("cutout.png"), "drawing"); }

TEST(Cutout, IsWhatIsNotTransparentWithItsColoursMultipliedAsPillowHasThem) {
  const Cutout cutout = drawing();
  const std::string name = fmt::format("cutout.{}x{}", cutout.width, cutout.height);
  EXPECT_EQ(cutout.coverage, stored_bytes(name + ".coverage"));
  EXPECT_LE(greatest_difference(cutout.rgb, stored_bytes(name + ".colours")), 1);
}

TEST(Cutout, IsResizedAsPillowDoesWithinOneLevel) {
  for (const auto& [width, height] : {std::pair{20, 13}, {70, 50}, {1, 1}}) {
    const Cutout small = resized(drawing(), width, height);
    const std::string name = fmt::format("cutout.{}x{}", width, height);
    EXPECT_LE(greatest_difference(small.rgb, stored_bytes(name + ".colours")), 1) << name;
    EXPECT_LE(greatest_difference(small.coverage, stored_bytes(name + ".coverage")), 1) << name;
  }
}

TEST(Cutout, LetsWhatLiesBehindThroughAsFarAsItDoesNotCover) {
  Image picture{3, 1, {100, 100, 100, 100, 100, 100, 100, 100, 100}};
  const Cutout cutout{.width = 3, .height = 1, .rgb = {200, 0, 0, 0, 0, 0, 80, 80, 80}, .coverage = {255, 0, 128}};
  paste(cutout, 0, 0, picture);
  EXPECT_THAT(picture.rgb, ::testing::ElementsAre(200, 0, 0, 100, 100, 100, 130, 130, 130));
}

TEST(Cutout, IsCutOffAtThePicturesEdges) {
  Image picture{2, 2, std::vector<uint8_t>(12, 9)};
  const Cutout cutout{
      .width = 3, .height = 3, .rgb = std::vector<uint8_t>(27, 50), .coverage = std::vector<uint8_t>(9, 255)};
  paste(cutout, -2, -2, picture);
  EXPECT_THAT(picture.rgb, ::testing::ElementsAre(50, 50, 50, 9, 9, 9, 9, 9, 9, 9, 9, 9));
  paste(cutout, 5, 1, picture);
  EXPECT_EQ(picture.rgb[9], 9);
}

TEST(Cutout, OfADamagedFileNamesIt) {
  std::vector<uint8_t> file = stored_bytes("cutout.png");
  file.resize(file.size() / 2);
  EXPECT_THAT([&] { decode_cutout(file, "a/b.png"); },
              ::testing::ThrowsMessage<Error>(::testing::StartsWith("a/b.png: is cut short or damaged")));
}

}  // namespace
}  // namespace silc
