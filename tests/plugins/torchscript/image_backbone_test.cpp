#include "scripts.h"
#include "silc/backbone.h"
#include "silc/model.h"
#include "silc/testing/options.h"

extern "C" silc::ImageBackbone* silc_image_backbone_torchscript_image(const silc::ImageBackboneContext& context);

namespace silc {
namespace {

using ::testing::ElementsAre;
using testing::fixture_file;
using ::testing::HasSubstr;
using testing::options_of;
using testing::refusal;

constexpr int64_t kImageSize = 16;

std::shared_ptr<ImageBackbone> scripted(const std::string& file,
                                        const std::map<std::string, OptionValue>& changes = {}) {
  auto all = changes;
  all["file"] = file;
  const auto options = options_of("torchscript_image", all);
  return std::shared_ptr<ImageBackbone>(
      silc_image_backbone_torchscript_image({.options = options, .image_size = kImageSize}));
}

using ScriptedBackbone = testing::ScriptTest;

TEST_F(ScriptedBackbone, GivesPooledFeaturesAndPatchesRowByRow) {
  const auto backbone = scripted(fixture_file("tower"));
  EXPECT_EQ(backbone->width(), 4);
  const auto features = backbone->forward(at::randn({2, 3, 16, 8}));
  EXPECT_EQ(features.pooled.sizes(), (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(features.patches.sizes(), (std::vector<int64_t>{2, 8, 4}));
  EXPECT_EQ(features.grid_height, 4);
  EXPECT_EQ(features.grid_width, 2);
  EXPECT_TRUE(at::allclose(features.patches.mean(1), features.pooled, 1e-5, 1e-6));
}

TEST_F(ScriptedBackbone, IsTrainedButForWhatPythonFroze) {
  const auto backbone = scripted(fixture_file("tower"));
  backbone->forward(at::randn({2, 3, 16, 16})).pooled.pow(2).sum().backward();
  for (const auto& parameter : backbone->named_parameters()) {
    const bool frozen = parameter.key() == "script.gain";
    EXPECT_EQ(parameter.value().requires_grad(), !frozen) << parameter.key();
    EXPECT_EQ(parameter.value().grad().defined(), !frozen) << parameter.key();
  }
  EXPECT_EQ(backbone->named_parameters().size(), 5U);
  EXPECT_THAT(backbone->named_buffers().keys(), ElementsAre("script.stem.1.running_mean", "script.stem.1.running_var",
                                                            "script.stem.1.num_batches_tracked"));
}

TEST_F(ScriptedBackbone, IsInTrainingModeUntilItIsEvaluated) {
  const auto backbone = scripted(fixture_file("tower"));
  const auto count = backbone->named_buffers()["script.stem.1.num_batches_tracked"];
  EXPECT_EQ(count.item<int64_t>(), 0);  // looking at its width is no training
  backbone->forward(at::randn({2, 3, 16, 16}));
  EXPECT_EQ(count.item<int64_t>(), 1);
  backbone->eval();
  backbone->forward(at::randn({2, 3, 16, 16}));
  EXPECT_EQ(count.item<int64_t>(), 1);
}

TEST_F(ScriptedBackbone, FrozenIsNeitherTrainedNorEverInTrainingMode) {
  const auto backbone = scripted(fixture_file("tower"), {{"frozen", true}});
  backbone->train();
  backbone->forward(at::randn({2, 3, 16, 16}));
  for (const auto& parameter : backbone->parameters()) EXPECT_FALSE(parameter.requires_grad());
  EXPECT_EQ(backbone->named_buffers()["script.stem.1.num_batches_tracked"].item<int64_t>(), 0);
}

TEST_F(ScriptedBackbone, ShuffledStartsDependOnTheGeneratorAndKeepTheDistribution) {
  const auto weight = [&](const std::string& init, uint64_t seed) {
    at::manual_seed(seed);
    return scripted(fixture_file("tower"), {{"init", init}})->named_parameters()["script.stem.0.weight"];
  };
  EXPECT_TRUE(at::equal(weight("file", 1), weight("file", 2)));
  EXPECT_TRUE(at::equal(weight("shuffled", 1), weight("shuffled", 1)));
  EXPECT_FALSE(at::equal(weight("shuffled", 1), weight("shuffled", 2)));
  EXPECT_TRUE(
      at::equal(std::get<0>(weight("shuffled", 1).flatten().sort()), std::get<0>(weight("file", 1).flatten().sort())));
}

TEST_F(ScriptedBackbone, WorksInATower) {
  ImageTower tower(scripted(fixture_file("tower")), 6);
  const auto features = tower.forward(at::randn({2, 3, 16, 16}));
  EXPECT_EQ(tower.embed(features.pooled).sizes(), (std::vector<int64_t>{2, 6}));
  EXPECT_EQ(tower.embed_patches(features).sizes(), (std::vector<int64_t>{2, 16, 6}));
}

TEST_F(ScriptedBackbone, RefusesFeaturesWithoutAMap) {
  EXPECT_THAT(refusal([&] { scripted(script("def forward(self, images):\n  return images.mean((2, 3))\n")); }),
              HasSubstr("must return two tensors"));
}

TEST_F(ScriptedBackbone, RefusesFeaturesOfAnotherShape) {
  EXPECT_THAT(
      refusal([&] { scripted(script("def forward(self, images):\n  return images.mean((1, 2, 3)), images\n")); }),
      HasSubstr("forward() of [1, 3, 16, 16] gives [1] and [1, 3, 16, 16]"));
}

TEST_F(ScriptedBackbone, RefusesAModuleWithoutForward) {
  EXPECT_THAT(refusal([&] { scripted(script("def backward(self, images):\n  return images\n")); }),
              HasSubstr("it has no method forward()"));
}

}  // namespace
}  // namespace silc
