#include "pictures/decode.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "fixture.h"
#include "silc/error.h"

namespace silc {
namespace {

using testing::difference;
using ::testing::HasSubstr;
using testing::stored_bytes;
using testing::stored_picture;

std::vector<std::string> stored_files(std::string_view prefix) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : testing::stored().tensors())
    if (name.starts_with(prefix) && name.ends_with(".rgb")) names.push_back(name.substr(0, name.size() - 4));
  return names;
}

class Files : public ::testing::TestWithParam<std::string> {
 protected:
  Image encoded = encoded_image(stored_bytes(GetParam() + ".file"), GetParam());
  Image expected = stored_picture(GetParam() + ".rgb");
};

TEST_P(Files, ShowWhatPillowShows) {
  EXPECT_EQ(encoded.width, expected.width);
  EXPECT_EQ(encoded.height, expected.height);
  // libjpeg-turbo's and libwebp's versions differ in the last place.
  EXPECT_LE(difference(decoded(encoded), expected), 1);
}

TEST_P(Files, GiveEveryPartAsItIsInTheWhole) {
  const Image all = decoded(encoded);
  std::mt19937 random(1);
  const auto below = [&](int64_t bound) { return static_cast<int64_t>(random() % static_cast<uint64_t>(bound)); };
  for (int attempt = 0; attempt < 40; ++attempt) {
    Region region{.x = below(all.width), .y = below(all.height)};
    region.width = 1 + below(all.width - region.x);
    region.height = 1 + below(all.height - region.y);
    const PicturePart part = decode_part(encoded, region);
    ASSERT_LE(part.x, region.x);
    ASSERT_LE(part.y, region.y);
    ASSERT_GE(part.x + part.pixels.width, region.x + region.width);
    ASSERT_GE(part.y + part.pixels.height, region.y + region.height);
    for (int64_t y = region.y; y < region.y + region.height; ++y)
      for (int64_t x = region.x; x < region.x + region.width; ++x)
        for (int64_t c = 0; c < 3; ++c)
          ASSERT_EQ(
              part.pixels.rgb.at(static_cast<std::size_t>(((y - part.y) * part.pixels.width + x - part.x) * 3 + c)),
              all.rgb.at(static_cast<std::size_t>((y * all.width + x) * 3 + c)))
              << "at " << x << ", " << y << " of the part at " << region.x << ", " << region.y << ", " << region.width
              << " x " << region.height;
  }
}

class Jpegs : public Files {};

// The mean over the square that each pixel of a reduced picture covers is what it shows, nearly.
TEST_P(Jpegs, AreReducedInPlace) {
  const Image all = decoded(encoded);
  for (const int64_t reduction : {2, 4, 8}) {
    const PicturePart part = decode_part(encoded, {.x = 20, .y = 16, .width = 24, .height = 24}, reduction);
    ASSERT_EQ(part.reduction, GetParam() == "jpeg_422" ? 1 : reduction);
    if (part.reduction == 1) continue;
    double deviation = 0;
    int64_t count = 0;
    for (int64_t v = 0; v < part.pixels.height; ++v) {
      for (int64_t u = 0; u < part.pixels.width; ++u) {
        const int64_t x = part.x + u * reduction;
        const int64_t y = part.y + v * reduction;
        if (x < 0 || y < 0 || x + reduction > all.width || y + reduction > all.height) continue;
        for (int64_t c = 0; c < 3; ++c, ++count) {
          double mean = 0;
          for (int64_t j = 0; j < reduction; ++j)
            for (int64_t i = 0; i < reduction; ++i)
              mean += all.rgb[static_cast<std::size_t>(((y + j) * all.width + x + i) * 3 + c)];
          mean /= static_cast<double>(reduction * reduction);
          deviation += std::abs(mean - part.pixels.rgb[static_cast<std::size_t>((v * part.pixels.width + u) * 3 + c)]);
        }
      }
    }
    ASSERT_GT(count, 0);
    EXPECT_LT(deviation / static_cast<double>(count), 4) << "reduced " << reduction << " times";
  }
}

TEST_P(Files, CutShortAnywhereAreRefusedOrShownButNeverMore) {
  const std::vector<uint8_t> whole = stored_bytes(GetParam() + ".file");
  for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 97) {
    try {
      const Image shown =
          decoded(encoded_image({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}, "cut"));
      EXPECT_EQ(shown.rgb.size(), static_cast<std::size_t>(shown.width * shown.height * 3));
      EXPECT_GT(size + 40, whole.size()) << "only what follows the pixels may be missing";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::StartsWith("cut "));
    }
  }
}

