// The points that a search tries: a quasi-random sequence, the same on every machine. No LibTorch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace silc {

inline constexpr std::size_t kMostDimensions = 64;
inline constexpr int64_t kMostPoints = 100'000;

// Coordinate `axis` (below kMostDimensions) of point `number` (below kMostPoints) of the Sobol' sequence with the
// direction numbers of Joe & Kuo (2008, SIAM J. Sci. Comput. 30:2635), its binary digits scrambled after Owen (1995):
// each is flipped or not by a hash of the digits before it, of `seed` and of `name`. In (0, 1), with 32 digits.
//
// A pure function of its arguments: sequences of any length are the beginning of longer ones, and any choice of axes is
// a sequence of its own. 2ᵏ points from 0 on have one in each of 2ᵏ intervals of equal size of every axis.
double quasi_random(std::size_t axis, int64_t number, uint64_t seed, std::string_view name);

}  // namespace silc
