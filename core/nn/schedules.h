// Values that change over training, by the fraction of it that is done.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace silc {

// Half a cosine from `from` at fraction 0 to `to` at fraction 1: how DINO brings the teacher's momentum to 1 (Caron
// 2021, section 3.2; main_dino.py's cosine_scheduler).
inline double cosine_schedule(double from, double to, double fraction) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * fraction)) / 2;
}

// Grows from 0 at fraction `start` to 1 at `start + duration`, and stays; 1 throughout where `duration` is 0.
inline double ramp(double fraction, double start, double duration) {
  return duration == 0 ? 1 : std::clamp((fraction - start) / duration, 0.0, 1.0);
}

// What Objective::milestones() says where a step's work changes at `fraction`, if that lies within training.
inline std::vector<double> milestone(double fraction) {
  return fraction > 0 && fraction < 1 ? std::vector{fraction} : std::vector<double>{};
}

}  // namespace silc
