// What decode.cpp knows of each format. Regions here are in pixels as they are stored, before the EXIF orientation.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pictures/decode.h"

namespace silc {

using Bytes = std::span<const uint8_t>;

struct Header {
  int64_t width = 0, height = 0;  // as stored
  int orientation = 1;            // of EXIF, 1 to 8
};

// Each throws silc::Error that begins with what is wrong ("is cut short"), to be said of the file.
Header read_jpeg_header(Bytes file);
Header read_png_header(Bytes file);
Header read_webp_header(Bytes file);

// At least `region`. `part.pixels.rgb` is there.
PicturePart decode_jpeg(Bytes file, const Region& region, int64_t reduction);
PicturePart decode_png(Bytes file, const Region& region);
PicturePart decode_webp(Bytes file, const Region& region);

LabelMap decode_png_labels(Bytes file);

// [height, width, 4] with coverage; whatever colours and depth the file has. Its EXIF orientation is not followed.
std::vector<uint8_t> decode_png_rgba(Bytes file, int64_t& width, int64_t& height);

// Throws for sizes that no picture to train on has.
void check_size(int64_t width, int64_t height);

}  // namespace silc
