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

// Pillow's fixed-point weights in two parts that fit into 16 bits, weight = high · 2¹⁵ + low, of two taps side by side:
// a processor multiplies these by two levels each and adds up the products in one operation. Sums may overflow in
// between, but are right in the end, as 32 bits of whole numbers are.
constexpr int kLowBits = 15;

SILC_INLINE int32_t both(int32_t first, int32_t second) {
  return static_cast<int32_t>(static_cast<uint32_t>(first & 0xFFFF) | static_cast<uint32_t>(second) << 16);
}
SILC_INLINE int32_t high_parts(int32_t first, int32_t second) { return both(first >> kLowBits, second >> kLowBits); }
SILC_INLINE int32_t low_parts(int32_t first, int32_t second) {
  constexpr int32_t kMask = (1 << kLowBits) - 1;
  return both(first & kMask, second & kMask);
}

SILC_INLINE __m512i level_of(const __m512i& high, const __m512i& low) {
  return _mm512_srai_epi32(_mm512_add_epi32(_mm512_slli_epi32(high, kLowBits), low), kLevelPrecision);
}

constexpr int32_t kHalf = 1 << (kLevelPrecision - 1);

// How the columns of the result are made of a row as it lies in memory: red, green and blue in turn, sixteen of these
// samples at a time, of which each takes its levels by its place among 64 bytes that are loaded at once.
struct RowPlan {
  int64_t vectors;     // of sixteen samples of the result
  int64_t pairs;       // of taps
  int64_t last_place;  // among the 64, of the first pairs
  int32_t* first;      // [vectors] source sample from which places count
  int32_t* places;     // [vectors, 16] two bytes' places each, for the first pair
  int32_t* weights;    // [vectors, pairs, 2, 16] high and low parts
};

constexpr int64_t kPlaces = 64;

int64_t vectors_of(int64_t columns) { return (3 * columns + kLanes - 1) / kLanes; }

int64_t pairs_of(const WeighedTaps<int32_t>& taps) {
  int64_t most = 1;
  for (int64_t i = 0; i < taps.size; ++i) most = taps.count[i] > most ? taps.count[i] : most;
  return (most + 1) / 2;
}

int64_t plan_numbers(const SourceRows& source, const WeighedTaps<int32_t>& columns) {
  const int64_t of_plan = vectors_of(columns.size) * (2 + pairs_of(columns) * 2) * kLanes;
  const int64_t of_turned = turned_levels(source, columns);
  return of_plan > of_turned ? of_plan : of_turned;
}

// False where a vector's first levels lie too far apart.
bool make_plan(const WeighedTaps<int32_t>& columns, int32_t* numbers, RowPlan& plan) {
  plan.vectors = vectors_of(columns.size);
  plan.last_place = 0;
  plan.pairs = pairs_of(columns);
  plan.places = numbers;
  plan.weights = plan.places + plan.vectors * kLanes;
  plan.first = plan.weights + plan.vectors * plan.pairs * 2 * kLanes;
  // Samples beyond the last column are there, but make no difference.
  int32_t* last = plan.weights + (plan.vectors - 1) * plan.pairs * 2 * kLanes;
  for (int64_t i = 0; i < plan.pairs * 2 * kLanes; ++i) last[i] = 0;
  for (int64_t i = 0; i < kLanes; ++i) plan.places[(plan.vectors - 1) * kLanes + i] = 0;
  for (int64_t v = 0; v < plan.vectors; ++v) plan.first[v] = static_cast<int32_t>(columns.first[v * kLanes / 3] * 3);
  for (int64_t x = 0; x < columns.size; ++x) {
    const int32_t* weights = columns.weights + x * columns.width;
    for (int64_t c = 0; c < 3; ++c) {
      const int64_t v = (3 * x + c) / kLanes;
      const int64_t place = columns.first[x] * 3 + c - plan.first[v];
      if (place + 3 >= kPlaces) return false;
      plan.last_place = place + 3 > plan.last_place ? place + 3 : plan.last_place;
      plan.places[3 * x + c] = both(static_cast<int32_t>(place), static_cast<int32_t>(place + 3));
    }
    for (int64_t pair = 0; pair < plan.pairs; ++pair) {
      const int64_t k = 2 * pair;
      const int32_t one = k < columns.count[x] ? weights[k] : 0, other = k + 1 < columns.count[x] ? weights[k + 1] : 0;
      const int32_t high = high_parts(one, other), low = low_parts(one, other);
      for (int64_t s = 3 * x; s < 3 * x + 3; ++s) {
        int32_t* into = plan.weights + (s / kLanes * plan.pairs + pair) * 2 * kLanes + s % kLanes;
        into[0] = high;
        into[kLanes] = low;
      }
    }
  }
  return true;
}

constexpr int kRowsAtOnce = 4;  // so that weights are loaded once for them

