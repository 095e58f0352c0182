// The loops in which resample.cpp spends its time, compiled for several kinds of processors. All give the same bits:
// each value is made by the same operations in the same order, none of them fused, however many are made at once.
#pragma once

#include <cstdint>
#include <span>

#include "silc/export.h"

namespace silc {

// Weights along one direction: value i is the sum of weights[i · width + k] · source[first[i] + k] over k < count[i].
// Neither first[i] nor first[i] + count[i] falls as i rises.
template <class T>
struct WeighedTaps {
  const int64_t* first;
  const int64_t* count;
  const T* weights;
  int64_t width;
  int64_t size;  // of i
};

// Rows of pixels, of which those that no tap reaches are not looked at.
struct SourceRows {
  const uint8_t* rgb;  // of the first row and the first pixel that take part
  int64_t stride;      // bytes from row to row
  int64_t rows;
  int64_t samples;  // bytes of a row that take part: three a pixel
};

// Where grey levels l go, as (l / 127.5 − 1) · factor + shift: [3, rows, columns].
struct TargetPlanes {
  float* values;
  float factor[3];
  float shift[3];
  bool mirror;
  bool past_cache;  // there is no use for the values in the cache; `values` is aligned and columns fill whole lines
};

constexpr int64_t kCacheLine = 64;
constexpr int64_t kFloatsInLine = kCacheLine / sizeof(float);

// Pillow's fixed-point numbers: eight bits of level, two of headroom.
constexpr int kLevelPrecision = 32 - 8 - 2;

// Room that the loops may use behind what they need: columns of a row by whole lines, rows by whole strips of them.
// Static, since no file may share a function with one that is compiled for another processor.
constexpr int64_t kGreatestLanes = 16;
constexpr int64_t kGreatestStrip = 4 * kGreatestLanes;
static constexpr int64_t padded_columns(int64_t columns) {
  return (columns + kFloatsInLine - 1) / kFloatsInLine * kFloatsInLine;
}
static constexpr int64_t narrow_stride(int64_t columns) {
  return (3 * padded_columns(columns) + kGreatestStrip - 1) / kGreatestStrip * kGreatestStrip;
}

struct ResampleLoops {
  const char* processor;
  // A row has kGreatestStrip samples at least, and all memory starts on a line of the cache.
  //
  // Rows first, in floats. `turned` and `sums` hold (samples + kGreatestStrip) · kGreatestLanes numbers each.
  void (*bilinear)(const SourceRows&, const WeighedTaps<float>& columns, const WeighedTaps<float>& rows,
                   const TargetPlanes&, float* turned, float* sums);
  // Columns first, in Pillow's fixed-point numbers, because what is rounded and clipped in between depends on the
  // order. `narrow` holds [rows, narrow_stride(columns)] levels, `numbers` those that bicubic_numbers() says, `sums`
  // narrow_stride(columns) numbers.
  void (*bicubic)(const SourceRows&, const WeighedTaps<int32_t>& columns, const WeighedTaps<int32_t>& rows,
                  const TargetPlanes&, uint8_t* narrow, int32_t* numbers, int32_t* sums);
  int64_t (*bicubic_numbers)(const SourceRows&, const WeighedTaps<int32_t>& columns);
  // Of values v instead of grey levels, v · factor + shift: three planes of `plane` values.
  void (*show)(const float* values, int64_t plane, const TargetPlanes&);
};

// What this processor can run, the fastest first.
SILC_EXPORT std::span<const ResampleLoops* const> usable_resample_loops();

extern const ResampleLoops kPlainLoops;
#ifdef __x86_64__
extern const ResampleLoops kAvx2Loops;
extern const ResampleLoops kAvx512Loops;
#endif

}  // namespace silc
