// The global batch is the contract: N ranks give the loss, the gradients, the metrics and the statistics that one
// process gives with the whole batch, for every objective, in each part of its training and with each of its choices.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "../pretended_gpu/built_in.h"
#include "engine/batches.h"
#include "engine/conformance/practice.h"
#include "engine/conformance/small_options.h"
#include "engine/gradient_reducer.h"
#include "engine/training.h"
#include "engine/training_step.h"
#include "processes.h"

namespace silc::testing {
namespace {

constexpr int64_t kWholeBatch = 8;
constexpr double kTolerance = 1e-5;  // relative

using NamedTensors = std::map<std::string, at::Tensor>;

// What a step gives, before the update.
struct Outcome {
  StepFigures figures;
  NamedTensors gradients;
  NamedTensors buffers;  // after the step
};

class Trainer {
 public:
  Trainer(const ResolvedCell& cell, const PluginInfo& plugin)
      : cell_(cell),
        assembly_(conformance::practice_assembly(cell, plugin)),
        source_(make_batch_source(cell, assembly_, *known_steps(cell))),
        step_(assembly_, cell) {}

  void update(int64_t step) {
    step_.run([&] { return source_.batch(step); }, progress(step), 1e-3);
  }

  Outcome outcome_of(int64_t step) {
    const auto parameters = trainable_parameters(*assembly_.model, *assembly_.objective);
    GradientReducer reducer(parameters);
    torch::manual_seed(static_cast<uint64_t>(step));
    const StepResult result = assembly_.objective->step(source_.batch(step), progress(step));
    at::Tensor loss = at::zeros({});
    StepFigures figures;
    for (const LossTerm& term : result.terms) {
      loss = loss + term.value * term.weight;
      figures.values.emplace_back("loss/" + term.name, term.value.item<double>());
    }
    for (const auto& [name, value] : result.metrics) figures.values.emplace_back(name, value.item<double>());
    figures.loss = loss.item<double>();
    reducer.begin();
    loss.backward();
    reducer.finish();
    Outcome outcome{.figures = mean_over_ranks(figures), .gradients = {}, .buffers = {}};
    for (const NamedTensor& parameter : parameters) {
      if (parameter.value.grad().defined()) outcome.gradients[parameter.name] = parameter.value.grad().clone();
      parameter.value.mutable_grad().reset();
    }
    for (const auto& named : assembly_.objective->named_buffers()) outcome.buffers[named.key()] = named.value().clone();
    return outcome;
  }

  [[nodiscard]] NamedTensors state() const { return step_.state(); }

 private:
  [[nodiscard]] Progress progress(int64_t step) const {
    const int64_t total = *known_steps(cell_);
    return {.step = step,
            .fraction = static_cast<double>(step) / static_cast<double>(total),
            .total_steps = total,
            .seed = training_seed(cell_)};
  }

