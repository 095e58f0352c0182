#include "registry/columns.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <string_view>

#include "files/metrics.h"
#include "registry/report.h"

namespace silc {

namespace {

constexpr std::string_view kCost = "cost/";
constexpr std::string_view kSearch = "search/";

// How the numbers of a column read.
enum class Unit { percent, plain, count, si, seconds, bytes, joules };

Unit unit_of(const std::string& column) {
  const std::string metric = metric_of(column);
  if (is_cost(column)) {
    if (metric == "flops" || metric == "parameters") return Unit::si;
    if (metric.ends_with("seconds")) return Unit::seconds;
    if (metric.ends_with("peak_memory")) return Unit::bytes;
    if (metric == "energy" || metric == "cpu_energy") return Unit::joules;
    return Unit::count;
  }
  // Of the names that are in use for fractions of what is right.
  constexpr std::array<std::string_view, 8> kFractions{"accuracy", "recall", "precision",  "iou",
                                                       "exact",    "f1",     "likelihood", "cider"};
  const bool fraction =
      metric.starts_with("acc") || metric.starts_with("AP") ||
      std::ranges::any_of(kFractions, [&](std::string_view name) { return metric.find(name) != std::string::npos; });
  return fraction ? Unit::percent : Unit::plain;
}

// Scale and prefix by which a number reads as 1 to 1000.
struct Scale {
  double factor = 1;
  std::string_view prefix;
};

Scale si_scale(double value) {
  constexpr std::array<std::string_view, 7> kPrefixes{"", " k", " M", " G", " T", " P", " E"};
  std::size_t index = 0;
  double factor = 1;
  while (index + 1 < kPrefixes.size() && std::abs(value) >= 999.5 * factor) {
    factor *= 1000;
    ++index;
  }
  return {factor, kPrefixes[index]};
}

// Three significant digits, without exponent.
std::string three_digits(double value) {
  const double size = std::abs(value);
  if (size == 0) return "0";
  return fmt::format("{:.{}f}", value, size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3);
}

// The digits after the point of `text`, so that a spread can be shown to the same place as its mean.
int decimals(const std::string& text) {
  const std::size_t point = text.find('.');
  return point == std::string::npos ? 0 : static_cast<int>(text.size() - point - 1);
}

bool reads_as_zero(const std::string& text) { return text.find_first_of("123456789") == std::string::npos; }

// "16 384".
std::string grouped(double value) {
  const std::string digits = fmt::format("{:.0f}", value);
  std::string result;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const bool after_digit = i > 0 && digits[i - 1] != '-';
    if (after_digit && (digits.size() - i) % 3 == 0) result += ' ';
    result += digits[i];
  }
  return result;
}

// "mean ± spread unit", both to the same place.
std::string scaled(double mean, std::optional<double> spread, const Scale& scale, std::string_view unit) {
  const std::string number = three_digits(mean / scale.factor);
  const std::string suffix = std::string(scale.prefix) + std::string(unit);
  if (!spread) return number + suffix;
  const std::string noise = fmt::format("{:.{}f}", *spread / scale.factor, decimals(number));
  return reads_as_zero(noise) ? number + suffix : number + " ± " + noise + suffix;
}

std::string format_seconds(double mean, std::optional<double> spread) {
  constexpr double kLargestPlain = 119.5;  // "84 s", "1 min 24 s": what can be read at a glance stays plain
  if (mean < kLargestPlain) return scaled(mean, spread, {}, " s");
  const auto seconds = static_cast<int64_t>(std::llround(mean));
  const std::string time = seconds < 3600 ? fmt::format("{} min {:02} s", seconds / 60, seconds % 60)
                                          : fmt::format("{} h {:02} min", seconds / 3600, seconds % 3600 / 60);
  if (!spread) return time;
  const std::string noise = format_seconds(*spread, std::nullopt);
  return reads_as_zero(noise) ? time : time + " ± " + noise;
}

std::string format_bytes(double mean, std::optional<double> spread) {
  constexpr double kMegabyte = 1e6;
  constexpr double kGigabyte = 1e9;
  if (mean < 10 * kGigabyte)
    return scaled(mean, spread, mean < kMegabyte ? Scale{1e3, " k"} : Scale{kMegabyte, " M"}, "B");
  return scaled(mean, spread, {kGigabyte, " G"}, "B");
}

std::string format_count(double mean, std::optional<double> spread) {
  const std::string noise = spread ? grouped(*spread) : "0";
  return reads_as_zero(noise) ? grouped(mean) : grouped(mean) + " ± " + noise;
}

// One decimal of a percent: about what the noise of a benchmark leaves to read.
std::string format_percent(double mean, std::optional<double> spread) {
  return spread ? fmt::format("{:.1f} ± {:.1f}", 100 * mean, 100 * *spread) : fmt::format("{:.1f}", 100 * mean);
}

std::string format_plain(double mean, std::optional<double> spread) {
  const double size = std::abs(mean);
  if (size != 0 && (size < 1e-3 || size >= 1e5))
    return spread ? fmt::format("{:.3g} ± {:.1g}", mean, *spread) : fmt::format("{:.3g}", mean);
  const std::string number = three_digits(mean);
  return spread ? fmt::format("{} ± {:.{}f}", number, *spread, decimals(number)) : number;
}

std::string readable_cost(const std::string& metric) {
  static const std::map<std::string, std::string, std::less<>> kNames{
      {"flops", "FLOPs"},
      {"core_seconds", "core time"},
      {"seconds", "wall time"},
      {"evaluation_core_seconds", "evaluation core time"},
      {"evaluation_along_core_seconds", "evaluation along core time"},
      {"peak_memory", "peak memory"},
      {"energy", "GPU energy"},
      {"cpu_energy", "CPU energy"},
      {"device_seconds", "GPU time"},
      {"device_peak_memory", "GPU memory"}};
  const auto found = kNames.find(metric);
  return found == kNames.end() ? metric : found->second;
}

}  // namespace