// All columns of kRowsAtOnce rows. `limit`: the last sample from which a row has kPlaces of them. `kPairs`: how many
// pairs of taps there are, if that is known, all of whose levels are within a vector's kPlaces; 0: any.
template <int kPairs>
void narrow_rows_at(const uint8_t* const* rows, int64_t limit, const RowPlan& plan, uint8_t* const* narrow) {
  constexpr __mmask64 kFirstOfTwo = 0x5555555555555555;
  const int32_t* weights = plan.weights;
  for (int64_t v = 0; v < plan.vectors; ++v) {
    int64_t at = least(plan.first[v], limit);
    __m512i places = _mm512_add_epi8(_mm512_loadu_si512(plan.places + v * kLanes),
                                     _mm512_set1_epi8(static_cast<char>(plan.first[v] - at)));
    __m512i high[kRowsAtOnce], low[kRowsAtOnce], samples[kRowsAtOnce];
    for (int r = 0; r < kRowsAtOnce; ++r) {
      high[r] = _mm512_setzero_si512();
      low[r] = _mm512_set1_epi32(kHalf);
      samples[r] = _mm512_loadu_si512(rows[r] + at);
    }
    const auto add_pair = [&]() __attribute__((always_inline)) {
      const __m512i high_weights = _mm512_loadu_si512(weights), low_weights = _mm512_loadu_si512(weights + kLanes);
      for (int r = 0; r < kRowsAtOnce; ++r) {
        const __m512i levels = _mm512_maskz_permutexvar_epi8(kFirstOfTwo, places, samples[r]);
        high[r] = _mm512_dpwssd_epi32(high[r], levels, high_weights);
        low[r] = _mm512_dpwssd_epi32(low[r], levels, low_weights);
      }
      weights += 2 * kLanes;
    };
    if constexpr (kPairs > 0) {
#pragma GCC unroll 8
      for (int pair = 0; pair < kPairs; ++pair) {
        add_pair();
        places = _mm512_add_epi8(places, _mm512_set1_epi8(6));
      }
    } else {
      for (int64_t pair = 0; pair < plan.pairs; ++pair) {
        add_pair();
        const int64_t next = least(plan.first[v] + 6 * (pair + 1), limit);
        places = _mm512_add_epi8(places, _mm512_set1_epi8(static_cast<char>(6 - (next - at))));
        at = next;
        for (int r = 0; r < kRowsAtOnce; ++r) samples[r] = _mm512_loadu_si512(rows[r] + at);
      }
    }
    for (int r = 0; r < kRowsAtOnce; ++r) {
      const __m512i level = _mm512_max_epi32(level_of(high[r], low[r]), _mm512_setzero_si512());
      _mm_storeu_si128(reinterpret_cast<__m128i*>(narrow[r] + v * kLanes), _mm512_cvtusepi32_epi8(level));
    }
  }
}

using NarrowRows = void (*)(const uint8_t* const* rows, int64_t limit, const RowPlan& plan, uint8_t* const* narrow);

NarrowRows narrowing(const RowPlan& plan) {
  constexpr NarrowRows kByPairs[] = {nullptr,           narrow_rows_at<1>, narrow_rows_at<2>, narrow_rows_at<3>,
                                     narrow_rows_at<4>, narrow_rows_at<5>, narrow_rows_at<6>};
  const bool within = plan.last_place + 6 * (plan.pairs - 1) < kPlaces;
  return within && plan.pairs < static_cast<int64_t>(sizeof kByPairs / sizeof kByPairs[0]) ? kByPairs[plan.pairs]
                                                                                           : narrow_rows_at<0>;
}

// Rows from `y` on, as many as are made at once.
SILC_INLINE void narrow_some_rows(NarrowRows narrow_rows, const SourceRows& source, int64_t y, const RowPlan& plan,
                                  uint8_t* narrow, int64_t stride) {
  const uint8_t* rows[kRowsAtOnce];
  uint8_t* into[kRowsAtOnce];
  for (int r = 0; r < kRowsAtOnce; ++r) {
    const int64_t row = least(y + r, source.rows - 1);
    rows[r] = source.rgb + row * source.stride;
    into[r] = narrow + row * stride;
  }
  narrow_rows(rows, source.samples - kPlaces, plan, into);
}

constexpr int64_t kMostPairs = 32;

// How a row of the result is made of narrow ones, two at a time.
struct RowPairs {
  const uint8_t* first;
  int64_t stride;
  int64_t count;  // of rows
  int64_t pairs;
  int32_t high[kMostPairs], low[kMostPairs];  // parts of weights
};

void make_pairs(const WeighedTaps<int32_t>& rows, int64_t y, const uint8_t* narrow, int64_t stride, RowPairs& pairs) {
  const int32_t* weights = rows.weights + y * rows.width;
  pairs.first = narrow + rows.first[y] * stride;
  pairs.stride = stride;
  pairs.count = rows.count[y];
  pairs.pairs = (pairs.count + 1) / 2;
  for (int64_t pair = 0; pair < pairs.pairs; ++pair) {
    const int32_t one = weights[2 * pair], other = 2 * pair + 1 < pairs.count ? weights[2 * pair + 1] : 0;
    pairs.high[pair] = high_parts(one, other);
    pairs.low[pair] = low_parts(one, other);
  }
}

