#include "plot/scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>

namespace silc::plot {

namespace {

// Whether its ends are the same but for what adding numbers up leaves.
bool is_single(const Range& range) {
  constexpr double kRounding = 1e-9;
  return !(range.high - range.low > kRounding * std::max(std::abs(range.low), std::abs(range.high)));
}

// A single number is given room on both sides.
Range widened(Range range, bool logarithmic) {
  if (!is_single(range)) return range;
  if (logarithmic) return {range.low / 2, range.high * 2};
  const double room = range.low == 0 ? 1 : std::abs(range.low) / 2;
  return {range.low - room, range.high + room};
}

}  // namespace

std::vector<double> linear_ticks(Range range, int count) {
  if (is_single(range)) return {range.low};
  const double rough = (range.high - range.low) / std::max(count, 1);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double multiple : {1.0, 2.0, 5.0})
    if (multiple * power >= rough * 0.999) {
      step = multiple * power;
      break;
    }
  std::vector<double> ticks;
  const double slack = 1e-9 * step;
  for (double i = std::ceil((range.low - slack) / step); i * step <= range.high + slack; ++i)
    ticks.push_back(i == 0 ? 0 : i * step);
  // Two or one say little of where a point between them lies.
  constexpr std::size_t kFew = 3;
  constexpr int kMany = 10;
  return ticks.size() < kFew && count < kMany ? linear_ticks(range, count + 1) : ticks;
}

std::vector<double> logarithmic_ticks(Range range, int count) {
  const auto first = static_cast<int>(std::ceil(std::log10(range.low) - 1e-9));
  const auto last = static_cast<int>(std::floor(std::log10(range.high) + 1e-9));
  std::vector<double> ticks;
  const int stride =
      std::max(1, (last - first) / std::max(count, 1) + ((last - first) % std::max(count, 1) > 0 ? 1 : 0));
  if (last - first >= 1) {
    for (int power = first; power <= last; power += stride) ticks.push_back(std::pow(10, power));
    return ticks;
  }
  for (int power = first - 1; power <= last + 1; ++power)
    for (const double multiple : {1.0, 2.0, 5.0}) {
      const double tick = multiple * std::pow(10, power);
      if (tick >= range.low * (1 - 1e-9) && tick <= range.high * (1 + 1e-9)) ticks.push_back(tick);
    }
  return ticks.empty() ? linear_ticks(range, count) : ticks;
}

std::vector<std::string> tick_labels(const std::vector<double>& ticks) {
  constexpr std::string_view kPrefixes = " kMGTPE";
  double most = 0;
  for (const double tick : ticks) most = std::max(most, std::abs(tick));
  std::vector<std::string> labels;
  for (const double tick : ticks) {
    // One prefix for all of a linear axis; on a logarithmic one each has its own.
    const double size = most >= 1e4 && most < 1e21 ? (std::abs(tick) >= 1000 ? std::abs(tick) : most) : 0;
    std::size_t prefix = 0;
    double factor = 1;
    while (size >= 1000 * factor && prefix + 1 < kPrefixes.size()) {
      factor *= 1000;
      ++prefix;
    }
    std::string label = fmt::format("{:.4g}", prefix == 0 || tick == 0 ? tick : tick / factor);
    if (prefix > 0 && tick != 0) label += kPrefixes[prefix];
    if (label.starts_with('-')) label.replace(0, 1, "−");
    labels.push_back(std::move(label));
  }
  return labels;
}

Scale::Scale(Range range, bool logarithmic, double from, double to)
    : range_(widened(range, logarithmic)), logarithmic_(logarithmic), from_(from), to_(to) {}

double Scale::operator()(double value) const {
  const double part = logarithmic_ ? std::log(value / range_.low) / std::log(range_.high / range_.low)
                                   : (value - range_.low) / (range_.high - range_.low);
  return from_ + part * (to_ - from_);
}

}  // namespace silc::plot
