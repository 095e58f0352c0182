#include "pictures/draw.h"

#include <gtest/gtest.h>

#include <cstdlib>
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

TEST(EncodeWebp, IsReadBackNearlyAsItWas) {
  const Image picture = testing::stored_picture("resize.scene");
  const Image back = decoded(encoded_image(encode_webp(picture, 95), "x.webp"));
  ASSERT_EQ(back.rgb.size(), picture.rgb.size());
  double difference = 0;
  for (std::size_t i = 0; i < back.rgb.size(); ++i) difference += std::abs(back.rgb[i] - picture.rgb[i]);
  EXPECT_LT(difference / static_cast<double>(back.rgb.size()), 8);
}

TEST(EncodeWebp, KeepsDrawingsAsTheyAre) {
  Image drawing = blank_picture(64, 64, kWhite);
  draw_frame(10, 10, 50, 50, {200, 30, 30}, drawing);
  const std::vector<uint8_t> file = encode_webp(drawing);
  EXPECT_LT(file.size(), 150U);
  EXPECT_EQ(testing::difference(decoded(encoded_image(file, "x.webp")), drawing), 0);
}

TEST(EncodeWebp, RefusesWhatTheFormatCannotHold) { EXPECT_THROW(encode_webp(blank_picture(20000, 1, kWhite)), Error); }

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
