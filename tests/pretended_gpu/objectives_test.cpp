// No part of any objective makes the host wait for a GPU between the beginning of an update and the one read of its
// figures, copies to it in between or depends on values, and all of it runs on a device that is not the CPU, to the
// same figures.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <sstream>
#include <vector>

#include "built_in.h"
#include "device.h"
#include "engine/batches.h"
#include "engine/conformance/practice.h"
#include "engine/conformance/small_options.h"
#include "engine/shapes_only.h"
#include "engine/training_step.h"

namespace silc::testing {
namespace {

using ::testing::IsEmpty;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

// Other values than the default that switch parts on or off: the other choices, and of a share of training, which
// stands for "never" or "from the start" at its ends, the middle.
std::vector<nlohmann::json> other_values(const OptionRecord& option) {
  std::vector<nlohmann::json> values;
  if (option.type == OptionType::boolean) values.emplace_back(option.default_number == 0);
  if (option.type == OptionType::text)
    for (const std::string& choice : split(option.choices, '|'))
      if (choice != option.default_text) values.emplace_back(choice);
  constexpr double kMiddle = 0.5;
  if (option.type == OptionType::number && option.minimum == 0 && option.maximum == 1 &&
      option.default_number != kMiddle)
    values.emplace_back(kMiddle);
  return values;
}

std::vector<nlohmann::json> variants(const PluginInfo& plugin) {
  std::vector<nlohmann::json> all = {nlohmann::json::object()};
  for (const OptionRecord& option : plugin.options)
    for (const nlohmann::json& value : other_values(option)) all.push_back({{option.name, value}});
  return all;
}

// Training on one device.
class Trainer {
 public:
  Trainer(const ResolvedCell& cell, const PluginInfo& plugin, const at::Device& device)
      : assembly_(assembly(cell, plugin, device)),
        source_(make_batch_source(cell, assembly_, 0)),
        step_(assembly_, cell) {}

  [[nodiscard]] std::vector<double> milestones() const { return assembly_.objective->milestones(); }

  // The update number `number`, after `fraction` of the training.
  DeviceFigures update(int64_t number, double fraction, std::vector<std::string>& waits) {
    constexpr double kUpdates = 1000;
    const Progress progress{.step = static_cast<int64_t>(fraction * kUpdates) + number,
                            .fraction = fraction,
                            .total_steps = static_cast<int64_t>(kUpdates),
                            .seed = 1};
    std::vector<Batch> batches;
    for (int64_t i = 0; i < 2; ++i) batches.push_back(to_device(source_.batch(2 * number + i), assembly_.device));
    std::size_t next = 0;
    const Waits listening;
    const DeviceFigures figures = step_.update([&] { return batches.at(next++); }, progress, 1e-3);
    waits = listening.found();
    return figures;
  }

  StepFigures run(int64_t number, double fraction, std::vector<std::string>& waits) {
    return update(number, fraction, waits).read();
  }

 private:
  static Assembly assembly(const ResolvedCell& cell, const PluginInfo& plugin, const at::Device& device) {
    const bool values = !device.is_meta();
    Assembly assembly = conformance::practice_assembly(cell, plugin, 0, values ? device : at::kCPU);
    assembly.device = device;
    if (values) return assembly;
    forget_values(*assembly.model);
    forget_values(*assembly.objective);
    return assembly;
  }

