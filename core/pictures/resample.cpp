#include "pictures/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace silc {
namespace {

// Weights of the input pixels that make up each output pixel along one direction.
struct Taps {
  int64_t width = 0;           // weights for each output pixel; unused ones are zero
  std::vector<int64_t> first;  // [out] first input pixel, as they lie in memory
  std::vector<int64_t> count;  // [out]
  std::vector<double> exact;   // [out, width]
};

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// As compute_indices_weights_aa in ATen's UpSampleKernel, which follows Pillow's precompute_coeffs. `origin`: where the
// pixels in memory start in the whole picture.
Taps make_taps(const Axis& axis, int64_t origin, int64_t reduction, int64_t available, Interpolation filter) {
  const auto unit = static_cast<double>(reduction);
  const int64_t whole = (axis.begin - origin) / reduction;  // what follows counts from this pixel
  const double begin = static_cast<double>((axis.begin - origin) % reduction) / unit;
  const double length = static_cast<double>(axis.length) / unit;
  const double scale = length / static_cast<double>(axis.size);
  const double stretch = std::max(scale, 1.0);
  const double support = filter == Interpolation::bilinear ? stretch : 2 * stretch;
  const int64_t highest = std::min(static_cast<int64_t>(std::ceil(begin + length)), available - whole);
  Taps taps;
  taps.width = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  taps.first.resize(static_cast<size_t>(axis.count));
  taps.count.resize(static_cast<size_t>(axis.count));
  taps.exact.resize(static_cast<size_t>(axis.count * taps.width));
  for (int64_t i = 0; i < axis.count; ++i) {
    const double centre = begin + scale * (static_cast<double>(axis.first + i) + 0.5);
    const int64_t first = std::max(static_cast<int64_t>(centre - support + 0.5), int64_t{0});
    const int64_t end = std::min(static_cast<int64_t>(centre + support + 0.5), highest);
    double* weights = taps.exact.data() + i * taps.width;
    double sum = 0;
    for (int64_t j = first; j < end; ++j) {
      const double distance = (static_cast<double>(j) + 0.5 - centre) / stretch;
      const double weight = filter == Interpolation::bilinear ? triangle(distance) : cubic(distance);
      // ATen keeps the triangle's weights in fp32 before they are divided by their sum.
      weights[j - first] = filter == Interpolation::bilinear ? static_cast<float>(weight) : weight;
      sum += weight;
    }
    for (int64_t j = 0; j < end - first; ++j) weights[j] /= sum;
    taps.first[static_cast<size_t>(i)] = whole + first;
    taps.count[static_cast<size_t>(i)] = end - first;
  }
  return taps;
}

float in_unit(float level) { return level / 127.5F - 1.0F; }

// Compiled for processors with AVX2 and for those without; without FMA, so that both give the same bits.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define SILC_WITH_AND_WITHOUT_AVX2 __attribute__((target_clones("avx2", "default")))
#else
#define SILC_WITH_AND_WITHOUT_AVX2
#endif

// sum += first_weight · first, then += second_weight · second, each rounded.
SILC_WITH_AND_WITHOUT_AVX2
void add_two_rows(const uint8_t* first, float first_weight, const uint8_t* second, float second_weight, int64_t length,
                  float* sum) {
  for (int64_t i = 0; i < length; ++i)
    sum[i] = (sum[i] + first_weight * static_cast<float>(first[i])) + second_weight * static_cast<float>(second[i]);
}

SILC_WITH_AND_WITHOUT_AVX2
void add_row(const uint8_t* row, float weight, int64_t length, float* sum) {
  for (int64_t i = 0; i < length; ++i) sum[i] += weight * static_cast<float>(row[i]);
}

// Red, green, blue, and a fourth that is not looked at: the three channels of a pixel in one operation.
using Channels __attribute__((vector_size(4 * sizeof(float)))) = float;

Channels load_channels(const float* from) {
  Channels channels;
  std::memcpy(&channels, from, sizeof channels);
  return channels;
}

// Rows first: one output row at a time before its columns are done, so little memory is touched.
void resample_bilinear(const PixelView& pixels, const Taps& columns, const Taps& rows, bool flip, float* into) {
  const auto width = static_cast<int64_t>(columns.first.size());
  const auto height = static_cast<int64_t>(rows.first.size());
  const int64_t left = *std::min_element(columns.first.begin(), columns.first.end());
  int64_t right = 0;
  for (std::size_t i = 0; i < columns.first.size(); ++i) right = std::max(right, columns.first[i] + columns.count[i]);
  const int64_t row_length = (right - left) * 3;
  const std::vector<float> row_weights(rows.exact.begin(), rows.exact.end());
  const std::vector<float> column_weights(columns.exact.begin(), columns.exact.end());
  std::vector<float> row(static_cast<size_t>(row_length + 1));  // [right − left, 3], and one to load four of the last
  for (int64_t y = 0; y < height; ++y) {
    std::fill(row.begin(), row.end(), 0.0F);
    const float* weights_down = row_weights.data() + y * rows.width;
    const auto source = [&](int64_t k) {
      return pixels.rgb + ((rows.first[static_cast<size_t>(y)] + k) * pixels.width + left) * 3;
    };
    const int64_t taps = rows.count[static_cast<size_t>(y)];
    for (int64_t k = 0; k + 1 < taps; k += 2)
      add_two_rows(source(k), weights_down[k], source(k + 1), weights_down[k + 1], row_length, row.data());
    if (taps % 2 == 1) add_row(source(taps - 1), weights_down[taps - 1], row_length, row.data());
    for (int64_t x = 0; x < width; ++x) {
      const float* weights = column_weights.data() + x * columns.width;
      const float* from = row.data() + (columns.first[static_cast<size_t>(x)] - left) * 3;
      Channels sum = {0, 0, 0, 0};
      for (int64_t k = 0; k < columns.count[static_cast<size_t>(x)]; ++k)
        sum += weights[k] * load_channels(from + 3 * k);
      sum = sum / 127.5F - 1.0F;
      float* pixel = into + y * width + (flip ? width - 1 - x : x);
      pixel[0] = sum[0];
      pixel[width * height] = sum[1];
      pixel[2 * width * height] = sum[2];
    }
  }
}

// Pillow's fixed-point numbers: eight bits of level, two of headroom.
constexpr int kPrecision = 32 - 8 - 2;

std::vector<int32_t> fixed_point(const std::vector<double>& weights) {
  std::vector<int32_t> fixed(weights.size());
  std::transform(weights.begin(), weights.end(), fixed.begin(), [](double weight) {
    return static_cast<int32_t>(weight * (1 << kPrecision) + (weight < 0 ? -0.5 : 0.5));
  });
  return fixed;
}

uint8_t level(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kPrecision, 0, 255)); }

