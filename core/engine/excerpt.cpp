#include "engine/excerpt.h"

#include <algorithm>

#include "engine/evaluation.h"
#include "engine/failure.h"
#include "engine/unreadable.h"
#include "plugin/loader.h"

namespace silc {
namespace {

constexpr int64_t kVisited = 64;  // samples that an evaluator gets at once

}  // namespace

int64_t spread(int64_t k, int64_t n, int64_t size) { return n < 2 ? 0 : k * (size - 1) / (n - 1); }

Excerpt::Excerpt(std::shared_ptr<Dataset> whole, int64_t size)
    : whole_(std::move(whole)), size_(std::min(size, whole_->size())) {}

std::vector<std::string> Excerpt::prompt_templates() const {
  std::vector<std::string> templates = whole_->prompt_templates();
  templates.resize(std::min<std::size_t>(templates.size(), 1));
  return templates;
}

std::vector<std::string> evaluate_excerpt(const PluginChoice& evaluator, const PluginInfo& plugin,
                                          const Excerpt& excerpt, Encoder& encoder) {
  std::vector<std::string> names;
  const auto visit_all = [&](const std::function<void(std::span<const Sample>, int64_t)>& visit) {
    for (int64_t first = 0; first < excerpt.size(); first += kVisited) {
      std::vector<Sample> samples;
      for (int64_t i = first; i < std::min(excerpt.size(), first + kVisited); ++i)
        samples.push_back(read_decoded(excerpt, i));
      visit(samples, first);
    }
  };
  in_plugin(evaluator.kind, evaluator.name, [&] {
    const auto made = make_evaluator(plugin, {.options = evaluator.options});
    const Scores scores = made->evaluate(
        {.options = evaluator.options, .dataset = excerpt, .encoder = encoder, .for_each_batch = visit_all});
    check_metrics(scores.metrics);
    for (const Metric& metric : scores.metrics) names.push_back(metric.name);
  });
  return names;
}

}  // namespace silc
