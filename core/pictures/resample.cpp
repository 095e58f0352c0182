#include "pictures/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "pictures/processors.h"

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

// Rows that are weighed and added up in one go: the sums are then read and written once.
constexpr int64_t kRowsAtOnce = 4;

// sums = sums + weight[0] · row[0], then + weight[1] · row[1] and so on, each rounded; with `fresh` from zero on.
template <int kRows, class T>
SILC_INLINE void add_rows_of(const uint8_t* const* rows, const T* weights, bool fresh, int64_t length, T* sums) {
  for (int64_t i = 0; i < length; ++i) {
    T sum = fresh ? T{} : sums[i];
    for (int k = 0; k < kRows; ++k) sum += weights[k] * static_cast<T>(rows[k][i]);
    sums[i] = sum;
  }
}

template <class T>
SILC_INLINE void add_some_rows(const uint8_t* const* rows, const T* weights, int64_t count, bool fresh, int64_t length,
                               T* sums) {
  if (count == 1) return add_rows_of<1>(rows, weights, fresh, length, sums);
  if (count == 2) return add_rows_of<2>(rows, weights, fresh, length, sums);
  if (count == 3) return add_rows_of<3>(rows, weights, fresh, length, sums);
  add_rows_of<kRowsAtOnce>(rows, weights, fresh, length, sums);
}

SILC_WITH_AND_WITHOUT_AVX2
void add_some(const uint8_t* const* rows, const float* weights, int64_t count, bool fresh, int64_t length,
              float* sums) {
  fresh ? add_some_rows(rows, weights, count, true, length, sums)
        : add_some_rows(rows, weights, count, false, length, sums);
}

SILC_WITH_AND_WITHOUT_AVX2
void add_some_levels(const uint8_t* const* rows, const int32_t* weights, int64_t count, bool fresh, int64_t length,
                     int32_t* sums) {
  fresh ? add_some_rows(rows, weights, count, true, length, sums)
        : add_some_rows(rows, weights, count, false, length, sums);
}

// Row `y` of the result before its columns are narrowed, or after: the sum over rows that `row(k)` points to.
template <class T, class Row, class AddSome>
void add_rows(const Taps& taps, const std::vector<T>& weights, int64_t y, int64_t length, const Row& row,
              const AddSome& add, T* sums) {
  const int64_t count = taps.count[static_cast<size_t>(y)];
  const int64_t first = taps.first[static_cast<size_t>(y)];
  for (int64_t k = 0; k < count; k += kRowsAtOnce) {
    const uint8_t* rows[kRowsAtOnce];
    const int64_t some = std::min(kRowsAtOnce, count - k);
    for (int64_t i = 0; i < some; ++i) rows[i] = row(first + k + i);
    add(rows, weights.data() + y * taps.width + k, some, k == 0, length, sums);
  }
}

// Red, green, blue, and a fourth that is not looked at, of one pixel and of two: channels in one operation.
template <class T>
struct Channels {
  using One __attribute__((vector_size(4 * sizeof(T)))) = T;
  using Two __attribute__((vector_size(8 * sizeof(T)))) = T;
};

template <class Vector, class T>
SILC_INLINE void load(const T* from, Vector& vector) {
  std::memcpy(&vector, from, sizeof vector);
}

// One direction's taps as the columns of a row are weighed by them: four pixels at a time, those after the last of
// weight zero.
template <class T>
struct ColumnTaps {
  static constexpr int64_t kPixels = 4;

  ColumnTaps(const Taps& taps, const std::vector<T>& weights_of)
      : left(*std::min_element(taps.first.begin(), taps.first.end())),
        count(*std::max_element(taps.count.begin(), taps.count.end())),
        padded((static_cast<int64_t>(taps.first.size()) + kPixels - 1) / kPixels * kPixels),
        first(static_cast<size_t>(padded)),
        weights(static_cast<size_t>(padded * count * 4)) {
    for (size_t x = 0; x < taps.first.size(); ++x) {
      right = std::max(right, taps.first[x] + taps.count[x]);
      first[x] = (taps.first[x] - left) * 3;
      for (int64_t k = 0; k < taps.count[x]; ++k) {
        const auto pair = static_cast<int64_t>(x / 2);
        T* four = weights.data() + (pair * count + k) * 8 + static_cast<int64_t>(x % 2) * 4;
        std::fill_n(four, 4, weights_of[x * static_cast<size_t>(taps.width) + static_cast<size_t>(k)]);
      }
    }
  }

