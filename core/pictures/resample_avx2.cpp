// resample_loops.h for processors with AVX2 and FMA.
#include <immintrin.h>

#include <utility>

#include "pictures/processors.h"
#include "pictures/resample_loops.h"

namespace silc {
namespace {

SILC_INLINE __m128i levels_at(const uint8_t* levels) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(levels));
}

struct Lanes {
  static constexpr int kCount = 8;
  using Floats __attribute__((vector_size(32))) = float;
  using Ints __attribute__((vector_size(32))) = int32_t;

  static SILC_INLINE Ints widen(const uint8_t* levels) {
    return reinterpret_cast<Ints>(_mm256_cvtepu8_epi32(_mm_loadu_si64(levels)));
  }
  static SILC_INLINE Ints clamped(const Ints& values) {
    const auto positive = _mm256_max_epi32(reinterpret_cast<__m256i>(values), _mm256_setzero_si256());
    return reinterpret_cast<Ints>(_mm256_min_epi32(positive, _mm256_set1_epi32(255)));
  }
  // Blocks of four numbers, `stride` apart.
  static SILC_INLINE Floats load_blocks(const float* from, int64_t stride) {
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from)), _mm_loadu_ps(from + stride), 1);
  }
  // Samples [at, at + 16) of kCount rows: sample c of all rows becomes a vector at turned + c · kCount. Levels of four
  // rows are brought side by side, so that one shuffle takes those of a column.
  static SILC_INLINE void turn_levels(const uint8_t* const* rows, int64_t at, int32_t* turned) {
    __m256i four[4];
    for (int i = 0; i < 4; ++i)
      four[i] =
          _mm256_inserti128_si256(_mm256_castsi128_si256(levels_at(rows[i] + at)), levels_at(rows[i + 4] + at), 1);
    const __m256i low = _mm256_unpacklo_epi8(four[0], four[1]), high = _mm256_unpackhi_epi8(four[0], four[1]);
    const __m256i next_low = _mm256_unpacklo_epi8(four[2], four[3]), next_high = _mm256_unpackhi_epi8(four[2], four[3]);
    four[0] = _mm256_unpacklo_epi16(low, next_low);
    four[1] = _mm256_unpackhi_epi16(low, next_low);
    four[2] = _mm256_unpacklo_epi16(high, next_high);
    four[3] = _mm256_unpackhi_epi16(high, next_high);
    for (int c = 0; c < 16; ++c) {
      const int first = c % 4 * 4;
      const __m256i bytes = _mm256_broadcastsi128_si256(
          _mm_setr_epi8(static_cast<char>(first), -1, -1, -1, static_cast<char>(first + 1), -1, -1, -1,
                        static_cast<char>(first + 2), -1, -1, -1, static_cast<char>(first + 3), -1, -1, -1));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(turned + c * kCount), _mm256_shuffle_epi8(four[c / 4], bytes));
    }
  }
  // Sixteen columns of kCount rows, of which `rows` are wanted, clamped to levels.
  static SILC_INLINE void narrow(const int32_t* columns, uint8_t* into, int64_t stride, int64_t rows) {
    const __m256i order =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m256i four[4];  // columns, and four rows in 128 bits
    for (int i = 0; i < 4; ++i) {
      const auto* at = reinterpret_cast<const __m256i*>(columns + 4 * i * kCount);
      const __m256i levels = _mm256_packus_epi16(_mm256_packs_epi32(at[0], at[1]), _mm256_packs_epi32(at[2], at[3]));
      four[i] = _mm256_shuffle_epi8(levels, order);
    }
    const __m256i low = _mm256_unpacklo_epi32(four[0], four[1]), high = _mm256_unpackhi_epi32(four[0], four[1]);
    const __m256i next_low = _mm256_unpacklo_epi32(four[2], four[3]),
                  next_high = _mm256_unpackhi_epi32(four[2], four[3]);
    four[0] = _mm256_unpacklo_epi64(low, next_low);
    four[1] = _mm256_unpackhi_epi64(low, next_low);
    four[2] = _mm256_unpacklo_epi64(high, next_high);
    four[3] = _mm256_unpackhi_epi64(high, next_high);
    for (int i = 0; i < 4; ++i) {
      if (i < rows) _mm_storeu_si128(reinterpret_cast<__m128i*>(into + i * stride), _mm256_castsi256_si128(four[i]));
      if (i + 4 < rows)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(into + (i + 4) * stride), _mm256_extracti128_si256(four[i], 1));
    }
  }
  // Correctly rounded, as a division is: Markstein's theorem, the factor being the rounded reciprocal and the first
  // quotient off by less than a unit in the last place.
  static SILC_INLINE Floats divided_by_127_5(const Floats& values) {
    const __m256 factor = _mm256_set1_ps(1 / 127.5F);
    const __m256 quotient = _mm256_mul_ps(values, factor);
    const __m256 rest = _mm256_fnmadd_ps(quotient, _mm256_set1_ps(127.5F), values);
    return _mm256_fmadd_ps(rest, factor, quotient);
  }
  static SILC_INLINE void store_past_cache(const Floats& values, float* into) { _mm256_stream_ps(into, values); }
  static SILC_INLINE void finish_past_cache() { _mm_sfence(); }
};

#include "pictures/resample_lanes.h"

}  // namespace

const ResampleLoops kAvx2Loops = {"AVX2", bilinear, bicubic, turned_levels, show_planes};

}  // namespace silc
