#include "spec/search_points.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <boost/random/sobol.hpp>
#include <string>

namespace silc {
namespace {

constexpr int kDigits = 32;
using Directions = std::array<uint32_t, kDigits>;

// The first axis has the digits of the number in reverse (van der Corput). Each of the others has a primitive
// polynomial over GF(2) and the first of its direction numbers, from which the recurrence makes the rest.
Directions directions_of(std::size_t axis) {
  using Table = boost::random::default_sobol_table;
  Directions directions{};
  if (axis == 0) {
    for (int i = 0; i < kDigits; ++i) directions[static_cast<std::size_t>(i)] = 1U << (kDigits - 1 - i);
    return directions;
  }
  // With the leading coefficient, which Joe and Kuo's files leave out.
  const uint32_t polynomial = Table::polynomial(axis - 1);
  std::size_t degree = 0;
  while ((polynomial >> (degree + 1)) != 0) ++degree;
  for (std::size_t i = 0; i < kDigits; ++i) {
    if (i < degree) {
      directions[i] = static_cast<uint32_t>(Table::minit(axis - 1, i)) << (kDigits - 1 - i);
      continue;
    }
    directions[i] = directions[i - degree] ^ (directions[i - degree] >> degree);
    for (std::size_t k = 1; k < degree; ++k)
      if (((polynomial >> (degree - k)) & 1U) != 0) directions[i] ^= directions[i - k];
  }
  return directions;
}

// In the order of the points' Gray codes, as is usual: the same points, in another order within each power of two.
uint32_t sobol(std::size_t axis, uint64_t number) {
  const Directions directions = directions_of(axis);
  const uint64_t gray = number ^ (number >> 1);
  uint32_t digits = 0;
  for (std::size_t i = 0; i < kDigits; ++i)
    if (((gray >> i) & 1U) != 0) digits ^= directions[i];
  return digits;
}

uint32_t scrambled(uint32_t digits, uint64_t seed, std::string_view name) {
  uint32_t result = 0;
  std::string before;  // the digits so far, as they were
  for (int i = kDigits - 1; i >= 0; --i) {
    const uint32_t digit = (digits >> i) & 1U;
    const std::string node = fmt::format("{} {} {}", seed, name, before);
    const auto flip = static_cast<uint32_t>(XXH3_64bits(node.data(), node.size()) & 1U);
    result |= (digit ^ flip) << i;
    before += digit == 0 ? '0' : '1';
  }
  return result;
}

}  // namespace

double quasi_random(std::size_t axis, int64_t number, uint64_t seed, std::string_view name) {
  const uint32_t digits = scrambled(sobol(axis, static_cast<uint64_t>(number)), seed, name);
  return (digits + 0.5) * 0x1.0p-32;
}

}  // namespace silc
