#include "engine/photometric.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "pictures/processors.h"

namespace silc {
namespace {

// The weights of ITU-R 601-2, as torchvision has them.
constexpr float kRed = 0.2989F;
constexpr float kGreen = 0.587F;
constexpr float kBlue = 0.114F;

SILC_INLINE float unit(float value) { return std::min(std::max(value, 0.0F), 1.0F); }

// The three planes of a crop, in [0, 1].
struct Planes {
  float* red;
  float* green;
  float* blue;
  int64_t count;  // pixels

  [[nodiscard]] SILC_INLINE float grey(int64_t i) const { return kRed * red[i] + kGreen * green[i] + kBlue * blue[i]; }
};

SILC_WITH_AND_WITHOUT_AVX2
void scale(const Planes& planes, float factor) {
  for (float* plane : {planes.red, planes.green, planes.blue})
    for (int64_t i = 0; i < planes.count; ++i) plane[i] = unit(factor * plane[i]);
}

// One after the other: the order decides the last bits.
float mean_grey(const Planes& planes) {
  double sum = 0;
  for (int64_t i = 0; i < planes.count; ++i) sum += planes.grey(i);
  return static_cast<float>(sum / static_cast<double>(planes.count));
}

SILC_WITH_AND_WITHOUT_AVX2
void adjust_contrast(const Planes& planes, float factor, float mean) {
  const float rest = (1 - factor) * mean;
  for (float* plane : {planes.red, planes.green, planes.blue})
    for (int64_t i = 0; i < planes.count; ++i) plane[i] = unit(factor * plane[i] + rest);
}

SILC_WITH_AND_WITHOUT_AVX2
void adjust_saturation(const Planes& planes, float factor) {
  for (int64_t i = 0; i < planes.count; ++i) {
    const float rest = (1 - factor) * planes.grey(i);
    planes.red[i] = unit(factor * planes.red[i] + rest);
    planes.green[i] = unit(factor * planes.green[i] + rest);
    planes.blue[i] = unit(factor * planes.blue[i] + rest);
  }
}

// One colour of (hue, value, chroma = saturation · value): v − c · clamp(min(k, 4 − k), 0, 1), k = (n + 6 h) mod 6,
// which is torchvision's table of six cases without branches. `sixths`: 6 h in [0, 6).
SILC_INLINE float colour(float n, float sixths, float value, float chroma) {
  float k = n + sixths;
  k -= k >= 6 ? 6.0F : 0.0F;
  return unit(value - chroma * unit(std::min(k, 4 - k)));
}

SILC_WITH_AND_WITHOUT_AVX2
void turn_hue(const Planes& planes, float turn) {
  const float turn_sixths = 6 * turn;  // in [-3, 3]
  for (int64_t i = 0; i < planes.count; ++i) {
    const float r = planes.red[i];
    const float g = planes.green[i];
    const float b = planes.blue[i];
    const float value = std::max(r, std::max(g, b));
    const float chroma = value - std::min(r, std::min(g, b));
    const float divisor = chroma > 0 ? chroma : 1.0F;
    // (g − b) / c, 2 + (b − r) / c or 4 + (r − g) / c, by one division, which takes longest.
    const float difference = value == r ? g - b : value == g ? b - r : r - g;
    const float third = value == r ? 0.0F : value == g ? 2.0F : 4.0F;
    float sixths = third + difference / divisor;  // in [-1, 5]
    sixths += turn_sixths;
    sixths += sixths < 0 ? 6.0F : 0.0F;
    sixths -= sixths >= 6 ? 6.0F : 0.0F;
    planes.red[i] = colour(5, sixths, value, chroma);
    planes.green[i] = colour(3, sixths, value, chroma);
    planes.blue[i] = colour(1, sixths, value, chroma);
  }
}

void apply_jitter(const ColourJitter& jitter, const Planes& planes) {
  for (const ColourJitter::Adjustment adjustment : jitter.order) {
    switch (adjustment) {
      case ColourJitter::Adjustment::brightness:
        if (jitter.brightness != 1) scale(planes, static_cast<float>(jitter.brightness));
        break;
      case ColourJitter::Adjustment::contrast:
        if (jitter.contrast != 1) adjust_contrast(planes, static_cast<float>(jitter.contrast), mean_grey(planes));
        break;
      case ColourJitter::Adjustment::saturation:
        if (jitter.saturation != 1) adjust_saturation(planes, static_cast<float>(jitter.saturation));
        break;
      case ColourJitter::Adjustment::hue:
        if (jitter.hue != 0) turn_hue(planes, static_cast<float>(jitter.hue));
        break;
    }
  }
}

SILC_WITH_AND_WITHOUT_AVX2
void make_grey(const Planes& planes) {
  for (int64_t i = 0; i < planes.count; ++i) {
    const float grey = planes.grey(i);
    planes.red[i] = grey;
    planes.green[i] = grey;
    planes.blue[i] = grey;
  }
}

// [2 · radius + 1], sum 1.
std::vector<float> gaussian(double sigma, int64_t radius) {
  std::vector<double> densities;
  double sum = 0;
  for (int64_t x = -radius; x <= radius; ++x) {
    densities.push_back(std::exp(-0.5 * static_cast<double>(x * x) / (sigma * sigma)));
    sum += densities.back();
  }
  std::vector<float> kernel;
  for (const double density : densities) kernel.push_back(static_cast<float>(density / sum));
  return kernel;
}

// The edge itself is not repeated.
int64_t mirrored(int64_t place, int64_t size) {
  if (place < 0) return -place;
  return place < size ? place : 2 * size - 2 - place;
}

// Rows of which sums are made in one go: the sums are then read and written once.
constexpr int64_t kAtOnce = 4;

// sums += weights[0] · rows[0], then += weights[1] · rows[1] and so on, each rounded.
SILC_WITH_AND_WITHOUT_AVX2
void add_weighed(const float* const* rows, const float* weights, int64_t count, int64_t length, float* sums) {
  if (count == kAtOnce) {
    for (int64_t x = 0; x < length; ++x)
      sums[x] = (((sums[x] + weights[0] * rows[0][x]) + weights[1] * rows[1][x]) + weights[2] * rows[2][x]) +
                weights[3] * rows[3][x];
    return;
  }
  for (int64_t k = 0; k < count; ++k)
    for (int64_t x = 0; x < length; ++x) sums[x] += weights[k] * rows[k][x];
}

// sums: Σ kernel[k] · row(k), k by k.
template <class Row>
void convolve(const std::vector<float>& kernel, int64_t length, const Row& row, float* sums) {
  const auto taps = static_cast<int64_t>(kernel.size());
  std::fill(sums, sums + length, 0.0F);
  for (int64_t k = 0; k < taps; k += kAtOnce) {
    const int64_t count = std::min(kAtOnce, taps - k);
    const float* rows[kAtOnce];
    for (int64_t i = 0; i < count; ++i) rows[i] = row(k + i);
    add_weighed(rows, kernel.data() + k, count, length, sums);
  }
}

void blur_plane(const std::vector<float>& kernel, int64_t size, float* plane) {
  const int64_t radius = static_cast<int64_t>(kernel.size()) / 2;
  std::vector<float> padded(static_cast<size_t>(size + 2 * radius));
  std::vector<float> rows(static_cast<size_t>(size * size));  // after the blur along x
  for (int64_t y = 0; y < size; ++y) {
    const float* row = plane + y * size;
    std::copy(row, row + size, padded.begin() + radius);
    for (int64_t x = 0; x < radius; ++x) {
      padded[static_cast<size_t>(x)] = row[mirrored(x - radius, size)];
      padded[static_cast<size_t>(radius + size + x)] = row[mirrored(size + x, size)];
    }
    convolve(
        kernel, size, [&](int64_t k) { return padded.data() + k; }, rows.data() + y * size);
  }
  for (int64_t y = 0; y < size; ++y)
    convolve(
        kernel, size, [&](int64_t k) { return rows.data() + mirrored(y + k - radius, size) * size; }, plane + y * size);
}

void blur(const Planes& planes, int64_t size, double sigma) {
  const int64_t radius = std::min(static_cast<int64_t>(std::ceil(3 * sigma)), size - 1);
  const std::vector<float> kernel = gaussian(sigma, radius);
  for (float* plane : {planes.red, planes.green, planes.blue}) blur_plane(kernel, size, plane);
}

SILC_WITH_AND_WITHOUT_AVX2
void solarize(const Planes& planes) {
  for (float* plane : {planes.red, planes.green, planes.blue})
    for (int64_t i = 0; i < planes.count; ++i) plane[i] = plane[i] >= 0.5F ? 1 - plane[i] : plane[i];
}

// [-1, 1] → [0, 1].
SILC_WITH_AND_WITHOUT_AVX2
void to_unit(float* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] = unit(0.5F * values[i] + 0.5F);
}

SILC_WITH_AND_WITHOUT_AVX2
void from_unit(float* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) values[i] = 2 * values[i] - 1;
}

