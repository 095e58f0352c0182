#include "pictures/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "pictures/codecs.h"
#include "silc/error.h"

namespace silc {
namespace {

enum class Format : uint8_t { jpeg, png, webp };

bool begins_with(Bytes file, std::string_view magic, std::size_t at = 0) {
  return file.size() >= at + magic.size() &&
         std::equal(magic.begin(), magic.end(), file.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

Format format_of(Bytes file) {
  if (begins_with(file, "\xFF\xD8\xFF")) return Format::jpeg;
  if (begins_with(file, "\x89PNG\r\n\x1A\n")) return Format::png;
  if (begins_with(file, "RIFF") && begins_with(file, "WEBP", 8)) return Format::webp;
  if (file.empty()) throw Error("is empty");
  const bool gif = begins_with(file, "GIF8");
  throw Error(gif ? "is a GIF; pictures must be JPEG, PNG or WebP" : "is no JPEG, PNG or WebP");
}

Header read_header(Bytes file) {
  switch (format_of(file)) {
    case Format::jpeg:
      return read_jpeg_header(file);
    case Format::png:
      return read_png_header(file);
    case Format::webp:
      return read_webp_header(file);
  }
  return {};
}

PicturePart decode_stored(Bytes file, const Region& region, int64_t reduction) {
  switch (format_of(file)) {
    case Format::jpeg:
      return decode_jpeg(file, region, reduction);
    case Format::png:
      return decode_png(file, region);
    case Format::webp:
      return decode_webp(file, region);
  }
  return {};
}

// How EXIF's orientations come about: the stored picture is mirrored in one or both directions, then perhaps flipped
// over its main diagonal.
struct Turn {
  explicit Turn(int orientation)
      : mirror_x(orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8),
        mirror_y(orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7),
        transpose(orientation >= 5) {}

  bool mirror_x;  // of the stored picture
  bool mirror_y;
  bool transpose;
};

// Where `upright` lies in the stored picture of width × height pixels.
Region stored_region(const Region& upright, const Turn& turn, int64_t width, int64_t height) {
  Region stored = upright;
  if (turn.transpose) stored = {upright.y, upright.x, upright.height, upright.width};
  if (turn.mirror_x) stored.x = width - stored.x - stored.width;
  if (turn.mirror_y) stored.y = height - stored.y - stored.height;
  return stored;
}

PicturePart turned(const PicturePart& stored, const Turn& turn, int64_t width, int64_t height) {
  PicturePart upright;
  upright.reduction = stored.reduction;
  const int64_t columns = stored.pixels.width;
  const int64_t rows = stored.pixels.height;
  upright.x = turn.mirror_x ? width - stored.x - columns * stored.reduction : stored.x;
  upright.y = turn.mirror_y ? height - stored.y - rows * stored.reduction : stored.y;
  if (turn.transpose) std::swap(upright.x, upright.y);
  Image& pixels = upright.pixels;
  pixels.width = turn.transpose ? rows : columns;
  pixels.height = turn.transpose ? columns : rows;
  pixels.rgb.resize(stored.pixels.rgb.size());
  uint8_t* to = pixels.rgb.data();
  for (int64_t v = 0; v < pixels.height; ++v) {
    for (int64_t u = 0; u < pixels.width; ++u, to += 3) {
      const int64_t x = turn.transpose ? v : u;
      const int64_t y = turn.transpose ? u : v;
      const int64_t column = turn.mirror_x ? columns - 1 - x : x;
      const int64_t row = turn.mirror_y ? rows - 1 - y : y;
      std::copy_n(stored.pixels.rgb.data() + (row * columns + column) * 3, 3, to);
    }
  }
  return upright;
}

// `work`, with the picture's name in what it throws.
template <class Work>
auto naming(std::string_view source, Work work) {
  try {
    return work();
  } catch (const Error& error) {
    throw Error(fmt::format("{} {}", source.empty() ? "a picture" : source, error.what()));
  }
}

}  // namespace

void check_size(int64_t width, int64_t height) {
  if (width < 1 || height < 1) throw Error("has no pixels");
  if (width > kMostPixels / height)
    throw Error(fmt::format("is {} × {} pixels large; more than {} are refused as a decompression bomb", width, height,
                            kMostPixels));
}

Image encoded_image(std::vector<uint8_t> file, std::string source) {
  const Header header = naming(source, [&] { return read_header(file); });
  Image image{.width = header.width, .height = header.height, .rgb = {}};
  if (Turn(header.orientation).transpose) std::swap(image.width, image.height);
  image.encoded = std::move(file);
  image.source = std::move(source);
  return image;
}

PicturePart decode_part(Image image, const Region& region, int64_t reduction) {
  if (image.encoded.empty()) return {.pixels = std::move(image)};
  return naming(image.source, [&] {
    const Header header = read_header(image.encoded);
    const Turn turn(header.orientation);
    const Region stored = stored_region(region, turn, header.width, header.height);
    PicturePart part = decode_stored(image.encoded, stored, reduction);
    if (header.orientation == 1) return part;
    return turned(part, turn, header.width, header.height);
  });
}

Image decoded(Image image) {
  const Region all{.x = 0, .y = 0, .width = image.width, .height = image.height};
  return decode_part(std::move(image), all).pixels;
}

LabelMap decode_label_map(std::span<const uint8_t> file, std::string_view source) {
  return naming(source, [&] {
    if (format_of(file) != Format::png) throw Error("is no PNG: label maps must be, since JPEG changes their values");
    return decode_png_labels(file);
  });
}

}  // namespace silc
