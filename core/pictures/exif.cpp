#include "pictures/exif.h"

#include <cstddef>

namespace silc {
namespace {

class TiffReader {
 public:
  explicit TiffReader(std::span<const uint8_t> bytes) : bytes_(bytes), big_endian_(bytes[0] == 'M') {}

  [[nodiscard]] bool has(std::size_t at, std::size_t count) const {
    return at <= bytes_.size() && count <= bytes_.size() - at;
  }
  [[nodiscard]] uint32_t number(std::size_t at, int count) const {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) {
      const uint32_t byte = bytes_[at + static_cast<std::size_t>(i)];
      value |= byte << 8 * (big_endian_ ? count - 1 - i : i);
    }
    return value;
  }

 private:
  std::span<const uint8_t> bytes_;
  bool big_endian_;
};

}  // namespace

int exif_orientation(std::span<const uint8_t> tiff) {
  constexpr std::size_t kHeader = 8;
  constexpr std::size_t kEntry = 12;
  constexpr uint32_t kOrientation = 0x0112;
  constexpr uint32_t kShort = 3;
  if (tiff.size() < kHeader || tiff[0] != tiff[1] || (tiff[0] != 'I' && tiff[0] != 'M')) return 1;
  const TiffReader reader(tiff);
  const std::size_t directory = reader.number(4, 4);
  if (!reader.has(directory, 2)) return 1;
  const uint32_t entries = reader.number(directory, 2);
  for (uint32_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + i * kEntry;
    if (!reader.has(entry, kEntry)) return 1;
    if (reader.number(entry, 2) != kOrientation || reader.number(entry + 2, 2) != kShort) continue;
    const uint32_t value = reader.number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace silc
