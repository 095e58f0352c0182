// resample_loops.h for processors with AVX-512.
#include <immintrin.h>

#include <utility>

#include "pictures/processors.h"
#include "pictures/resample_loops.h"

namespace silc {
namespace {

SILC_INLINE __m128i levels_at(const uint8_t* levels) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(levels));
}

// Sixteen samples of rows four apart.
SILC_INLINE __m512i blocks_at(const uint8_t* const* rows, int64_t at) {
  __m512i blocks = _mm512_castsi128_si512(levels_at(rows[0] + at));
  blocks = _mm512_mask_broadcast_i32x4(blocks, 0x00F0, levels_at(rows[4] + at));
  blocks = _mm512_mask_broadcast_i32x4(blocks, 0x0F00, levels_at(rows[8] + at));
  return _mm512_mask_broadcast_i32x4(blocks, 0xF000, levels_at(rows[12] + at));
}

struct Lanes {
  static constexpr int kCount = 16;
  using Floats __attribute__((vector_size(64))) = float;
  using Ints __attribute__((vector_size(64))) = int32_t;

  static SILC_INLINE Ints widen(const uint8_t* levels) {
    return reinterpret_cast<Ints>(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(levels))));
  }
  static SILC_INLINE Ints clamped(const Ints& values) {
    const auto positive = _mm512_max_epi32(reinterpret_cast<__m512i>(values), _mm512_setzero_si512());
    return reinterpret_cast<Ints>(_mm512_min_epi32(positive, _mm512_set1_epi32(255)));
  }
  // Blocks of four numbers, `stride` apart.
  static SILC_INLINE Floats load_blocks(const float* from, int64_t stride) {
    __m512 blocks = _mm512_castps128_ps512(_mm_loadu_ps(from));
    blocks = _mm512_mask_broadcast_f32x4(blocks, 0x00F0, _mm_loadu_ps(from + stride));
    blocks = _mm512_mask_broadcast_f32x4(blocks, 0x0F00, _mm_loadu_ps(from + 2 * stride));
    return _mm512_mask_broadcast_f32x4(blocks, 0xF000, _mm_loadu_ps(from + 3 * stride));
  }
  // Samples [at, at + 16) of kCount rows: sample c of all rows becomes a vector at turned + c · kCount. Levels of four
  // rows are brought side by side, so that one shuffle takes those of a column.
  static SILC_INLINE void turn_levels(const uint8_t* const* rows, int64_t at, int32_t* turned) {
    __m512i four[4];
    for (int i = 0; i < 4; ++i) four[i] = blocks_at(rows + i, at);
    const __m512i low = _mm512_unpacklo_epi8(four[0], four[1]), high = _mm512_unpackhi_epi8(four[0], four[1]);
    const __m512i next_low = _mm512_unpacklo_epi8(four[2], four[3]), next_high = _mm512_unpackhi_epi8(four[2], four[3]);
    four[0] = _mm512_unpacklo_epi16(low, next_low);
    four[1] = _mm512_unpackhi_epi16(low, next_low);
    four[2] = _mm512_unpacklo_epi16(high, next_high);
    four[3] = _mm512_unpackhi_epi16(high, next_high);
    for (int c = 0; c < 16; ++c) {
      const int first = c % 4 * 4;
      const __m512i bytes = _mm512_broadcast_i32x4(
          _mm_setr_epi8(static_cast<char>(first), -1, -1, -1, static_cast<char>(first + 1), -1, -1, -1,
                        static_cast<char>(first + 2), -1, -1, -1, static_cast<char>(first + 3), -1, -1, -1));
      _mm512_storeu_si512(reinterpret_cast<__m512i*>(turned + c * kCount), _mm512_shuffle_epi8(four[c / 4], bytes));
    }
  }
  // Sixteen columns of kCount rows, of which `rows` are wanted, clamped to levels.
  static SILC_INLINE void narrow(const int32_t* columns, uint8_t* into, int64_t stride, int64_t rows) {
    const __m512i order = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m512i four[4];  // columns, and four rows in 128 bits
    for (int i = 0; i < 4; ++i) {
      const auto* at = reinterpret_cast<const __m512i*>(columns + 4 * i * kCount);
      const __m512i levels = _mm512_packus_epi16(_mm512_packs_epi32(at[0], at[1]), _mm512_packs_epi32(at[2], at[3]));
      four[i] = _mm512_shuffle_epi8(levels, order);
    }
    const __m512i low = _mm512_unpacklo_epi32(four[0], four[1]), high = _mm512_unpackhi_epi32(four[0], four[1]);
    const __m512i next_low = _mm512_unpacklo_epi32(four[2], four[3]),
                  next_high = _mm512_unpackhi_epi32(four[2], four[3]);
    four[0] = _mm512_unpacklo_epi64(low, next_low);
    four[1] = _mm512_unpackhi_epi64(low, next_low);
    four[2] = _mm512_unpacklo_epi64(high, next_high);
    four[3] = _mm512_unpackhi_epi64(high, next_high);
    for (int i = 0; i < 4; ++i) {
      if (i < rows) _mm_storeu_si128(reinterpret_cast<__m128i*>(into + i * stride), _mm512_castsi512_si128(four[i]));
      if (i + 4 < rows)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(into + (i + 4) * stride), _mm512_extracti32x4_epi32(four[i], 1));
      if (i + 8 < rows)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(into + (i + 8) * stride), _mm512_extracti32x4_epi32(four[i], 2));
      if (i + 12 < rows)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(into + (i + 12) * stride), _mm512_extracti32x4_epi32(four[i], 3));
    }
  }
  // As resample_avx2.cpp.
  static SILC_INLINE Floats divided_by_127_5(const Floats& values) {
    const __m512 factor = _mm512_set1_ps(1 / 127.5F);
    const __m512 quotient = _mm512_mul_ps(values, factor);
    const __m512 rest = _mm512_fnmadd_ps(quotient, _mm512_set1_ps(127.5F), values);
    return _mm512_fmadd_ps(rest, factor, quotient);
  }
  static SILC_INLINE void store_past_cache(const Floats& values, float* into) { _mm512_stream_ps(into, values); }
  static SILC_INLINE void finish_past_cache() { _mm_sfence(); }
};

#include "pictures/resample_lanes.h"

}  // namespace

const ResampleLoops kAvx512Loops = {"AVX-512", bilinear, bicubic};

}  // namespace silc
