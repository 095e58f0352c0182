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

Crop whole_picture(const Image& image) {
  return {.x = 0, .y = 0, .width = image.width, .height = image.height, .flip = false};
}

namespace {

// Weights of the input pixels that make up each output pixel along one axis.
struct Taps {
  int64_t width = 0;           // weights for each output pixel; unused ones are zero
  std::vector<int64_t> first;  // [out] first input pixel
  std::vector<int64_t> count;  // [out]
  std::vector<float> weights;  // [out, width]
};

// As compute_indices_weights_aa in ATen's UpSampleKernel, which follows Pillow's precompute_coeffs.
Taps make_taps(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  Taps taps;
  taps.width = static_cast<int64_t>(std::ceil(stretch)) * 2 + 1;
  taps.first.resize(static_cast<size_t>(out));
  taps.count.resize(static_cast<size_t>(out));
  taps.weights.resize(static_cast<size_t>(out * taps.width));
  for (int64_t i = 0; i < out; ++i) {
    const double centre = scale * (static_cast<double>(i) + 0.5);
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(centre - stretch + 0.5), 0);
    const int64_t end = std::min<int64_t>(static_cast<int64_t>(centre + stretch + 0.5), in);
    float* weights = taps.weights.data() + i * taps.width;
    double sum = 0;
    for (int64_t j = first; j < end; ++j) {
      const double weight = std::max(0.0, 1.0 - std::abs((static_cast<double>(j) + 0.5 - centre) / stretch));
      weights[j - first] = static_cast<float>(weight);
      sum += weight;
    }
    for (int64_t j = 0; j < end - first; ++j) weights[j] = static_cast<float>(weights[j] / sum);
    taps.first[static_cast<size_t>(i)] = first;
    taps.count[static_cast<size_t>(i)] = end - first;
  }
  return taps;
}

}  // namespace

void cut_view(const Image& image, const Crop& crop, int64_t size, float* into) {
  const Taps rows = make_taps(crop.height, size);
  const Taps columns = make_taps(crop.width, size);
  const int64_t row_length = crop.width * 3;
  std::vector<float> row(
      static_cast<size_t>(row_length));  // [crop.width, 3] one output row before its columns are done
  for (int64_t y = 0; y < size; ++y) {
    std::fill(row.begin(), row.end(), 0.0F);
    for (int64_t k = 0; k < rows.count[static_cast<size_t>(y)]; ++k) {
      const float weight = rows.weights[static_cast<size_t>(y * rows.width + k)];
      const int64_t source_row = crop.y + rows.first[static_cast<size_t>(y)] + k;
      const uint8_t* source = image.rgb.data() + (source_row * image.width + crop.x) * 3;
      float* sum = row.data();
      for (int64_t i = 0; i < row_length; ++i) sum[i] += weight * static_cast<float>(source[i]);
    }
    for (int64_t x = 0; x < size; ++x) {
      const float* weights = columns.weights.data() + x * columns.width;
      const float* source = row.data() + columns.first[static_cast<size_t>(x)] * 3;
      float red = 0, green = 0, blue = 0;
      for (int64_t k = 0; k < columns.count[static_cast<size_t>(x)]; ++k) {
        red += weights[k] * source[3 * k];
        green += weights[k] * source[3 * k + 1];
        blue += weights[k] * source[3 * k + 2];
      }
      float* pixel = into + y * size + (crop.flip ? size - 1 - x : x);
      pixel[0] = red / 127.5F - 1.0F;
      pixel[size * size] = green / 127.5F - 1.0F;
      pixel[2 * size * size] = blue / 127.5F - 1.0F;
    }
  }
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
