#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>

#include <algorithm>
#include <memory>

#include "pictures/codecs.h"
#include "pictures/draw.h"
#include "pictures/exif.h"
#include "silc/error.h"

namespace silc {
namespace {

WebPBitstreamFeatures features_of(Bytes file) {
  WebPBitstreamFeatures features{};
  if (WebPGetFeatures(file.data(), file.size(), &features) != VP8_STATUS_OK)
    throw Error("is cut short or damaged in its header");
  check_size(features.width, features.height);
  return features;
}

int orientation_of(Bytes file) {
  const WebPData data{file.data(), file.size()};
  const std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)> demuxer(WebPDemux(&data), WebPDemuxDelete);
  if (!demuxer) return 1;
  WebPChunkIterator chunk{};
  int orientation = 1;
  if (WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk) != 0) {
    Bytes exif(chunk.chunk.bytes, chunk.chunk.size);
    constexpr std::string_view kPrefix("Exif\0\0", 6);  // which some writers leave in, against the specification
    if (exif.size() >= kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), exif.begin()))
      exif = exif.subspan(kPrefix.size());
    orientation = exif_orientation(exif);
  }
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

PicturePart first_of_animation(Bytes file) {
  WebPAnimDecoderOptions options{};
  WebPAnimDecoderOptionsInit(&options);
  options.color_mode = MODE_RGBA;
  const WebPData data{file.data(), file.size()};
  const std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> decoder(WebPAnimDecoderNew(&data, &options),
                                                                             WebPAnimDecoderDelete);
  WebPAnimInfo info{};
  uint8_t* rgba = nullptr;
  int time = 0;
  if (!decoder || WebPAnimDecoderGetInfo(decoder.get(), &info) == 0 ||
      WebPAnimDecoderGetNext(decoder.get(), &rgba, &time) == 0)
    throw Error("is an animation that is cut short or damaged");
  PicturePart part;
  part.pixels.width = info.canvas_width;
  part.pixels.height = info.canvas_height;
  part.pixels.rgb.reserve(std::size_t{info.canvas_width} * info.canvas_height * 3);
  for (std::size_t i = 0; i < std::size_t{info.canvas_width} * info.canvas_height; ++i)
    part.pixels.rgb.insert(part.pixels.rgb.end(), rgba + 4 * i, rgba + 4 * i + 3);
  return part;
}

}  // namespace

Header read_webp_header(Bytes file) {
  const WebPBitstreamFeatures features = features_of(file);
  return {.width = features.width, .height = features.height, .orientation = orientation_of(file)};
}

PicturePart decode_webp(Bytes file, const Region& region) {
  const WebPBitstreamFeatures features = features_of(file);
  if (features.has_animation != 0) return first_of_animation(file);
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) throw Error("cannot be decoded: libwebp is of another version");
  PicturePart part;
  // Chroma is interpolated between rows and columns, so a part is cut with some around it.
  constexpr int64_t kMargin = 8;
  const auto even = [](int64_t at) { return std::max<int64_t>(at, 0) / 2 * 2; };
  part.x = even(region.x - kMargin);
  part.y = even(region.y - kMargin);
  part.pixels.width = std::min<int64_t>(region.x + region.width + kMargin, features.width) - part.x;
  part.pixels.height = std::min<int64_t>(region.y + region.height + kMargin, features.height) - part.y;
  part.pixels.rgb.resize(static_cast<std::size_t>(part.pixels.width * part.pixels.height * 3));
  config.options.use_cropping = 1;
  config.options.crop_left = static_cast<int>(part.x);
  config.options.crop_top = static_cast<int>(part.y);
  config.options.crop_width = static_cast<int>(part.pixels.width);
  config.options.crop_height = static_cast<int>(part.pixels.height);
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {.rgba = part.pixels.rgb.data(),
                          .stride = static_cast<int>(part.pixels.width * 3),
                          .size = part.pixels.rgb.size()};
  const VP8StatusCode status = WebPDecode(file.data(), file.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (status != VP8_STATUS_OK) throw Error("is cut short or damaged");
  return part;
}

std::vector<uint8_t> encode_webp(const Image& image, float quality) {
  const auto width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  std::vector<uint8_t> smallest;
  const auto take = [&](uint8_t* bytes, std::size_t size) {
    const std::unique_ptr<uint8_t, void (*)(void*)> file(bytes, WebPFree);
    if (size > 0 && (smallest.empty() || size < smallest.size())) smallest.assign(bytes, bytes + size);
  };
  uint8_t* bytes = nullptr;
  std::size_t size = WebPEncodeRGB(image.rgb.data(), width, height, 3 * width, quality, &bytes);
  take(bytes, size);
  bytes = nullptr;
  size = WebPEncodeLosslessRGB(image.rgb.data(), width, height, 3 * width, &bytes);
  take(bytes, size);
  if (smallest.empty()) throw Error("a picture cannot be written as WebP; it is too large, or memory ran out");
  return smallest;
}

}  // namespace silc
