// Scores along training: curves of score against what training had cost. No LibTorch.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/registry.h"

namespace silc {

// What costs are counted in.
enum class CostUnit { examples, flops, core_seconds };

// "examples", "flops", "core_seconds": the names of the costs.
std::string_view unit_name(CostUnit unit);

// Throws silc::Error for an unknown name.
CostUnit parse_unit(const std::string& name);

struct CurvePoint {
  double examples = 0;  // costs of training until then, all phases together
  double flops = 0;
  double core_seconds = 0;
  double value = 0;
  [[nodiscard]] double cost(CostUnit unit) const;
};

// One metric of one cell along its training.
struct Curve {
  std::string row;
  int64_t seed = 0;
  std::string evaluator;
  std::string dataset;
  std::string weights;
  std::string name;
  bool primary = true;  // of the weights that the row's plain columns mean
  int64_t n = 0;        // samples; those of one curve are the same
  bool ended = false;   // the last point is that of the end of training
  std::vector<CurvePoint> points;
};

// Curves of the experiment's current cells, finished or not, in order of cells and metrics. `results`: what
// Registry::metrics() gives for it; the result after training ends a curve if it is of as many samples as the points
// along it.
std::vector<Curve> read_curves(const Registry& registry, const std::string& experiment,
                               const std::vector<MetricRecord>& results);

// The score where training had cost that much: on the line between the points before and after. Nothing before the
// first point and behind the last.
std::optional<double> value_at(const Curve& curve, CostUnit unit, double cost);

// The cost at which the curve first comes to that score, on the line between points; nothing if it never does. What it
// has at its first point has cost no more than that point.
std::optional<double> cost_of(const Curve& curve, CostUnit unit, double value);

// Mean score of the curve's last `count` points; nothing if it has fewer or has not ended.
std::optional<double> mean_of_last(const Curve& curve, int64_t count);

// Curves of one metric and row, seeds averaged where all of them have a point: the i-th points together, with mean cost
// and mean score. Those of another number of points than the first's are left out.
Curve mean_curve(const std::vector<const Curve*>& seeds);

}  // namespace silc
