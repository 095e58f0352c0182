#include "engine/views.h"

#include <algorithm>
#include <cmath>

namespace silc {

Crop random_crop(const ViewSpec& view, int64_t width, int64_t height, Random& random) {
  Crop crop{.x = 0, .y = 0, .width = width, .height = height, .flip = false};
  const double lowest = view.aspect_ratio[0];
  const double highest = view.aspect_ratio[1];
  const double area = static_cast<double>(width * height);
  const auto place = [&](int64_t crop_width, int64_t crop_height) {
    crop.width = crop_width;
    crop.height = crop_height;
    crop.x = random.below(static_cast<uint32_t>(width - crop_width + 1));
    crop.y = random.below(static_cast<uint32_t>(height - crop_height + 1));
  };
  const auto draw = [&] {
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double target = area * random.uniform(view.area[0], view.area[1]);
      const double ratio = std::exp(random.uniform(std::log(lowest), std::log(highest)));
      const int64_t crop_width = std::llround(std::sqrt(target * ratio));
      const int64_t crop_height = std::llround(std::sqrt(target / ratio));
      if (crop_width > 0 && crop_width <= width && crop_height > 0 && crop_height <= height) {
        place(crop_width, crop_height);
        return;
      }
    }
    const double ratio = static_cast<double>(width) / static_cast<double>(height);
    if (ratio < lowest)
      crop.height = std::clamp<int64_t>(std::llround(static_cast<double>(width) / lowest), 1, height);
    else if (ratio > highest)
      crop.width = std::clamp<int64_t>(std::llround(static_cast<double>(height) * highest), 1, width);
    crop.x = (width - crop.width) / 2;
    crop.y = (height - crop.height) / 2;
  };
  if (view.area[0] < 1) draw();
  if (view.flip) crop.flip = random.below(2) == 1;
  return crop;
}

ImageTransform image_transform(const ImageSettings& settings) {
  ImageTransform transform;
  if (settings.resize_mode == "shortest") transform.resize = ImageTransform::Resize::shortest;
  if (settings.interpolation == "bicubic") transform.interpolation = Interpolation::bicubic;
  for (size_t c = 0; c < 3; ++c) {
    transform.mean[c] = static_cast<float>(settings.mean[c]);
    transform.std[c] = static_cast<float>(settings.std[c]);
  }
  return transform;
}

void cut_view(const PixelView& pixels, const Crop& crop, int64_t size, Interpolation interpolation, float* into,
              const Shown& shown) {
  resample(pixels, {.begin = crop.x, .length = crop.width, .size = size, .first = 0, .count = size},
           {.begin = crop.y, .length = crop.height, .size = size, .first = 0, .count = size}, interpolation, crop.flip,
           into, shown);
}

Shown normalising(const ImageTransform& transform) {
  Shown shown;
  for (size_t c = 0; c < 3; ++c) {
    shown.factor[c] = 0.5F / transform.std[c];
    shown.shift[c] = (0.5F - transform.mean[c]) / transform.std[c];
  }
  return shown;
}

namespace {

// One direction of a picture whose shorter side becomes `size`, and of that the centre. As torchvision rounds.
Axis central(int64_t length, int64_t shorter, int64_t size) {
  const int64_t resized = length == shorter ? size : size * length / shorter;
  const auto first = static_cast<int64_t>(std::nearbyint(static_cast<double>(resized - size) / 2));
  return {.begin = 0, .length = length, .size = resized, .first = first, .count = size};
}

Axis squashed(int64_t length, int64_t size) {
  return {.begin = 0, .length = length, .size = size, .first = 0, .count = size};
}

}  // namespace

void cut_evaluated(const Image& image, const ImageTransform& transform, int64_t size, float* into) {
  const Image with_pixels = image.encoded.empty() ? Image{} : decoded(image);
  const Image& pixels = image.encoded.empty() ? image : with_pixels;
  const int64_t shorter = std::min(pixels.width, pixels.height);
  const bool squash = transform.resize == ImageTransform::Resize::squash;
  const auto axis = [&](int64_t length) { return squash ? squashed(length, size) : central(length, shorter, size); };
  resample(pixels, axis(pixels.width), axis(pixels.height), transform.interpolation, false, into,
           normalising(transform));
}

int64_t greatest_reduction(const Crop& crop, int64_t size) {
  int64_t reduction = 8;
  while (reduction > 1 && (crop.width < size * reduction || crop.height < size * reduction)) reduction /= 2;
  return reduction;
}

Region joined(const Region& region, const Crop& crop) {
  if (region.width == 0) return {.x = crop.x, .y = crop.y, .width = crop.width, .height = crop.height};
  const int64_t x = std::min(region.x, crop.x);
  const int64_t y = std::min(region.y, crop.y);
  return {.x = x,
          .y = y,
          .width = std::max(region.x + region.width, crop.x + crop.width) - x,
          .height = std::max(region.y + region.height, crop.y + crop.height) - y};
}

void cut_mask(const std::vector<uint8_t>& mask, int64_t width, const Crop& crop, int64_t size, uint8_t* into) {
  // ⌊(i + ½) · in / size⌋ in whole numbers.
  const auto nearest = [size](int64_t i, int64_t in) { return (2 * i + 1) * in / (2 * size); };
  for (int64_t y = 0; y < size; ++y) {
    const uint8_t* row = mask.data() + (crop.y + nearest(y, crop.height)) * width + crop.x;
    for (int64_t x = 0; x < size; ++x) into[y * size + (crop.flip ? size - 1 - x : x)] = row[nearest(x, crop.width)];
  }
}

}  // namespace silc