TEST_P(Files, DamagedAnywhereAreRefusedOrShown) {
  const std::vector<uint8_t> whole = stored_bytes(GetParam() + ".file");
  std::mt19937 random(7);
  for (int attempt = 0; attempt < 150; ++attempt) {
    std::vector<uint8_t> damaged = whole;
    for (std::size_t change = random() % 8 + 1; change > 0; --change)
      damaged[random() % damaged.size()] = static_cast<uint8_t>(random());
    try {
      Image image = encoded_image(damaged, "damaged");
      if (image.width * image.height > 1'000'000) continue;  // slow, not wrong
      const Region region{.x = image.width / 3, .y = image.height / 3, .width = 1, .height = 1};
      std::ignore = decode_part(image, region, 4);
      std::ignore = decoded(std::move(image));
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::StartsWith("damaged "));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OfPillow, Files, ::testing::ValuesIn(stored_files("")),
                         [](const auto& info) { return info.param; });

INSTANTIATE_TEST_SUITE_P(OfPillow, Jpegs, ::testing::ValuesIn(stored_files("jpeg")),
                         [](const auto& info) { return info.param; });

std::string refusal(const std::vector<uint8_t>& file) {
  try {
    std::ignore = decoded(encoded_image(file, "shard.tar: cat.jpg"));
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::vector<uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST(EncodedImage, RefusesWhatIsNoPictureByName) {
  EXPECT_EQ(refusal({}), "shard.tar: cat.jpg is empty");
  EXPECT_EQ(refusal(bytes_of("<html>not found</html>")), "shard.tar: cat.jpg is no JPEG, PNG or WebP");
  EXPECT_EQ(refusal(bytes_of("GIF89a")), "shard.tar: cat.jpg is a GIF; pictures must be JPEG, PNG or WebP");
}

TEST(EncodedImage, RefusesADecompressionBombByItsHeader) {
  std::vector<uint8_t> png = stored_bytes("png_rgb.file");
  // Width and height in IHDR; its checksum, too.
  const std::vector<uint8_t> header = {0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30};
  std::copy(header.begin(), header.end(), png.begin() + 16);
  std::vector<uint8_t> jpeg = stored_bytes("jpeg_444.file");
  for (std::size_t i = 0; i + 8 < jpeg.size(); ++i)
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC0) {
      jpeg[i + 5] = jpeg[i + 7] = 0x75;
      jpeg[i + 6] = jpeg[i + 8] = 0x30;
      break;
    }
  EXPECT_THAT(refusal(jpeg), HasSubstr("is 30000 × 30000 pixels large; more than 178956970 are refused"));
  EXPECT_NE(refusal(png), "");
}

TEST(EncodedImage, RefusesAJpegThatEndsEarly) {
  std::vector<uint8_t> jpeg = stored_bytes("jpeg_420.file");
  jpeg.resize(jpeg.size() / 2);
  EXPECT_THAT(refusal(jpeg), HasSubstr("shard.tar: cat.jpg is cut short or damaged"));
}

TEST(DecodePart, PassesPixelsThrough) {
  const Image image{.width = 2, .height = 1, .rgb = {1, 2, 3, 4, 5, 6}};
  const PicturePart part = decode_part(image, {.x = 1, .y = 0, .width = 1, .height = 1}, 8);
  EXPECT_EQ(part.pixels.rgb, image.rgb);
  EXPECT_EQ(part.reduction, 1);
}

void check_labels(const std::string& name) {
  const LabelMap map = decode_label_map(stored_bytes(name + ".file"), "labels.png");
  EXPECT_EQ(std::vector<int64_t>({map.height, map.width}), testing::stored().tensors().at(name + ".values").shape);
  const std::vector<uint8_t> expected = stored_bytes(name + ".values");
  EXPECT_TRUE(std::equal(map.values.begin(), map.values.end(), expected.begin(), expected.end()));
}

TEST(DecodeLabelMap, GivesGreyLevelsAsTheyStand) { check_labels("labels_grey"); }

TEST(DecodeLabelMap, GivesIndicesOfAPaletteAndNotItsColours) { check_labels("labels_palette"); }

TEST(DecodeLabelMap, RefusesColoursAndJpegs) {
  EXPECT_THROW(
      {
        try {
          decode_label_map(stored_bytes("png_rgb.file"), "labels.png");
        } catch (const Error& error) {
          EXPECT_THAT(error.what(), HasSubstr("labels.png is a picture in colour, not a label map"));
          throw;
        }
      },
      Error);
  EXPECT_THROW(decode_label_map(stored_bytes("jpeg_grey.file"), "labels.jpg"), Error);
}

}  // namespace
}  // namespace silc
