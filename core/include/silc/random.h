// Random numbers as a pure function of what they are for.
//
// A Random is made from the numbers that name a decision (seed, stream, step, index) and gives the same sequence
// whenever it is made from them again: nothing depends on what was drawn before, or by which thread. Philox 4x32 with
// 10 rounds (Salmon et al. 2011), through Random123.
#pragma once

#include <Random123/philox.h>

#include <cmath>
#include <cstdint>
#include <numbers>

namespace silc {

class Random {
 public:
  // `stream` tells uses of the same seed apart; `index` has 64 bits, `stream` and `step` 32 each that count.
  Random(uint64_t seed, uint32_t stream, uint64_t index, uint32_t step = 0)
      : key_{{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32) ^ stream * 0x9E3779B9u}},
        counter_{{0, step, static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32)}} {}

  // 32 uniform bits.
  uint32_t bits() {
    if (next_ == 4) {
      block_ = r123::Philox4x32()(counter_, key_);
      ++counter_.v[0];
      next_ = 0;
    }
    return block_.v[next_++];
  }

  // Uniform in [0, 1), with 24 bits.
  double uniform() { return (bits() >> 8) * 0x1.0p-24; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  // Uniform in [0, bound), bound in [1, 2³²). The bias of the multiplication is below bound / 2³².
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>((static_cast<uint64_t>(bits()) * bound) >> 32); }

  // Standard normal, by Box and Muller.
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

 private:
  r123::Philox4x32::key_type key_;
  r123::Philox4x32::ctr_type counter_;
  r123::Philox4x32::ctr_type block_{};
  int next_ = 4;
};

}  // namespace silc