  ResolvedCell cell_;
  Assembly assembly_;
  BatchSource source_;
  TrainingStep step_;
};

void expect_close(const std::string& what, double found, double expected, double size) {
  EXPECT_LE(std::abs(found - expected), kTolerance * std::max(std::abs(expected), size))
      << what << ": " << found << " instead of " << expected;
}

// `whole`: the norm beside which what is small counts as rounding.
void expect_close(const std::string& what, const at::Tensor& found, const at::Tensor& expected, double whole) {
  if (!expected.is_floating_point()) {
    EXPECT_TRUE(at::equal(found, expected)) << what;
    return;
  }
  const double norm = expected.to(at::kDouble).norm().item<double>();
  const double difference = (found.to(at::kDouble) - expected.to(at::kDouble)).norm().item<double>();
  EXPECT_LE(difference, kTolerance * std::max(norm, 0.01 * whole)) << what << " of norm " << norm << ", all " << whole;
}

void expect_same(const Outcome& found, const Outcome& expected) {
  expect_close("the loss", found.figures.loss, expected.figures.loss, 1);
  std::map<std::string, double> figures(found.figures.values.begin(), found.figures.values.end());
  for (const auto& [name, value] : expected.figures.values) {
    ASSERT_TRUE(figures.contains(name)) << name;
    expect_close(name, figures.at(name), value, 1);
  }
  double whole = 0;
  for (const auto& [name, gradient] : expected.gradients)
    whole += gradient.to(at::kDouble).square().sum().item<double>();
  whole = std::sqrt(whole);
  for (const auto& [name, gradient] : expected.gradients) {
    ASSERT_TRUE(found.gradients.contains(name)) << name << " has no gradient";
    expect_close("the gradient of " + name, found.gradients.at(name), gradient, whole);
  }
  EXPECT_EQ(found.gradients.size(), expected.gradients.size());
  for (const auto& [name, buffer] : expected.buffers) expect_close(name, found.buffers.at(name), buffer, 1);
}

// Three steps are taken by one process; the fourth by it and, from the same state, by all ranks together.
void check_step(const ResolvedCell& cell, const PluginInfo& plugin, int64_t step) {
  NamedTensors state;
  std::optional<Outcome> expected;
  {
    const Ranks alone;
    const RanksScope scope(alone);
    Trainer trainer(cell, plugin);
    for (int64_t i = 0; i < 3; ++i) trainer.update(step + i);
    for (const auto& [name, tensor] : trainer.state()) state[name] = tensor.detach().clone();
    expected = trainer.outcome_of(step + 3);
  }
  Trainer trainer(cell, plugin);
  {
    const torch::NoGradGuard no_grad;
    for (const auto& [name, tensor] : trainer.state()) tensor.copy_(state.at(name));
  }
  expect_same(trainer.outcome_of(step + 3), *expected);
}

std::vector<std::string> choices_of(const OptionRecord& option) {
  std::vector<std::string> choices;
  std::istringstream stream(option.choices);
  for (std::string choice; std::getline(stream, choice, '|');) choices.push_back(choice);
  return choices;
}

// The defaults, and each other value of an option that switches parts on or off.
std::vector<nlohmann::json> variants(const PluginInfo& plugin) {
  std::vector<nlohmann::json> all = {nlohmann::json::object()};
  for (const OptionRecord& option : plugin.options) {
    if (option.type == OptionType::boolean) all.push_back({{option.name, option.default_number == 0}});
    if (option.type != OptionType::text) continue;
    for (const std::string& choice : choices_of(option))
      if (choice != option.default_text) all.push_back({{option.name, choice}});
  }
  return all;
}

class ObjectiveOverRanks : public ::testing::TestWithParam<std::tuple<PluginInfo, int64_t>> {};

TEST_P(ObjectiveOverRanks, IsThatOfTheWholeBatch) {
  const auto& [plugin, size] = GetParam();
  in_ranks(size, [&plugin = plugin](const Ranks& /*ranks*/) {
    for (const nlohmann::json& chosen : variants(plugin)) {
      const ResolvedCell cell =
          conformance::practice_cell(plugin, conformance::small_options(plugin, chosen), kWholeBatch);
      std::vector<double> parts = conformance::practice_assembly(cell, plugin).objective->milestones();
      parts.insert(parts.begin(), 0);
      for (const double part : parts) {
        const auto step = static_cast<int64_t>(part * static_cast<double>(*known_steps(cell)));
        SCOPED_TRACE(chosen.dump() + " from step " + std::to_string(step));
        check_step(cell, plugin, step);
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(All, ObjectiveOverRanks,
                         ::testing::Combine(::testing::ValuesIn(built_in(PluginKind::objective)),
                                            ::testing::Values(2, 4)),
                         [](const auto& each) {
                           return std::get<0>(each.param).name + "_of_" + std::to_string(std::get<1>(each.param));
                         });

}  // namespace
}  // namespace silc::testing