  // Of pixels [left, right), three channels each, with room to load four channels of taps that have no weight.
  [[nodiscard]] std::vector<T> room_for_row() const {
    return std::vector<T>(static_cast<size_t>((right - left + count) * 3 + 4));
  }

  int64_t left, right = 0;     // pixels of a row in memory that take part
  int64_t count;               // taps of each pixel
  int64_t padded;              // pixels that the row becomes, and a few
  std::vector<int64_t> first;  // [padded] where in the row
  std::vector<T> weights;      // [padded / 2, count, 2, 4]
};

// Into planes: [3, padded].
template <class T>
SILC_INLINE void weigh_columns_of(const T* row, const int64_t* first, const T* weights, int64_t taps, int64_t padded,
                                  T* planes) {
  using One = typename Channels<T>::One;
  using Two = typename Channels<T>::Two;
  const auto weighed = [&](int64_t x, Two & sum) __attribute__((always_inline)) {
    const T* weight = weights + x / 2 * taps * 8;
    for (int64_t k = 0; k < taps; ++k, weight += 8) {
      One one, other;
      Two both;
      load(row + first[x] + 3 * k, one);
      load(row + first[x + 1] + 3 * k, other);
      load(weight, both);
      sum += both * __builtin_shufflevector(one, other, 0, 1, 2, 3, 4, 5, 6, 7);
    }
  };
  for (int64_t x = 0; x < padded; x += 4) {
    Two front{}, back{};
    weighed(x, front);
    weighed(x + 2, back);
    const One red = __builtin_shufflevector(front, back, 0, 4, 8, 12);
    const One green = __builtin_shufflevector(front, back, 1, 5, 9, 13);
    const One blue = __builtin_shufflevector(front, back, 2, 6, 10, 14);
    std::memcpy(planes + x, &red, sizeof red);
    std::memcpy(planes + padded + x, &green, sizeof green);
    std::memcpy(planes + 2 * padded + x, &blue, sizeof blue);
  }
}

SILC_WITH_AND_WITHOUT_AVX2
void weigh_columns(const float* row, const int64_t* first, const float* weights, int64_t taps, int64_t padded,
                   float* planes) {
  weigh_columns_of(row, first, weights, taps, padded, planes);
}

SILC_WITH_AND_WITHOUT_AVX2
void weigh_level_columns(const int32_t* row, const int64_t* first, const int32_t* weights, int64_t taps, int64_t padded,
                         int32_t* planes) {
  weigh_columns_of(row, first, weights, taps, padded, planes);
}

// Grey levels in [0, 255] → [-1, 1], mirrored with `flip`.
SILC_WITH_AND_WITHOUT_AVX2
void put_row(const float* levels, int64_t width, bool flip, float* into) {
  if (flip)
    for (int64_t x = 0; x < width; ++x) into[width - 1 - x] = levels[x] / 127.5F - 1.0F;
  else
    for (int64_t x = 0; x < width; ++x) into[x] = levels[x] / 127.5F - 1.0F;
}

