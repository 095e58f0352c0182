#include "registry/statistics.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

namespace silc {

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<double> sample_standard_deviation(std::span<const double> values) {
  if (values.size() < 2) return std::nullopt;
  const double center = mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - center) * (value - center);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

std::optional<double> paired_t_test(std::span<const double> differences) {
  const auto spread = sample_standard_deviation(differences);
  if (!spread) return std::nullopt;
  double largest = 0;
  for (const double difference : differences) largest = std::max(largest, std::abs(difference));
  if (largest == 0) return 1.0;
  // Differences of equal steps, like those of two accuracies over 1000 pictures, differ by rounding alone.
  constexpr double kRounding = 1e-9;
  if (*spread <= kRounding * largest) return std::nullopt;
  const auto n = static_cast<double>(differences.size());
  const double t = mean(differences) / (*spread / std::sqrt(n));
  return 2 * boost::math::cdf(boost::math::complement(boost::math::students_t(n - 1), std::abs(t)));
}

std::vector<bool> reject_by_holm(std::span<const double> p_values, double alpha) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<bool> rejected(p_values.size(), false);
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    if (p_values[order[rank]] * static_cast<double>(order.size() - rank) >= alpha) break;
    rejected[order[rank]] = true;
  }
  return rejected;
}

}  // namespace silc
