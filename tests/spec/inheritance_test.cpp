#include <gmock/gmock.h>

#include <algorithm>

#include "spec_testing.h"

namespace silc {
namespace {

using testing::ElementsAre;

class InheritanceTest : public SpecTest {
 protected:
  // The cell of the last row, with one seed.
  ResolvedCell last_cell(const std::string& rows) { return read(kHead + rows).cells.back(); }
};

OptionValue option(const PluginChoice& plugin, const std::string& name) { return plugin.options.values().at(name); }

TEST_F(InheritanceTest, ARowStartsFromItsBase) {
  const ResolvedCell cell = last_cell(R"(
[[row]]
name = "A"
objective = "siglip"
optimizer.lr = 0.5
optimizer.batch = 8
[[row]]
name = "B"
base = "A"
optimizer.lr = 0.25
)");
  EXPECT_EQ(cell.objective.name, "siglip");
  EXPECT_EQ(cell.optimizer.lr, 0.25);
  EXPECT_EQ(cell.optimizer.batch, 8);
}

TEST_F(InheritanceTest, BasesMayComeLaterInTheFileAndHaveBasesThemselves) {
  const ResolvedCell cell = read(kHead + R"(
[[row]]
name = "C"
base = "B"
[[row]]
name = "B"
base = "A"
optimizer.lr = 0.25
[[row]]
name = "A"
objective = "siglip"
)")
                                .cells.front();
  EXPECT_EQ(cell.objective.name, "siglip");
  EXPECT_EQ(cell.optimizer.lr, 0.25);
}

TEST_F(InheritanceTest, OptionsAloneChangeThePluginOfTheBase) {
  const ResolvedCell cell = last_cell(R"(
[[row]]
name = "A"
objective = { name = "silc", local_views = 2, distillation = "mse" }
[[row]]
name = "B"
base = "A"
objective.local_views = 3
)");
  EXPECT_EQ(option(cell.objective, "local_views"), OptionValue(int64_t{3}));
  EXPECT_EQ(option(cell.objective, "distillation"), OptionValue(std::string("mse")));
}

TEST_F(InheritanceTest, APluginsNameStartsFromItsDefaults) {
  const ResolvedCell cell = last_cell(R"(
[[row]]
name = "A"
objective = { name = "silc", local_views = 2, distillation = "mse" }
[[row]]
name = "B"
base = "A"
objective = { name = "silc", local_views = 3 }
)");
  EXPECT_EQ(option(cell.objective, "distillation"), OptionValue(std::string("dino")));
}

TEST_F(InheritanceTest, AnotherPluginDropsTheOptionsOfTheBases) {
  const ResolvedCell cell = last_cell(R"(
[[row]]
name = "A"
objective = { name = "silc", local_views = 2 }
[[row]]
name = "B"
base = "A"
objective = "clip"
)");
  EXPECT_EQ(cell.objective.name, "clip");
}

TEST_F(InheritanceTest, AnotherBackboneKeepsWhatIsNoOptionOfIt) {
  const ResolvedCell cell = last_cell(R"(
[[row]]
name = "A"
objective = "clip"
model.image = { backbone = "vit", layers = 2, image_size = 32 }
model.text = { backbone = "text_transformer", context_length = 9, tokenizer = { tokenizer = "words", vocabulary = 99 } }
[[row]]
name = "B"
base = "A"
model.image = "convnet"
model.text.backbone = "text_transformer"
)");
  EXPECT_EQ(cell.image.backbone.name, "convnet");
  EXPECT_EQ(cell.image.image_size, 32);
  EXPECT_EQ(cell.text.context_length, 9);
  EXPECT_EQ(option(cell.text.tokenizer, "vocabulary"), OptionValue(int64_t{99}));
}

TEST_F(InheritanceTest, ABudgetInAnotherUnitReplacesTheFiles) {
  const ResolvedCell cell = last_cell(R"(
[[row]]
name = "A"
objective = "clip"
budget.core_seconds = 60
)");
  EXPECT_EQ(cell.budget, (Budget{BudgetUnit::core_seconds, 60}));
}

TEST_F(InheritanceTest, ARowMayHaveItsOwnTrainingData) {
  const ResolvedCell cell = last_cell(R"(
[[row]]
name = "A"
objective = "clip"
data.train.dataset = "shapes"
)");
  EXPECT_EQ(cell.train.dataset.name, "shapes");
  EXPECT_EQ(cell.train.split, "train");
}

TEST_F(InheritanceTest, AnObjectiveOfTheFileHoldsForRowsThatNameNone) {
  const Experiment experiment = read("objective = \"siglip\"\n" + kHead + "[[row]]\nname = \"A\"\n");
  EXPECT_EQ(experiment.cells[0].objective.name, "siglip");
}

TEST_F(InheritanceTest, WeightsAreInheritedAsAWhole) {
  const ResolvedCell cell = last_cell(R"(
[[row]]
name = "A"
objective = "clip"
evaluation.weights = ["student", "teacher"]
[[row]]
name = "B"
base = "A"
evaluation.weights = ["teacher"]
)");
  EXPECT_THAT(cell.weights, ElementsAre("teacher"));
}

class PlaceTest : public SpecTest {
 protected:
  // Line of a fault of the last row, in the rows after kHead.
  int64_t line_of(const std::string& rows, const std::string& key, const std::string& message) {
    const Experiment experiment = read(kHead + rows);
    const auto head = std::count(kHead.begin(), kHead.end(), '\n');
    return place_of(experiment, experiment.cells.back(), key, message).line - head;
  }

  const std::string rows_ = R"([[evaluate]]
evaluator = "zero_shot_segmentation"
dataset = "shapes"
[[row]]
name = "A"
objective = { name = "silc", local_views = 2 }
model.image = { width = 32, patch = 8 }
[[row]]
name = "B"
base = "A"
objective.distillation_weight = 2.0
model.image.heads = 5
)";
};

TEST_F(PlaceTest, OfALaterFaultIsThatOfTheOptionThatItNames) {
  EXPECT_EQ(line_of(rows_, "model.image", "patch 8 is too large"), 7) << "in the base";
  EXPECT_EQ(line_of(rows_, "model.image", "width 32 is not a multiple of heads 5"), 12) << "what was written last";
  EXPECT_EQ(line_of(rows_, "objective.local_views", "too many"), 6);
}

TEST_F(PlaceTest, OfALaterFaultIsAsNearAsSomethingIsWritten) {
  EXPECT_EQ(line_of(rows_, "objective.local_size", "4 pixels"), 6) << "the objective's name";
  EXPECT_EQ(line_of(rows_, "engine.device", "there is none"), 9) << "the row's";
  EXPECT_EQ(line_of(rows_, "", "all of it"), 9);
  EXPECT_EQ(line_of(rows_, "evaluate.0.dataset", "it has no masks"), 3);
  EXPECT_EQ(line_of(rows_, "evaluate.0", "it needs masks"), 2);
}

}  // namespace
}  // namespace silc
