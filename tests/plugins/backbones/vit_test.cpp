#include <ATen/autocast_mode.h>

#include "silc/backbone.h"
#include "tests/plugins/backbones/backbone_test.h"

extern "C" silc::ImageBackbone* silc_image_backbone_vit(const silc::ImageBackboneContext& context);

namespace silc {
namespace {

using testing::kTowerTolerance;
using testing::load_fixture;
using testing::load_parameters;
using testing::near;

using Changes = std::map<std::string, OptionValue>;

std::shared_ptr<ImageBackbone> make_vit(const Changes& changes, int64_t image_size = 16) {
  Changes all = {{"width", int64_t{8}}, {"layers", int64_t{2}}, {"heads", int64_t{2}}, {"patch", int64_t{4}}};
  for (const auto& [key, value] : changes) all[key] = value;
  const auto options = testing::options_of("vit", all);
  return std::shared_ptr<ImageBackbone>(silc_image_backbone_vit({.options = options, .image_size = image_size}));
}

struct Variant {
  std::string name;  // in the fixture
  std::string fixture;
  Changes changes;
};

class VitAgainstOthers : public ::testing::TestWithParam<Variant> {};

TEST_P(VitAgainstOthers, OutputsAndGradientsAgree) {
  const auto& [name, file, changes] = GetParam();
  const auto fixture = load_fixture(file);
  const auto vit = make_vit(changes);
  load_parameters(*vit, fixture, name + ".weight.");
  const auto features = vit->forward(fixture.at(name + ".in.images"));
  std::map<std::string, at::Tensor> outputs = {{"pooled", features.pooled}};
  if (fixture.contains(name + ".out.patches")) outputs["patches"] = features.patches;
  if (fixture.contains(name + ".out.local")) outputs["local"] = vit->localize(features);
  if (fixture.contains(name + ".out.crop")) {
    const auto crop = vit->forward(fixture.at(name + ".in.crop")).pooled;
    EXPECT_TRUE(near(crop, fixture.at(name + ".out.crop"), kTowerTolerance));
  }
  for (const auto& [output, value] : outputs)
    EXPECT_TRUE(near(value, fixture.at(name + ".out." + output), kTowerTolerance)) << output;
  testing::expect_gradients(*vit, fixture, name, outputs);
}

INSTANTIATE_TEST_SUITE_P(
    Variants, VitAgainstOthers,
    ::testing::Values(Variant{"cls", "nn_vit_open_clip", {}},
                      Variant{"resized", "nn_vit_open_clip", {{"layers", int64_t{1}}}},
                      Variant{"conv",
                              "nn_vit_open_clip",
                              {{"width", int64_t{16}}, {"layers", int64_t{1}}, {"stem", std::string("conv")}}},
                      Variant{"mean", "nn_vit_timm", {{"pooling", std::string("mean")}, {"pre_norm", false}}},
                      Variant{"map", "nn_vit_timm", {{"pooling", std::string("map")}, {"pre_norm", false}}},
                      Variant{"quick_gelu",
                              "nn_vit_masked",
                              {{"layers", int64_t{1}}, {"mlp", std::string("quick_gelu")}, {"layer_scale", 0.5}}}),
    [](const auto& info) { return info.param.name; });

// Of width 16 with one block, as tests/reference/nn_vit_variants.py builds them.
Changes variant(Changes changes) {
  changes.merge(Changes{{"width", int64_t{16}}, {"layers", int64_t{1}}, {"pre_norm", false}, {"norm_eps", 1e-6}});
  return changes;
}

INSTANTIATE_TEST_SUITE_P(OfTimm, VitAgainstOthers,
                         ::testing::Values(Variant{"registers", "nn_vit_variants",
                                                   variant({{"registers", int64_t{2}},
                                                            {"layer_scale", 0.3},
                                                            {"qk_norm", true},
                                                            {"mlp", std::string("swiglu")},
                                                            {"mlp_ratio", 2.0}})},
                                           Variant{"map", "nn_vit_variants",
                                                   variant({{"width", int64_t{8}},
                                                            {"registers", int64_t{1}},
                                                            {"pooling", std::string("map")},
                                                            {"mlp", std::string("gelu_tanh")}})},
                                           Variant{"eva", "nn_vit_rotary",
                                                   variant({{"positions", std::string("both")},
                                                            {"rotary_grid", int64_t{3}},
                                                            {"mlp", std::string("swiglu")},
                                                            {"mlp_ratio", 2.5},
                                                            {"sub_norm", std::string("all")}})},
                                           Variant{"rotary", "nn_vit_rotary",
                                                   variant({{"positions", std::string("rotary")},
                                                            {"pooling", std::string("mean")},
                                                            {"mlp_ratio", 2.0}})}),
                         [](const auto& info) { return info.param.name; });

TEST(Vit, PatchTokensLieRowByRow) {
  const auto vit = make_vit({{"pooling", std::string("mean")}});
  const auto features = vit->forward(at::randn({2, 3, 8, 16}));
  EXPECT_EQ(features.grid_height, 2);
  EXPECT_EQ(features.grid_width, 4);
  EXPECT_EQ(features.patches.sizes(), at::IntArrayRef({2, 8, 8}));
}

TEST(Vit, ViewsOfSeveralSizesGiveTheSameAsEachAlone) {
  const auto vit = make_vit({});
  const auto small = at::randn({2, 3, 8, 8});
  const auto alone = vit->forward(small).pooled.detach();
  vit->forward(at::randn({2, 3, 12, 12}));
  EXPECT_TRUE(at::equal(vit->forward(small).pooled, alone));
}

TEST(Vit, TokensFlowInHalfPrecisionUnderAutocast) {
  const auto vit = make_vit({});
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  const auto features = vit->forward(at::randn({2, 3, 16, 16}));
  at::autocast::set_autocast_enabled(at::kCPU, false);
  at::autocast::clear_cache();
  EXPECT_EQ(features.patches.scalar_type(), at::kBFloat16);
}

class MaskedVit : public ::testing::TestWithParam<Variant> {};

TEST_P(MaskedVit, SeesTheMaskTokenInPlaceOfPatches) {
  const auto& [name, file, changes] = GetParam();
  const auto towers = load_fixture(file), fixture = load_fixture("nn_vit_masked");
  const auto vit = make_vit(changes);
  load_parameters(*vit, towers, name + ".weight.");
  const auto token = fixture.at(name + ".token").requires_grad_();
  const auto features =
      vit->forward_masked(towers.at(name + ".in.images"), fixture.at(name + ".mask").to(at::kBool), token);
  const auto tokens = at::cat({features.pooled.unsqueeze(1), features.patches}, 1);
  EXPECT_TRUE(near(tokens, fixture.at(name + ".tokens"), kTowerTolerance));
  (tokens * fixture.at(name + ".seed")).sum().backward();
  EXPECT_TRUE(near(token.grad(), fixture.at(name + ".token.grad"), kTowerTolerance));
  EXPECT_TRUE(near(vit->named_parameters()["class_embedding"].grad(), fixture.at(name + ".class_embedding.grad"),
                   kTowerTolerance));
}

INSTANTIATE_TEST_SUITE_P(
    Stems, MaskedVit,
    ::testing::Values(Variant{"cls", "nn_vit_open_clip", {}},
                      Variant{"conv",
                              "nn_vit_open_clip",
                              {{"width", int64_t{16}}, {"layers", int64_t{1}}, {"stem", std::string("conv")}}}),
    [](const auto& info) { return info.param.name; });

TEST(Vit, MasksPatchesOfCrops) {
  const auto vit = make_vit({});
  const auto images = at::randn({2, 3, 8, 8});
  const auto token = at::randn({8});
  const auto none = at::zeros({2, 4}, at::kBool);
  EXPECT_TRUE(at::equal(vit->forward_masked(images, none, token).patches, vit->forward(images).patches));
  const auto all = at::ones({2, 4}, at::kBool);
  EXPECT_TRUE(at::equal(vit->forward_masked(images, all, token).patches,
                        vit->forward_masked(at::zeros_like(images), all, token).patches));
}

TEST(Vit, RefusesMasksOfAnotherShape) {
  const auto vit = make_vit({});
  EXPECT_THROW(vit->forward_masked(at::zeros({2, 3, 8, 8}), at::zeros({2, 16}, at::kBool), at::zeros({8})), Error);
}

TEST(Vit, WhatAnEvaluationLeavesBehindCanBeTrainedWith) {
  const auto vit = make_vit({{"positions", std::string("both")}});
  const auto crops = at::randn({1, 3, 8, 8});
  {
    const c10::InferenceMode inference;
    vit->forward(crops);
  }
  EXPECT_NO_THROW(vit->forward(crops).pooled.sum().backward());
}

TEST(Vit, RefusesRotaryPositionsForHeadsThatDoNotSplitInFour) {
  EXPECT_THROW(make_vit({{"positions", std::string("rotary")}, {"heads", int64_t{4}}}), Error);
}

TEST(Vit, RefusesViewsThatAreNoMultipleOfThePatch) {
  EXPECT_THROW(make_vit({}, 18), Error);
  EXPECT_THROW(make_vit({})->forward(at::zeros({1, 3, 10, 10})), Error);
}

TEST(Vit, RefusesAConvolutionalStemForAPatchThatIsNoPowerOfTwo) {
  EXPECT_THROW(make_vit({{"stem", std::string("conv")}, {"patch", int64_t{6}}}, 24), Error);
}

TEST(Vit, RefusesAConvolutionalStemThatIsTooNarrow) {
  EXPECT_THROW(make_vit({{"stem", std::string("conv")}, {"width", int64_t{8}}}), Error);
}

}  // namespace
}  // namespace silc
