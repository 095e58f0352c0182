#include "files/metrics.h"

#include <algorithm>
#include <array>

namespace silc {
namespace {

nlohmann::json read_metrics_file(const RunFolder& folder) {
  if (!std::filesystem::exists(folder.metrics())) return nlohmann::json::object();
  auto file = nlohmann::json::parse(read_file(folder.metrics()), nullptr, false);
  return file.is_object() ? file : nlohmann::json::object();
}

}  // namespace

std::vector<CellMetric> read_metrics(const RunFolder& folder) {
  std::vector<CellMetric> metrics;
  const nlohmann::json file = read_metrics_file(folder);
  if (!file.contains("metrics")) return metrics;
  for (const auto& metric : file["metrics"]) {
    if (!metric.contains("value") || !metric["value"].is_number()) continue;
    metrics.push_back({metric.value("evaluator", ""), metric.value("dataset", ""), metric.value("weights", ""),
                       metric.value("name", ""), metric["value"].get<double>()});
  }
  return metrics;
}

std::optional<double> read_cost(const RunFolder& folder, const std::string& name) {
  const nlohmann::json file = read_metrics_file(folder);
  const auto cost = file.find("cost");
  if (cost == file.end() || !cost->contains(name) || !cost->at(name).is_number()) return std::nullopt;
  return cost->at(name).get<double>();
}

bool more_is_better(std::string_view metric) {
  constexpr std::array<std::string_view, 3> kLessIsBetter = {"loss", "error", "perplexity"};
  return std::none_of(kLessIsBetter.begin(), kLessIsBetter.end(),
                      [&](std::string_view word) { return metric.find(word) != std::string_view::npos; });
}

}  // namespace silc