// Thirty-two samples of a row of the result, from sample `at` on: levels of red, green and blue in turn.
SILC_INLINE void weigh_narrow_rows(const RowPairs& pairs, int64_t at, uint8_t* levels) {
  __m512i high = _mm512_setzero_si512(), low = _mm512_set1_epi32(kHalf);
  __m512i next_high = high, next_low = low;
  const uint8_t* row = pairs.first + at;
  for (int64_t pair = 0; pair < pairs.pairs; ++pair, row += 2 * pairs.stride) {
    const uint8_t* other_row = 2 * pair + 1 < pairs.count ? row + pairs.stride : row;
    const __m512i one = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)));
    const __m512i other = _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(other_row)));
    const __m512i low_pairs = _mm512_unpacklo_epi16(one, other), high_pairs = _mm512_unpackhi_epi16(one, other);
    const __m512i of_high = _mm512_set1_epi32(pairs.high[pair]), of_low = _mm512_set1_epi32(pairs.low[pair]);
    high = _mm512_dpwssd_epi32(high, low_pairs, of_high);
    low = _mm512_dpwssd_epi32(low, low_pairs, of_low);
    next_high = _mm512_dpwssd_epi32(next_high, high_pairs, of_high);
    next_low = _mm512_dpwssd_epi32(next_low, high_pairs, of_low);
  }
  const __m512i both = _mm512_packs_epi32(level_of(high, low), level_of(next_high, next_low));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(levels + at),
                      _mm512_cvtusepi16_epi8(_mm512_max_epi16(both, _mm512_setzero_si512())));
}

// The places of one channel's levels among 48 bytes, each to be the lowest byte of a number.
struct ChannelPlaces {
  explicit ChannelPlaces(bool mirror) {
    for (int c = 0; c < 3; ++c)
      for (int i = 0; i < Lanes::kCount; ++i) places[c][i] = 3 * (mirror ? Lanes::kCount - 1 - i : i) + c;
  }
  alignas(kCacheLine) int32_t places[3][Lanes::kCount];
};

// Samples from column x on, mirrored already if they are to be.
SILC_INLINE void put_some(const Floats& values, const TargetPlanes& target, int64_t c, int64_t x, int64_t y,
                          int64_t width, int64_t height) {
  float* row = target.values + (c * height + y) * width;
  if (x + kLanes <= width) return put(values, target, row + (target.mirror ? width - x - kLanes : x));
  const int64_t some = width - x;
  for (int64_t i = 0; i < some; ++i)
    row[target.mirror ? some - 1 - i : x + i] = values[target.mirror ? kLanes - 1 - i : i];
}

// Sixteen columns of a row, from x on.
SILC_INLINE void put_levels(const uint8_t* levels, const ChannelPlaces& channels, const TargetPlanes& target, int64_t x,
                            int64_t y, int64_t width, int64_t height) {
  constexpr __mmask64 kFirstOfFour = 0x1111111111111111;
  const __m512i samples = _mm512_loadu_si512(levels + 3 * x);
  for (int64_t c = 0; c < 3; ++c) {
    const __m512i places = _mm512_load_si512(channels.places[c]);
    const __m512i numbers = _mm512_maskz_permutexvar_epi8(kFirstOfFour, places, samples);
    put_some(shown(_mm512_cvtepi32_ps(numbers), target, c), target, c, x, y, width, height);
  }
}

void bicubic_in_place(const SourceRows& source, const WeighedTaps<int32_t>& columns, const WeighedTaps<int32_t>& rows,
                      const TargetPlanes& target, uint8_t* narrow, int32_t* numbers, int32_t* sums) {
  RowPlan plan;
  if (pairs_of(rows) > kMostPairs || !make_plan(columns, numbers, plan))
    return bicubic(source, columns, rows, target, narrow, numbers, sums);
  const int64_t stride = narrow_stride(columns.size);
  const NarrowRows narrow_rows = narrowing(plan);
  const ChannelPlaces channels(target.mirror);
  auto* levels = reinterpret_cast<uint8_t*>(sums);
  RowPairs pairs;
  int64_t there = 0;  // rows that have been narrowed
  for (int64_t y = 0; y < rows.size; ++y) {
    for (; there < rows.first[y] + rows.count[y]; there += kRowsAtOnce)
      narrow_some_rows(narrow_rows, source, there, plan, narrow, stride);
    make_pairs(rows, y, narrow, stride, pairs);
    for (int64_t at = 0; at < 3 * columns.size; at += 2 * kLanes) weigh_narrow_rows(pairs, at, levels);
    for (int64_t x = 0; x < columns.size; x += kLanes)
      put_levels(levels, channels, target, x, y, columns.size, rows.size);
  }
  if (target.past_cache) Lanes::finish_past_cache();
}

}  // namespace

const ResampleLoops kAvx512Loops = {"AVX-512", bilinear, bicubic_in_place, plan_numbers, show_planes};

}  // namespace silc