ColourJitter draw_jitter(const Photometric& colours, Random& random) {
  ColourJitter jitter;
  for (uint32_t i = 3; i > 0; --i) std::swap(jitter.order.at(i), jitter.order.at(random.below(i + 1)));
  const auto factor = [&](double range) { return random.uniform(std::max(0.0, 1 - range), 1 + range); };
  jitter.brightness = factor(colours.brightness);
  jitter.contrast = factor(colours.contrast);
  jitter.saturation = factor(colours.saturation);
  jitter.hue = random.uniform(-colours.hue, colours.hue);
  return jitter;
}

}  // namespace

ColourChange draw_colours(const Photometric& colours, Random& random) {
  ColourChange change;
  if (random.uniform() < colours.jitter) change.jitter = draw_jitter(colours, random);
  change.greyscale = random.uniform() < colours.greyscale;
  if (random.uniform() < colours.blur) change.blur = random.uniform(colours.blur_sigma[0], colours.blur_sigma[1]);
  change.solarize = random.uniform() < colours.solarize;
  return change;
}

bool changes_nothing(const ColourChange& change) {
  return !change.jitter && !change.greyscale && !change.blur && !change.solarize;
}

void apply_colours(const ColourChange& change, int64_t size, float* pixels) {
  if (changes_nothing(change)) return;
  const int64_t count = size * size;
  const Planes planes{.red = pixels, .green = pixels + count, .blue = pixels + 2 * count, .count = count};
  to_unit(pixels, 3 * count);
  if (change.jitter) apply_jitter(*change.jitter, planes);
  if (change.greyscale) make_grey(planes);
  if (change.blur) blur(planes, size, *change.blur);
  if (change.solarize) solarize(planes);
  from_unit(pixels, 3 * count);
}

}  // namespace silc