// Rows first: one output row at a time before its columns are done, so little memory is touched.
void resample_bilinear(const PixelView& pixels, const Taps& columns, const Taps& rows, bool flip, float* into) {
  const auto width = static_cast<int64_t>(columns.first.size());
  const auto height = static_cast<int64_t>(rows.first.size());
  const std::vector<float> row_weights(rows.exact.begin(), rows.exact.end());
  const ColumnTaps<float> taps(columns, {columns.exact.begin(), columns.exact.end()});
  std::vector<float> row = taps.room_for_row();
  std::vector<float> planes(static_cast<size_t>(3 * taps.padded));
  const auto source = [&](int64_t y) { return pixels.rgb + (y * pixels.width + taps.left) * 3; };
  for (int64_t y = 0; y < height; ++y) {
    add_rows(rows, row_weights, y, (taps.right - taps.left) * 3, source, add_some, row.data());
    weigh_columns(row.data(), taps.first.data(), taps.weights.data(), taps.count, taps.padded, planes.data());
    for (int64_t c = 0; c < 3; ++c)
      put_row(planes.data() + c * taps.padded, width, flip, into + (c * height + y) * width);
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

// Sums of weighed levels, rounded to levels.
SILC_WITH_AND_WITHOUT_AVX2
void round_to_levels(const int32_t* sums, int64_t length, uint8_t* levels) {
  constexpr int32_t kHalf = 1 << (kPrecision - 1);
  for (int64_t i = 0; i < length; ++i)
    levels[i] = static_cast<uint8_t>(std::clamp((sums[i] + kHalf) >> kPrecision, 0, 255));
}

SILC_WITH_AND_WITHOUT_AVX2
void widen(const uint8_t* levels, int64_t length, int32_t* into) {
  for (int64_t i = 0; i < length; ++i) into[i] = levels[i];
}

SILC_WITH_AND_WITHOUT_AVX2
void widen(const uint8_t* levels, int64_t length, float* into) {
  for (int64_t i = 0; i < length; ++i) into[i] = levels[i];
}

// Columns first, as Pillow, because what is rounded and clipped in between depends on it.
void resample_bicubic(const PixelView& pixels, const Taps& columns, const Taps& rows, bool flip, float* into) {
  const auto width = static_cast<int64_t>(columns.first.size());
  const auto height = static_cast<int64_t>(rows.first.size());
  const std::vector<int32_t> row_weights = fixed_point(rows.exact);
  const ColumnTaps<int32_t> taps(columns, fixed_point(columns.exact));
  const int64_t top = *std::min_element(rows.first.begin(), rows.first.end());
  int64_t bottom = 0;
  for (std::size_t i = 0; i < rows.first.size(); ++i) bottom = std::max(bottom, rows.first[i] + rows.count[i]);
  const int64_t row_length = 3 * taps.padded;
  std::vector<int32_t> row = taps.room_for_row();
  std::vector<int32_t> sums(static_cast<size_t>(row_length));                     // [3, padded]
  std::vector<uint8_t> narrow(static_cast<size_t>((bottom - top) * row_length));  // [bottom − top, 3, padded]
  const auto narrow_row = [&](int64_t y) { return narrow.data() + (y - top) * row_length; };
  for (int64_t y = top; y < bottom; ++y) {
    widen(pixels.rgb + (y * pixels.width + taps.left) * 3, (taps.right - taps.left) * 3, row.data());
    weigh_level_columns(row.data(), taps.first.data(), taps.weights.data(), taps.count, taps.padded, sums.data());
    round_to_levels(sums.data(), row_length, narrow_row(y));
  }
  std::vector<uint8_t> levels(static_cast<size_t>(row_length));
  std::vector<float> exact(static_cast<size_t>(row_length));
  for (int64_t y = 0; y < height; ++y) {
    add_rows(rows, row_weights, y, row_length, narrow_row, add_some_levels, sums.data());
    round_to_levels(sums.data(), row_length, levels.data());
    widen(levels.data(), row_length, exact.data());
    for (int64_t c = 0; c < 3; ++c)
      put_row(exact.data() + c * taps.padded, width, flip, into + (c * height + y) * width);
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

std::vector<uint8_t> resampled_levels(const PixelView& pixels, const Axis& horizontal, const Axis& vertical) {
  const int64_t area = vertical.count * horizontal.count;
  std::vector<float> planes(static_cast<std::size_t>(3 * area));
  resample(pixels, horizontal, vertical, Interpolation::bilinear, /*flip=*/false, planes.data());
  std::vector<uint8_t> levels(planes.size());
  for (int64_t i = 0; i < area; ++i)
    for (int64_t c = 0; c < 3; ++c)
      levels[static_cast<std::size_t>(3 * i + c)] = static_cast<uint8_t>(
          std::clamp((planes[static_cast<std::size_t>(c * area + i)] + 1) * 127.5F + 0.5F, 0.0F, 255.0F));
  return levels;
}

}  // namespace silc
