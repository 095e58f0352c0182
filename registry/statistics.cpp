#include "registry/statistics.h"

#include <algorithm>
#include <boost/math/distributions/non_central_t.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <boost/math/tools/roots.hpp>
#include <cmath>
#include <numeric>

namespace silc {

namespace {

namespace math = boost::math;

// Of the distribution's upper end.
template <class Distribution>
double upper_quantile(const Distribution& distribution, double probability) {
  return math::quantile(math::complement(distribution, probability));
}

math::students_t student(int64_t n) { return math::students_t(static_cast<double>(n - 1)); }

// The root of a function that changes its sign between `low` and `high`.
template <class Function>
double root_between(const Function& function, double low, double high) {
  std::uintmax_t steps = 200;
  const auto [from, to] =
      math::tools::toms748_solve(function, low, high, math::tools::eps_tolerance<double>(50), steps);
  return (from + to) / 2;
}

// The root of a rising function that is negative at zero.
template <class Function>
double positive_root(const Function& function) {
  double high = 1;
  while (function(high) < 0) high *= 2;
  return root_between(function, 0, high);
}

}  // namespace

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

std::optional<Interval> t_interval(std::span<const double> values, double alpha) {
  const auto spread = sample_standard_deviation(values);
  if (!spread) return std::nullopt;
  const auto n = static_cast<int64_t>(values.size());
  const double half = half_width({.seeds = n, .seed_error = *spread / std::sqrt(static_cast<double>(n))}, alpha);
  return Interval{mean(values) - half, mean(values) + half};
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
  const auto n = static_cast<int64_t>(differences.size());
  return two_sided_p(mean(differences), {.seeds = n, .seed_error = *spread / std::sqrt(static_cast<double>(n))});
}

double half_width(const MeanNoise& noise, double alpha) {
  const double seeds = noise.seed_error > 0 ? upper_quantile(student(noise.seeds), alpha / 2) * noise.seed_error : 0;
  const double pictures = noise.picture_error > 0 ? upper_quantile(math::normal(), alpha / 2) * noise.picture_error : 0;
  if (seeds == 0 || pictures == 0) return seeds + pictures;
  if (noise.seeds == 2) return std::max(seeds - pictures / 2, pictures);
  const double exponent = 2 + 2 / static_cast<double>(noise.seeds - 2);
  const double greater = std::max(seeds, pictures);
  return greater * std::pow(1 + std::pow(std::min(seeds, pictures) / greater, exponent), 1 / exponent);
}

std::optional<double> two_sided_p(double mean, const MeanNoise& noise) {
  const double size = std::abs(mean);
  if (noise.seed_error <= 0 && noise.picture_error <= 0) return std::nullopt;
  if (size == 0) return 1.0;
  if (noise.picture_error <= 0) return 2 * math::cdf(math::complement(student(noise.seeds), size / noise.seed_error));
  if (noise.seed_error <= 0) return 2 * math::cdf(math::complement(math::normal(), size / noise.picture_error));
  // In the logarithm of alpha, as small ones count.
  constexpr double kSmallest = -600;
  const auto excess = [&](double logarithm) { return half_width(noise, std::exp(logarithm)) - size; };
  if (excess(kSmallest) < 0) return 0.0;
  return std::exp(root_between(excess, kSmallest, 0));
}

std::vector<double> adjust_by_holm(std::span<const double> p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    largest = std::max(largest, p_values[order[rank]] * static_cast<double>(order.size() - rank));
    adjusted[order[rank]] = std::min(1.0, largest);
  }
  return adjusted;
}

double power_of_t_test(double effect, int64_t n, double alpha) {
  const double limit = upper_quantile(student(n), alpha / 2);
  const math::non_central_t statistic(static_cast<double>(n - 1), effect * std::sqrt(static_cast<double>(n)));
  return math::cdf(math::complement(statistic, limit)) + math::cdf(statistic, -limit);
}

double detectable_difference(const DifferenceNoise& noise, int64_t seeds, double alpha) {
  double of_seeds = 0;
  if (noise.spread > 0)
    of_seeds =
        noise.spread * positive_root([&](double effect) { return power_of_t_test(effect, seeds, alpha) - kPower; });
  double of_pictures = 0;
  if (noise.picture_error > 0) {
    const math::normal normal;
    const double limit = upper_quantile(normal, alpha / 2);
    of_pictures = noise.picture_error * positive_root([&](double effect) {
                    return math::cdf(normal, effect - limit) + math::cdf(normal, -effect - limit) - kPower;
                  });
  }
  return std::hypot(of_seeds, of_pictures);
}

std::optional<int64_t> seeds_to_detect(double difference, const DifferenceNoise& noise, double alpha, int64_t most) {
  if (detectable_difference(noise, most, alpha) > difference) return std::nullopt;
  int64_t too_few = 1;
  int64_t enough = most;
  while (enough - too_few > 1) {
    const int64_t middle = too_few + (enough - too_few) / 2;
    (detectable_difference(noise, middle, alpha) > difference ? too_few : enough) = middle;
  }
  return enough;
}

}  // namespace silc
