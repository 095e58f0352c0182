#include <spng.h>

#include <algorithm>
#include <memory>

#include "pictures/codecs.h"
#include "pictures/exif.h"
#include "silc/error.h"

namespace silc {
namespace {

class Decoder {
 public:
  explicit Decoder(Bytes file) : png_(spng_ctx_new(0), spng_ctx_free) {
    if (!png_) throw Error("cannot be decoded: out of memory");
    // What surrounds the pixels may be damaged, as Pillow has it.
    check(spng_set_crc_action(png_.get(), SPNG_CRC_ERROR, SPNG_CRC_DISCARD));
    constexpr std::size_t kLargestChunk = std::size_t{64} << 20;  // profiles and texts; pixels are not counted
    check(spng_set_chunk_limits(png_.get(), kLargestChunk, 2 * kLargestChunk));
    check(spng_set_png_buffer(png_.get(), file.data(), file.size()));
    check(spng_get_ihdr(png_.get(), &header_));
    check_size(header_.width, header_.height);
  }

  [[nodiscard]] Header header() {
    Header header{.width = header_.width, .height = header_.height};
    spng_exif exif{};
    if (spng_get_exif(png_.get(), &exif) == 0)
      header.orientation = exif_orientation({reinterpret_cast<const uint8_t*>(exif.data), exif.length});
    return header;
  }

  // Rows come from the top, so those below the region are never inflated; those above are not kept.
  PicturePart decode(const Region& region) {
    const std::size_t row_length = std::size_t{header_.width} * 3;
    PicturePart part;
    part.pixels.width = header_.width;
    if (header_.interlace_method != 0) {
      part.pixels.height = header_.height;
      part.pixels.rgb.resize(row_length * header_.height);
      check(spng_decode_image(png_.get(), part.pixels.rgb.data(), part.pixels.rgb.size(), SPNG_FMT_RGB8, 0));
      return part;
    }
    part.y = region.y;
    part.pixels.height = region.height;
    part.pixels.rgb.resize(row_length * static_cast<std::size_t>(region.height));
    check(spng_decode_image(png_.get(), nullptr, 0, SPNG_FMT_RGB8, SPNG_DECODE_PROGRESSIVE));
    for (int64_t y = 0; y < region.y + region.height; ++y) {
      uint8_t* row = part.pixels.rgb.data() + static_cast<std::size_t>(std::max<int64_t>(y - region.y, 0)) * row_length;
      if (const int code = spng_decode_row(png_.get(), row, row_length); code != SPNG_EOI) check(code);
    }
    return part;
  }

  std::vector<uint8_t> rgba(int64_t& width, int64_t& height) {
    width = header_.width;
    height = header_.height;
    std::vector<uint8_t> pixels(static_cast<std::size_t>(width * height) * 4);
    check(spng_decode_image(png_.get(), pixels.data(), pixels.size(), SPNG_FMT_RGBA8, SPNG_DECODE_TRNS));
    return pixels;
  }

  LabelMap labels() {
    if (header_.color_type != SPNG_COLOR_TYPE_GRAYSCALE && header_.color_type != SPNG_COLOR_TYPE_INDEXED)
      throw Error("is a picture in colour, not a label map: those are PNGs of one channel, whose values are classes");
    std::size_t size = 0;
    check(spng_decoded_image_size(png_.get(), SPNG_FMT_PNG, &size));
    std::vector<uint8_t> bytes(size);
    check(spng_decode_image(png_.get(), bytes.data(), size, SPNG_FMT_PNG, 0));
    LabelMap map{.width = header_.width, .height = header_.height, .values = {}};
    map.values.resize(static_cast<std::size_t>(map.width * map.height));
    const std::size_t bits = header_.bit_depth;
    const std::size_t row_length = (static_cast<std::size_t>(map.width) * bits + 7) / 8;
    auto value = map.values.begin();
    for (std::size_t y = 0; y < header_.height; ++y) {
      const uint8_t* row = bytes.data() + y * row_length;
      for (std::size_t x = 0; x < header_.width; ++x, ++value) {
        if (bits == 16) {
          uint16_t word = 0;  // in the machine's order, as spng gives them
          std::copy_n(row + 2 * x, 2, reinterpret_cast<uint8_t*>(&word));
          *value = word;
        } else {
          const std::size_t bit = x * bits;
          *value = static_cast<uint16_t>(row[bit / 8] >> (8 - bits - bit % 8) & ((1U << bits) - 1));
        }
      }
    }
    return map;
  }

 private:
  static void check(int code) {
    if (code != 0) throw Error(std::string("is cut short or damaged (") + spng_strerror(code) + ")");
  }

  std::unique_ptr<spng_ctx, void (*)(spng_ctx*)> png_;
  spng_ihdr header_{};
};

}  // namespace

Header read_png_header(Bytes file) { return Decoder(file).header(); }

PicturePart decode_png(Bytes file, const Region& region) { return Decoder(file).decode(region); }

LabelMap decode_png_labels(Bytes file) { return Decoder(file).labels(); }

std::vector<uint8_t> decode_png_rgba(Bytes file, int64_t& width, int64_t& height) {
  return Decoder(file).rgba(width, height);
}

}  // namespace silc