  Assembly assembly_;
  BatchSource source_;
  TrainingStep step_;
};

ResolvedCell cell_of(const PluginInfo& plugin, const nlohmann::json& options, const std::string& precision = "fp32") {
  ResolvedCell cell = conformance::practice_cell(plugin, conformance::small_options(plugin, options), 4);
  cell.optimizer.accumulate = 2;
  cell.optimizer.clip_grad_norm = 1;
  cell.engine.precision = precision;
  return cell;
}

// In the middle of each part of training, and at its beginning, where what was without gradient until then joins in.
std::vector<double> places(std::vector<double> milestones) {
  std::vector<double> places;
  double from = 0;
  milestones.push_back(1);
  for (const double to : milestones) {
    if (to <= from) continue;
    places.insert(places.end(), {from, (from + to) / 2});
    from = to;
  }
  return places;
}

// Training with the objective's defaults, and with one option at a time otherwise.
class Steps : public ::testing::TestWithParam<PluginInfo> {
 protected:
  // Visits the options with trainers on `devices`, which have taken an update each: some constants are made in the
  // first (tables for positions, say).
  template <class Visit>
  static void for_each_variant(const std::vector<at::Device>& devices, const std::string& precision,
                               const Visit& visit) {
    for (const nlohmann::json& options : variants(GetParam())) {
      SCOPED_TRACE(options.dump());
      std::vector<std::unique_ptr<Trainer>> trainers;
      try {
        for (const at::Device& device : devices)
          trainers.push_back(std::make_unique<Trainer>(cell_of(GetParam(), options, precision), GetParam(), device));
      } catch (const Error& error) {
        // Some values do not go together with the others' defaults.
        EXPECT_FALSE(options.empty()) << error.what();
        continue;
      }
      std::vector<std::string> ignored;
      for (const auto& trainer : trainers) trainer->update(0, 0, ignored);
      visit(trainers);
    }
  }
};

TEST_P(Steps, WaitForNothingAndGiveTheCpusFigures) {
  for_each_variant({at::kCPU, pretended_gpu()}, "fp32", [](const auto& trainers) {
    int64_t number = 1;
    for (const double fraction : places(trainers[0]->milestones())) {
      std::vector<std::string> waits;
      const StepFigures expected = trainers[0]->run(number, fraction, waits);
      const StepFigures figures = trainers[1]->run(number++, fraction, waits);
      EXPECT_THAT(waits, IsEmpty()) << "after " << fraction << " of the training";
      EXPECT_NEAR(figures.loss, expected.loss, 1e-4 * (1 + std::abs(expected.loss)));
      EXPECT_NEAR(figures.gradient_norm, expected.gradient_norm, 1e-3 * (1 + expected.gradient_norm));
      ASSERT_EQ(figures.values.size(), expected.values.size());
      for (std::size_t i = 0; i < figures.values.size(); ++i)
        EXPECT_NEAR(figures.values[i].second, expected.values[i].second,
                    1e-3 * (1 + std::abs(expected.values[i].second)))
            << figures.values[i].first;
    }
  });
}

TEST_P(Steps, WaitForNothingInBfloat16) {
  for_each_variant({pretended_gpu()}, "bf16", [](const auto& trainers) {
    int64_t number = 1;
    for (const double fraction : places(trainers[0]->milestones())) {
      std::vector<std::string> waits;
      const StepFigures figures = trainers[0]->run(number++, fraction, waits);
      EXPECT_THAT(waits, IsEmpty()) << "after " << fraction << " of the training";
      EXPECT_TRUE(std::isfinite(figures.loss) && std::isfinite(figures.gradient_norm));
      for (const auto& [name, value] : figures.values) EXPECT_TRUE(std::isfinite(value)) << name;
    }
  });
}

// Autocast of a GPU casts other operators than that of the CPU, so the loss is compared with that of full precision.
TEST_P(Steps, GiveNearlyTheSameLossInBfloat16) {
  std::vector<std::string> ignored;
  Trainer exact(cell_of(GetParam(), nlohmann::json::object()), GetParam(), pretended_gpu());
  Trainer mixed(cell_of(GetParam(), nlohmann::json::object(), "bf16"), GetParam(), pretended_gpu());
  const StepFigures expected = exact.run(0, 0, ignored);
  const StepFigures figures = mixed.run(0, 0, ignored);
  EXPECT_NE(figures.gradient_norm, expected.gradient_norm) << "nothing was computed in bf16";
  EXPECT_NEAR(figures.loss, expected.loss, 2e-2 * (1 + std::abs(expected.loss)));
}

TEST_P(Steps, DependOnNoValue) {
  const ShapesOnly shapes;
  for (const char* precision : {"fp32", "bf16"})
    for_each_variant({at::kMeta}, precision, [](const auto& trainers) {
      int64_t number = 1;
      for (const double fraction : places(trainers[0]->milestones())) {
        std::vector<std::string> ignored;
        EXPECT_NO_THROW(trainers[0]->update(number++, fraction, ignored)) << "after " << fraction << " of the training";
      }
    });
}

INSTANTIATE_TEST_SUITE_P(OfEveryObjective, Steps, ::testing::ValuesIn(built_in(PluginKind::objective)),
                         [](const ::testing::TestParamInfo<PluginInfo>& info) { return info.param.name; });

}  // namespace
}  // namespace silc::testing