std::string column_of(const MetricRecord& metric) { return metric.evaluator + "/" + metric.name; }

std::string qualified_column_of(const MetricRecord& metric) {
  return metric.evaluator + "/" + metric.dataset + "/" + metric.name;
}

bool is_cost(const std::string& column) { return column.starts_with(kCost) || is_search(column); }

bool is_search(const std::string& column) { return column.starts_with(kSearch); }

std::string weights_of(const std::string& column) {
  const std::size_t at = column.rfind('@');
  // "recall@1" is a metric, not weights.
  if (at == std::string::npos || at + 1 == column.size() ||
      std::isdigit(static_cast<unsigned char>(column[at + 1])) != 0)
    return "";
  return column.substr(at + 1);
}

std::string metric_of(const std::string& column) {
  const std::string weights = weights_of(column);
  const std::string plain = column.substr(0, column.size() - (weights.empty() ? 0 : weights.size() + 1));
  return plain.substr(plain.rfind('/') + 1);
}

bool is_percent(const std::string& column) { return unit_of(column) == Unit::percent; }

bool natural_order(const std::string& one, const std::string& other) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < one.size() && j < other.size()) {
    if (is_digit(one[i]) && is_digit(other[j])) {
      const auto number = [&](const std::string& text, std::size_t& at) {
        const std::size_t start = text.find_first_not_of('0', at);
        at = std::min(text.size(), std::min(start, text.size()));
        std::size_t end = at;
        while (end < text.size() && is_digit(text[end])) ++end;
        const std::string digits = text.substr(at, end - at);
        at = end;
        return digits;
      };
      const std::string left = number(one, i);
      const std::string right = number(other, j);
      if (left.size() != right.size()) return left.size() < right.size();
      if (left != right) return left < right;
    } else {
      if (one[i] != other[j]) return one[i] < other[j];
      ++i;
      ++j;
    }
  }
  return one.size() - i < other.size() - j;
}

bool higher_is_better(const std::string& column) { return !is_cost(column) && more_is_better(metric_of(column)); }

std::vector<std::string> column_headers(const std::vector<std::string>& columns) {
  const auto short_header = [](const std::string& column) {
    if (is_cost(column)) return (is_search(column) ? "search " : "") + readable_cost(metric_of(column));
    const std::string weights = weights_of(column);
    return metric_of(column) + (weights.empty() ? "" : "@" + weights);
  };
  std::map<std::string, int> uses;
  for (const std::string& column : columns) ++uses[short_header(column)];
  std::vector<std::string> headers;
  for (const std::string& column : columns) {
    const std::string header = short_header(column);
    headers.push_back(uses[header] > 1 ? column : header);
    if (unit_of(column) == Unit::percent) headers.back() += " %";
  }
  return headers;
}

std::string csv_field(const std::string& text) {
  const bool formula = text.find_first_of("=+-@\t\r") == 0;
  if (!formula && text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = formula ? "'" : "";
  for (const char c : text) quoted += c == '"' ? std::string(2, c) : std::string(1, c);
  return fmt::format("\"{}\"", quoted);
}

std::string format_value(const std::string& column, double mean, std::optional<double> spread) {
  switch (unit_of(column)) {
    case Unit::percent:
      return format_percent(mean, spread);
    case Unit::plain:
      return format_plain(mean, spread);
    case Unit::count:
      return format_count(mean, spread);
    case Unit::si:
      return scaled(mean, spread, si_scale(mean), "");
    case Unit::seconds:
      return format_seconds(mean, spread);
    case Unit::bytes:
      return format_bytes(mean, spread);
    case Unit::joules:
      return scaled(mean, spread, si_scale(mean), mean < 1000 ? " J" : "J");
  }
  return "";
}

std::string format_difference(const std::string& column, double difference) {
  if (is_cost(column)) return "";
  const std::string number = format_value(column, std::abs(difference), std::nullopt);
  if (reads_as_zero(number)) return fmt::format("±{}", number);
  return fmt::format("{}{}", difference < 0 ? "−" : "+", number);
}

double shown_scale(const std::string& column) { return is_percent(column) ? 100 : 1; }

std::string shown_amount(const std::string& column, double difference) {
  const double shown = shown_scale(column) * difference;
  return fmt::format("{:.{}f}", shown, shown >= 9.5 ? 0 : shown >= 0.095 ? 1 + (shown < 0.95) : 3);
}

std::string amount_text(const std::string& column, const std::string& name, double difference) {
  return fmt::format("{} {}of {}", shown_amount(column, difference), is_percent(column) ? "points " : "", name);
}

std::string named_value(const std::string& metric, double value) {
  return fmt::format("{} {}{}", metric, format_value(metric, value, std::nullopt),
                     unit_of(metric) == Unit::percent ? " %" : "");
}

}  // namespace silc
