#include "pictures/draw.h"

#include <gtest/gtest.h>

#include <set>

#include "fixture.h"

namespace silc {
namespace {

Colour at(const Image& image, int64_t x, int64_t y) {
  const uint8_t* pixel = image.rgb.data() + (y * image.width + x) * 3;
  return {pixel[0], pixel[1], pixel[2]};
}

constexpr Colour kWhite = {255, 255, 255};
constexpr Colour kBlack = {0, 0, 0};

TEST(EncodePng, IsReadBackAsItWas) {
  const Image picture = testing::stored_picture("resize.scene");
  EXPECT_EQ(testing::difference(decoded(encoded_image(encode_png(picture), "x.png")), picture), 0);
}

TEST(Resized, AgreesWithPillow) {
  EXPECT_EQ(testing::difference(resized(testing::stored_picture("resize.scene"), 24, 40),
                                testing::stored_picture("resize.scene.bicubic.24x40")),
            0);
}

TEST(DrawText, DrawsLettersThatDiffer) {
  const auto drawn = [](std::string_view text) {
    Image image = blank_picture(kTextWidth, kTextHeight, kWhite);
    draw_text(text, 0, 0, kBlack, image);
    return image.rgb;
  };
  std::set<std::vector<uint8_t>> shapes;
  for (char c = '!'; c <= '~'; ++c) shapes.insert(drawn(std::string(1, c)));
  EXPECT_EQ(shapes.size(), 94U);
  EXPECT_EQ(drawn("Ж"), drawn("?"));
  EXPECT_NE(drawn("é"), drawn("e"));
  EXPECT_EQ(drawn("\xC3"), drawn("?")) << "cut in the middle of a letter";
}

TEST(Drawing, LeavesOutWhatLiesBeyondTheBorder) {
  Image image = blank_picture(20, 10, kWhite);
  draw_text("beyond", 15, 5, kBlack, image);
  draw_frame(-5, -5, 30, 30, kBlack, image);
  paste(blank_picture(8, 8, kBlack), 16, 6, image);
  EXPECT_EQ(at(image, 19, 9), kBlack);
  EXPECT_EQ(at(image, 0, 0), kWhite);
}

TEST(DrawFrame, DrawsTheOutermostPixelsOfABox) {
  Image image = blank_picture(10, 10, kWhite);
  draw_frame(2, 3, 6, 8, kBlack, image);
  EXPECT_EQ(at(image, 2, 3), kBlack);
  EXPECT_EQ(at(image, 5, 7), kBlack);
  EXPECT_EQ(at(image, 6, 8), kWhite);
  EXPECT_EQ(at(image, 4, 5), kWhite);
}

TEST(ColourOfClass, TellsClassesApart) {
  std::set<Colour> colours;
  for (int64_t label = 0; label < 171; ++label) colours.insert(colour_of_class(label));
  EXPECT_EQ(colours.size(), 171U);
}

}  // namespace
}  // namespace silc
