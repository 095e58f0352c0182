#include "pictures/exif.h"

#include <gtest/gtest.h>

#include <vector>

namespace silc {
namespace {

// One entry: orientation, of type SHORT.
std::vector<uint8_t> little_endian(uint8_t orientation) {
  return {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0};
}

TEST(ExifOrientation, IsReadInBothByteOrders) {
  EXPECT_EQ(exif_orientation(little_endian(6)), 6);
  const std::vector<uint8_t> big_endian = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 8, 0, 0};
  EXPECT_EQ(exif_orientation(big_endian), 8);
}

TEST(ExifOrientation, IsUprightWhereItMakesNoSense) {
  EXPECT_EQ(exif_orientation(little_endian(0)), 1);
  EXPECT_EQ(exif_orientation(little_endian(9)), 1);
  EXPECT_EQ(exif_orientation({}), 1);
}

TEST(ExifOrientation, IsUprightWhereTheBlockIsCutShort) {
  const std::vector<uint8_t> whole = little_endian(6);
  for (std::size_t size = 0; size < 20; ++size)
    EXPECT_EQ(exif_orientation({whole.data(), size}), 1) << size << " bytes";
  std::vector<uint8_t> far = whole;
  far[4] = far[5] = far[6] = far[7] = 0xFF;  // the directory lies beyond the end
  EXPECT_EQ(exif_orientation(far), 1);
}

}  // namespace
}  // namespace silc
