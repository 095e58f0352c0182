#include "pictures/resample.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>
#include <vector>

#include "pictures/processors.h"
#include "pictures/resample_loops.h"

namespace silc {
namespace {

// Weights of the input pixels that make up each output pixel along one direction.
struct Taps {
  int64_t width = 0;           // weights for each output pixel; unused ones are zero
  std::vector<int64_t> first;  // [out] first input pixel, as they lie in memory
  std::vector<int64_t> count;  // [out]
  std::vector<double> exact;   // [out, width]
};

SILC_INLINE double triangle(double x) {
  const double height = 1.0 - std::abs(x);
  return 0.0 < height ? height : 0.0;
}

SILC_INLINE double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  const double near = ((a + 2) * x - (a + 3)) * x * x + 1;
  const double far = (((x - 5) * x + 8) * x - 4) * a;
  const double within = x < 2 ? far : 0;
  return x < 1 ? near : within;
}

// The weights of tap k of all output pixels: weights[i] and their sums. Output pixel i has its centre at centres[i],
// its first tap at firsts[i] and its last before ends[i].
SILC_WITH_AND_WITHOUT_AVX2
void weigh_triangles(const double* centres, const double* firsts, const double* ends, double stretch, int64_t k,
                     int64_t count, double* weights, double* sums) {
  for (int64_t i = 0; i < count; ++i) {
    const double at = firsts[i] + static_cast<double>(k);
    const double weight = triangle((at + 0.5 - centres[i]) / stretch);
    const double inside = at < ends[i] ? weight : 0;
    // ATen keeps the triangle's weights in fp32 before they are divided by their sum.
    weights[i] = static_cast<float>(inside);
    sums[i] += inside;
  }
}

SILC_WITH_AND_WITHOUT_AVX2
void weigh_cubics(const double* centres, const double* firsts, const double* ends, double stretch, int64_t k,
                  int64_t count, double* weights, double* sums) {
  for (int64_t i = 0; i < count; ++i) {
    const double at = firsts[i] + static_cast<double>(k);
    const double weight = cubic((at + 0.5 - centres[i]) / stretch);
    const double inside = at < ends[i] ? weight : 0;
    weights[i] = inside;
    sums[i] += inside;
  }
}

SILC_WITH_AND_WITHOUT_AVX2
void divide(double* weights, const double* sums, int64_t count) {
  for (int64_t i = 0; i < count; ++i) weights[i] /= sums[i];
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
  const auto count = static_cast<size_t>(axis.count);
  Taps taps;
  taps.first.resize(count);
  taps.count.resize(count);
  std::vector<double> numbers(4 * count);  // of all output pixels: centres, firsts, ends, sums
  double* const centres = numbers.data();
  double* const firsts = centres + count;
  double* const ends = firsts + count;
  double* const sums = ends + count;
  for (size_t i = 0; i < count; ++i) {
    const double centre = begin + scale * (static_cast<double>(axis.first + static_cast<int64_t>(i)) + 0.5);
    const int64_t first = std::max(static_cast<int64_t>(centre - support + 0.5), int64_t{0});
    const int64_t end = std::min(static_cast<int64_t>(centre + support + 0.5), highest);
    centres[i] = centre;
    firsts[i] = static_cast<double>(first);
    ends[i] = static_cast<double>(end);
    taps.first[i] = whole + first;
    taps.count[i] = end - first;
    taps.width = std::max(taps.width, end - first);
  }
  const auto width = static_cast<size_t>(taps.width);
  std::vector<double> by_tap(width * count);
  const auto weigh = filter == Interpolation::bilinear ? weigh_triangles : weigh_cubics;
  for (size_t k = 0; k < width; ++k)
    weigh(centres, firsts, ends, stretch, static_cast<int64_t>(k), axis.count, by_tap.data() + k * count, sums);
  taps.exact.resize(count * width);
  for (size_t k = 0; k < width; ++k) {
    double* const weights = by_tap.data() + k * count;
    divide(weights, sums, axis.count);
    for (size_t i = 0; i < count; ++i) taps.exact[i * width + k] = weights[i];
  }
  return taps;
}

std::vector<int32_t> fixed_point(const std::vector<double>& weights) {
  std::vector<int32_t> fixed(weights.size());
  std::transform(weights.begin(), weights.end(), fixed.begin(), [](double weight) {
    return static_cast<int32_t>(weight * (1 << kLevelPrecision) + (weight < 0 ? -0.5 : 0.5));
  });
  return fixed;
}

// Memory on a line of the cache, not initialized.
class Scratch {
 public:
  explicit Scratch(int64_t bytes) : memory_(::operator new(static_cast<std::size_t>(bytes), kAlignment)) {}
  ~Scratch() { ::operator delete(memory_, kAlignment); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  T* numbers() {
    return static_cast<T*>(memory_);
  }

 private:
  static constexpr std::align_val_t kAlignment{kCacheLine};

  void* memory_;
};

template <class T>
WeighedTaps<T> weighed(const Taps& taps, const std::vector<T>& weights) {
  return {.first = taps.first.data(),
          .count = taps.count.data(),
          .weights = weights.data(),
          .width = taps.width,
          .size = static_cast<int64_t>(taps.first.size())};
}

// Lets `taps` count from the first pixel that any of them reaches, which is returned, and `reach` to the last.
int64_t count_from_first(Taps& taps, int64_t& reach) {
  const int64_t first = taps.first.front();
  reach = taps.first.back() + taps.count.back() - first;
  for (int64_t& tap : taps.first) tap -= first;
  return first;
}

// Rows of `length` values.
TargetPlanes target_of(const Shown& shown, int64_t length, bool mirror, float* into) {
  const bool whole_lines = length % kFloatsInLine == 0 && reinterpret_cast<std::uintptr_t>(into) % kCacheLine == 0;
  TargetPlanes target{
      .values = into, .factor = {}, .shift = {}, .mirror = mirror, .past_cache = shown.past_cache && whole_lines};
  std::copy(shown.factor.begin(), shown.factor.end(), target.factor);
  std::copy(shown.shift.begin(), shown.shift.end(), target.shift);
  return target;
}

}  // namespace

std::span<const ResampleLoops* const> usable_resample_loops() {
  static const std::vector<const ResampleLoops*> usable = [] {
    std::vector<const ResampleLoops*> loops;
#ifdef __x86_64__
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    // Processors that have VBMI2 do not slow down for the sake of wide vectors, as older ones do.
    if (avx2 && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi2"))
      loops.push_back(&kAvx512Loops);
    if (avx2) loops.push_back(&kAvx2Loops);
#endif
    loops.push_back(&kPlainLoops);
    return loops;
  }();
  return usable;
}

void resample(const ResampleLoops& loops, const PixelView& pixels, const Axis& horizontal, const Axis& vertical,
              Interpolation filter, bool flip, float* into, const Shown& shown) {
  Taps columns = make_taps(horizontal, pixels.x, pixels.reduction, pixels.width, filter);
  Taps rows = make_taps(vertical, pixels.y, pixels.reduction, pixels.height, filter);
  SourceRows source{};
  const int64_t left = count_from_first(columns, source.samples);
  const int64_t top = count_from_first(rows, source.rows);
  source.samples *= 3;
  source.stride = pixels.width * 3;
  source.rgb = pixels.rgb + top * source.stride + left * 3;
  std::vector<uint8_t> widened;
  if (source.samples < kGreatestStrip) {
    widened.resize(static_cast<std::size_t>(source.rows * kGreatestStrip));
    for (int64_t y = 0; y < source.rows; ++y)
      std::copy_n(source.rgb + y * source.stride, source.samples, widened.data() + y * kGreatestStrip);
    source.rgb = widened.data();
    source.stride = source.samples = kGreatestStrip;
  }

  const TargetPlanes target = target_of(shown, horizontal.count, flip, into);

  if (filter == Interpolation::bilinear) {
    const std::vector<float> column_weights(columns.exact.begin(), columns.exact.end());
    const std::vector<float> row_weights(rows.exact.begin(), rows.exact.end());
    const int64_t turned = (source.samples + kGreatestStrip) * kGreatestLanes;
    Scratch scratch(2 * turned * static_cast<int64_t>(sizeof(float)));
    loops.bilinear(source, weighed(columns, column_weights), weighed(rows, row_weights), target,
                   scratch.numbers<float>(), scratch.numbers<float>() + turned);
  } else {
    const std::vector<int32_t> column_weights = fixed_point(columns.exact);
    const std::vector<int32_t> row_weights = fixed_point(rows.exact);
    const WeighedTaps<int32_t> of_columns = weighed(columns, column_weights);
    const int64_t stride = narrow_stride(horizontal.count);
    const int64_t numbers = padded_columns(loops.bicubic_numbers(source, of_columns));
    Scratch narrow(source.rows * stride);
    Scratch scratch((numbers + stride) * static_cast<int64_t>(sizeof(int32_t)));
    loops.bicubic(source, of_columns, weighed(rows, row_weights), target, narrow.numbers<uint8_t>(),
                  scratch.numbers<int32_t>(), scratch.numbers<int32_t>() + numbers);
  }
}

void resample(const PixelView& pixels, const Axis& horizontal, const Axis& vertical, Interpolation filter, bool flip,
              float* into, const Shown& shown) {
  resample(*usable_resample_loops().front(), pixels, horizontal, vertical, filter, flip, into, shown);
}

void show(const float* values, int64_t plane, const Shown& shown, float* into) {
  usable_resample_loops().front()->show(values, plane, target_of(shown, plane, /*mirror=*/false, into));
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
