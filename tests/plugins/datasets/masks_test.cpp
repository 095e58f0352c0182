#include "plugins/datasets/masks.h"

#include <gtest/gtest.h>

#include <cstring>

#include "files/safetensors.h"
#include "made_files.h"

namespace silc::datasets {
namespace {

// tests/reference/coco_masks.py
class CocoMasks : public ::testing::Test {
 protected:
  static constexpr int64_t kWidth = 41, kHeight = 30;

  std::vector<uint8_t> bytes(const std::string& name) {
    const auto view = file_.tensors().at(name).bytes;
    const auto* first = reinterpret_cast<const uint8_t*>(view.data());
    return {first, first + view.size()};
  }
  std::vector<double> polygon(int number) {
    const std::vector<uint8_t> raw = bytes("polygon." + std::to_string(number));
    std::vector<double> values(raw.size() / sizeof(double));
    std::memcpy(values.data(), raw.data(), raw.size());
    return values;
  }
  std::string text(int number) {
    const std::vector<uint8_t> raw = bytes("text." + std::to_string(number));
    return {raw.begin(), raw.end()};
  }
  bool has(int number) { return file_.tensors().contains("mask." + std::to_string(number)); }

  static std::vector<uint8_t> drawn(const RunLengths& runs) {
    std::vector<uint8_t> mask(kWidth * kHeight, 0);
    paint(runs, 1, kWidth, kHeight, mask, "test");
    return mask;
  }

 private:
  SafetensorsFile file_{SILC_SOURCE_DIR "/tests/data/coco_masks.safetensors"};
};

TEST_F(CocoMasks, FromPolygonsAreThoseOfPycocotools) {
  for (int number = 0; has(number); ++number)
    EXPECT_EQ(drawn(polygon_run_lengths(polygon(number), kWidth, kHeight)), bytes("mask." + std::to_string(number)))
        << "polygon " << number;
}

TEST_F(CocoMasks, FromCompressedRunLengthsAreThoseOfPycocotools) {
  for (int number = 0; has(number); ++number)
    EXPECT_EQ(drawn(read_run_lengths(text(number), "test")), bytes("mask." + std::to_string(number)))
        << "polygon " << number;
}

TEST_F(CocoMasks, RefuseRunLengthsThatAreDamaged) {
  EXPECT_EQ(testing::refusal([] { read_run_lengths("\x01\x02", "x.json: annotation 3"); }),
            "x.json: annotation 3: its run lengths are damaged");
  EXPECT_NE(testing::refusal([] { read_run_lengths("oooooooooooooo", "x.json"); }), "");
  EXPECT_EQ(testing::refusal([] {
              drawn({3, 4});
            }),
            "test: its run lengths do not add up to the 41 × 30 pixels of the picture");
}

TEST_F(CocoMasks, RefuseOrReadWhateverTextsThereAre) {
  for (uint32_t seed = 1; seed < 3000; ++seed) {
    std::string text;
    uint32_t state = seed * 2654435761U;
    for (uint32_t i = 0; i < seed % 40; ++i) text += static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    testing::refusal([&] { drawn(read_run_lengths(text, "fuzz")); });
  }
}

}  // namespace
}  // namespace silc::datasets
