#include "registry/curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "silc/error.h"

namespace silc {
namespace {

constexpr std::array<std::string_view, 3> kUnits = {"examples", "flops", "core_seconds"};

// Row and seed, then the metric.
using CurveKey = std::tuple<std::string, int64_t, std::string, std::string, std::string, std::string>;

template <class Record>
CurveKey key_of(const Record& record) {
  return {record.row, record.seed, record.evaluator, record.dataset, record.weights, record.name};
}

// Puts the results after training behind the curves that they belong to.
void add_ends(std::vector<Curve>& curves, const std::map<CurveKey, std::size_t>& places,
              const std::vector<MetricRecord>& metrics) {
  std::map<std::pair<std::string, int64_t>, std::map<std::string, double>> costs;
  for (const MetricRecord& metric : metrics)
    if (metric.evaluator == "cost") costs[{metric.row, metric.seed}][metric.name] = metric.value;
  for (const MetricRecord& metric : metrics) {
    const auto place = places.find(key_of(metric));
    if (place == places.end()) continue;
    Curve& curve = curves[place->second];
    const auto& cost = costs[{metric.row, metric.seed}];
    const bool known =
        std::ranges::all_of(kUnits, [&](std::string_view unit) { return cost.contains(std::string(unit)); });
    if (!known) continue;
    const CurvePoint end{.examples = cost.at("examples"),
                         .flops = cost.at("flops"),
                         .core_seconds = cost.at("core_seconds"),
                         .value = metric.value};
    curve.ended = true;
    // Of parts of the data, the last evaluation along is at the end of training already.
    if (metric.n == curve.n && curve.points.back().examples < end.examples) curve.points.push_back(end);
  }
}

}  // namespace

std::string_view unit_name(CostUnit unit) { return kUnits[static_cast<std::size_t>(unit)]; }

CostUnit parse_unit(const std::string& name) {
  const auto found = std::ranges::find(kUnits, name);
  if (found == kUnits.end())
    throw Error(fmt::format("there is no cost \"{}\" to compare at; use examples, flops or core_seconds", name));
  return static_cast<CostUnit>(found - kUnits.begin());
}

double CurvePoint::cost(CostUnit unit) const {
  switch (unit) {
    case CostUnit::examples:
      return examples;
    case CostUnit::flops:
      return flops;
    case CostUnit::core_seconds:
      return core_seconds;
  }
  return 0;
}

std::vector<Curve> read_curves(const Registry& registry, const std::string& experiment,
                               const std::vector<MetricRecord>& results) {
  std::vector<Curve> curves;
  std::map<CurveKey, std::size_t> places;
  for (const AlongRecord& record : registry.metrics_along(experiment)) {
    const auto [place, is_new] = places.try_emplace(key_of(record), curves.size());
    if (is_new)
      curves.push_back({.row = record.row,
                        .seed = record.seed,
                        .evaluator = record.evaluator,
                        .dataset = record.dataset,
                        .weights = record.weights,
                        .name = record.name,
                        .primary = record.primary,
                        .n = record.n,
                        .points = {}});
    Curve& curve = curves[place->second];
    // evaluate_samples was changed on the way: scores of other samples are another curve, and the later one counts.
    if (curve.n != record.n) curve.points.clear();
    curve.n = record.n;
    curve.points.push_back({.examples = record.examples,
                            .flops = record.flops,
                            .core_seconds = record.core_seconds,
                            .value = record.value});
  }
  if (!curves.empty()) add_ends(curves, places, results);
  return curves;
}

std::optional<double> value_at(const Curve& curve, CostUnit unit, double cost) {
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    const double here = curve.points[i].cost(unit);
    if (here == cost) return curve.points[i].value;
    if (here < cost) continue;
    if (i == 0) return std::nullopt;
    const CurvePoint& before = curve.points[i - 1];
    const double part = (cost - before.cost(unit)) / (here - before.cost(unit));
    return before.value + part * (curve.points[i].value - before.value);
  }
  return std::nullopt;
}

std::optional<double> cost_of(const Curve& curve, CostUnit unit, double value) {
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    const CurvePoint& point = curve.points[i];
    if (point.value < value) continue;
    if (i == 0 || point.value == value) return point.cost(unit);
    const CurvePoint& before = curve.points[i - 1];
    const double part = (value - before.value) / (point.value - before.value);
    return before.cost(unit) + part * (point.cost(unit) - before.cost(unit));
  }
  return std::nullopt;
}

std::optional<double> mean_of_last(const Curve& curve, int64_t count) {
  const auto size = static_cast<int64_t>(curve.points.size());
  if (!curve.ended || count < 1 || count > size) return std::nullopt;
  double sum = 0;
  for (int64_t i = size - count; i < size; ++i) sum += curve.points[static_cast<std::size_t>(i)].value;
  return sum / static_cast<double>(count);
}

Curve mean_curve(const std::vector<const Curve*>& seeds) {
  Curve mean = *seeds.front();
  double count = 1;
  for (std::size_t s = 1; s < seeds.size(); ++s) {
    if (seeds[s]->points.size() != mean.points.size()) continue;
    for (std::size_t i = 0; i < mean.points.size(); ++i) {
      const CurvePoint& point = seeds[s]->points[i];
      mean.points[i].examples += point.examples;
      mean.points[i].flops += point.flops;
      mean.points[i].core_seconds += point.core_seconds;
      mean.points[i].value += point.value;
    }
    ++count;
  }
  for (CurvePoint& point : mean.points)
    point = {.examples = point.examples / count,
             .flops = point.flops / count,
             .core_seconds = point.core_seconds / count,
             .value = point.value / count};
  return mean;
}

}  // namespace silc
