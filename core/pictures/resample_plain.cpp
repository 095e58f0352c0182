// resample_loops.h for any processor.
#include <utility>

#include "pictures/processors.h"
#include "pictures/resample_loops.h"

namespace silc {
namespace {

struct Lanes {
  static constexpr int kCount = 4;
  using Floats __attribute__((vector_size(16))) = float;
  using Ints __attribute__((vector_size(16))) = int32_t;

  static SILC_INLINE Ints widen(const uint8_t* levels) { return Ints{levels[0], levels[1], levels[2], levels[3]}; }
  static SILC_INLINE Ints clamped(const Ints& values) {
    const Ints positive = values < 0 ? Ints{} : values;
    return positive > 255 ? Ints{} + 255 : positive;
  }
  static SILC_INLINE Floats load_blocks(const float* from, int64_t /*stride*/) {
    return Floats{from[0], from[1], from[2], from[3]};
  }
  static SILC_INLINE void turn_levels(const uint8_t* const* rows, int64_t at, int32_t* turned) {
    for (int c = 0; c < 16; ++c)
      for (int r = 0; r < kCount; ++r) turned[c * kCount + r] = rows[r][at + c];
  }
  static SILC_INLINE void narrow(const int32_t* columns, uint8_t* into, int64_t stride, int64_t rows) {
    for (int c = 0; c < 16; ++c) {
      const int32_t* of_rows = columns + c * kCount;
      const Ints levels = clamped(Ints{of_rows[0], of_rows[1], of_rows[2], of_rows[3]});
      for (int64_t r = 0; r < rows; ++r) into[r * stride + c] = static_cast<uint8_t>(levels[r]);
    }
  }
  static SILC_INLINE Floats divided_by_127_5(const Floats& values) { return values / 127.5F; }
  static SILC_INLINE void store_past_cache(const Floats& values, float* into) {
    __builtin_memcpy(into, &values, sizeof values);
  }
  static SILC_INLINE void finish_past_cache() {}
};

#include "pictures/resample_lanes.h"

}  // namespace

const ResampleLoops kPlainLoops = {"any processor", bilinear, bicubic, turned_levels, show_planes};

}  // namespace silc