constexpr int32_t kHalf = 1 << (kPrecision - 1);

SILC_WITH_AND_WITHOUT_AVX2
void add_levels(const uint8_t* levels, int32_t weight, int64_t length, int32_t* sum) {
  for (int64_t i = 0; i < length; ++i) sum[i] += weight * levels[i];
}

// Columns first, as Pillow, because what is rounded and clipped in between depends on it.
void resample_bicubic(const PixelView& pixels, const Taps& columns, const Taps& rows, bool flip, float* into) {
  const auto width = static_cast<int64_t>(columns.first.size());
  const auto height = static_cast<int64_t>(rows.first.size());
  const std::vector<int32_t> row_weights = fixed_point(rows.exact);
  const std::vector<int32_t> column_weights = fixed_point(columns.exact);
  const int64_t top = *std::min_element(rows.first.begin(), rows.first.end());
  int64_t bottom = 0;
  for (std::size_t i = 0; i < rows.first.size(); ++i) bottom = std::max(bottom, rows.first[i] + rows.count[i]);
  const int64_t row_length = width * 3;
  std::vector<uint8_t> narrow(static_cast<size_t>((bottom - top) * row_length));  // [bottom − top, width, 3]
  for (int64_t y = top; y < bottom; ++y) {
    uint8_t* to = narrow.data() + (y - top) * row_length;
    for (int64_t x = 0; x < width; ++x, to += 3) {
      const int32_t* weights = column_weights.data() + x * columns.width;
      const uint8_t* source = pixels.rgb + (y * pixels.width + columns.first[static_cast<size_t>(x)]) * 3;
      int32_t red = kHalf, green = kHalf, blue = kHalf;
      for (int64_t k = 0; k < columns.count[static_cast<size_t>(x)]; ++k) {
        red += weights[k] * source[3 * k];
        green += weights[k] * source[3 * k + 1];
        blue += weights[k] * source[3 * k + 2];
      }
      to[0] = level(red);
      to[1] = level(green);
      to[2] = level(blue);
    }
  }
  std::vector<int32_t> sums(static_cast<size_t>(row_length));  // [width, 3]
  for (int64_t y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int64_t k = 0; k < rows.count[static_cast<size_t>(y)]; ++k) {
      const int32_t weight = row_weights[static_cast<size_t>(y * rows.width + k)];
      const uint8_t* source = narrow.data() + (rows.first[static_cast<size_t>(y)] + k - top) * row_length;
      add_levels(source, weight, row_length, sums.data());
    }
    for (int64_t x = 0; x < width; ++x) {
      float* pixel = into + y * width + (flip ? width - 1 - x : x);
      for (int64_t c = 0; c < 3; ++c) pixel[c * width * height] = in_unit(level(sums[static_cast<size_t>(3 * x + c)]));
    }
  }
}

}  // namespace

void resample(const PixelView& pixels, const Axis& horizontal, const Axis& vertical, Interpolation filter, bool flip,
              float* into) {
  const Taps columns = make_taps(horizontal, pixels.x, pixels.reduction, pixels.width, filter);
  const Taps rows = make_taps(vertical, pixels.y, pixels.reduction, pixels.height, filter);
  if (filter == Interpolation::bilinear)
    resample_bilinear(pixels, columns, rows, flip, into);
  else
    resample_bicubic(pixels, columns, rows, flip, into);
}

}  // namespace silc
