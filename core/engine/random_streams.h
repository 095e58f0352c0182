// What a cell's seed is used for. Each use draws from a stream of its own (silc/random.h); a changed number changes
// every result, so it goes with a new engine version.
#pragma once

#include <cstdint>

namespace silc {

inline constexpr uint32_t kSampleOrderStream = 1;
inline constexpr uint32_t kCaptionStream = 2;
inline constexpr uint32_t kCropStream = 3;
inline constexpr uint32_t kStepStream = 4;  // dropout and whatever else draws from LibTorch's generator
// 5 is Progress::random's (silc/objective.h).
inline constexpr uint32_t kPhotometricStream = 6;
inline constexpr uint32_t kShardOrderStream = 7;
inline constexpr uint32_t kWindowStream = 8;  // where windows over shards begin, and samples within them

}  // namespace silc
