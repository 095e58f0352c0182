#include "silc/backbone.h"
#include "tests/plugins/backbones/backbone_test.h"

extern "C" silc::ImageBackbone* silc_image_backbone_resnet(const silc::ImageBackboneContext& context);
extern "C" silc::ImageBackbone* silc_image_backbone_convnext(const silc::ImageBackboneContext& context);

namespace silc {
namespace {

using testing::kTowerTolerance;
using testing::load_fixture;
using testing::load_parameters;
using testing::near;

using Changes = std::map<std::string, OptionValue>;

std::shared_ptr<ImageBackbone> make_resnet(const Changes& changes, int64_t image_size = 24) {
  Changes all = {{"width", int64_t{4}}, {"depths", std::string("1,2")}};
  for (const auto& [key, value] : changes) all[key] = value;
  const auto options = testing::options_of("resnet", all);
  return std::shared_ptr<ImageBackbone>(silc_image_backbone_resnet({.options = options, .image_size = image_size}));
}

std::shared_ptr<ImageBackbone> make_convnext(const Changes& changes, int64_t image_size = 24) {
  Changes all = {{"widths", std::string("8,12")}, {"depths", std::string("1, 2")}, {"layer_scale", 0.5}};
  for (const auto& [key, value] : changes) all[key] = value;
  const auto options = testing::options_of("convnext", all);
  return std::shared_ptr<ImageBackbone>(silc_image_backbone_convnext({.options = options, .image_size = image_size}));
}

Changes clip() { return {{"variant", std::string("clip")}, {"heads", int64_t{2}}, {"depths", std::string("1,1")}}; }

struct Variant {
  std::string name;
  Changes changes;
};

class ResNetAgainstOthers : public ::testing::TestWithParam<Variant> {};

TEST_P(ResNetAgainstOthers, TrainsAndEvaluatesAlike) {
  const auto& [name, changes] = GetParam();
  const auto fixture = load_fixture("nn_resnet_" + name);
  const auto resnet = make_resnet(changes);
  load_parameters(*resnet, fixture, name + ".weight.");
  const auto images = fixture.at(name + ".in.images");

  const auto features = resnet->forward(images);
  std::map<std::string, at::Tensor> outputs = {{"pooled", features.pooled}, {"patches", features.patches}};
  if (fixture.contains(name + ".out.local")) outputs["local"] = resnet->localize(features);
  for (const auto& [output, value] : outputs)
    EXPECT_TRUE(near(value, fixture.at(name + ".out." + output), kTowerTolerance)) << output;
  testing::expect_gradients(*resnet, fixture, name, outputs);
  for (const auto& buffer : resnet->named_buffers())
    EXPECT_TRUE(near(buffer.value(), fixture.at(name + ".buffer." + buffer.key()), kTowerTolerance)) << buffer.key();

  resnet->eval();
  EXPECT_TRUE(near(resnet->forward(images).pooled, fixture.at(name + ".out.eval"), kTowerTolerance));
  EXPECT_TRUE(
      near(resnet->forward(fixture.at(name + ".in.crop")).pooled, fixture.at(name + ".out.crop"), kTowerTolerance));
}

INSTANTIATE_TEST_SUITE_P(Variants, ResNetAgainstOthers,
                         ::testing::Values(Variant{"bottleneck", {}},
                                           Variant{"basic", {{"block", std::string("basic")}}},
                                           Variant{"clip", clip()}),
                         [](const auto& info) { return info.param.name; });

TEST(ConvNext, AgreesWithTimm) {
  const auto fixture = load_fixture("nn_convnext");
  const auto convnext = make_convnext({});
  load_parameters(*convnext, fixture, "convnext.weight.");
  const auto features = convnext->forward(fixture.at("convnext.in.images"));
  EXPECT_TRUE(near(features.pooled, fixture.at("convnext.out.pooled"), kTowerTolerance));
  EXPECT_TRUE(near(features.patches, fixture.at("convnext.out.patches"), kTowerTolerance));
  const auto crop = convnext->forward(fixture.at("convnext.in.crop"));
  EXPECT_TRUE(near(crop.pooled, fixture.at("convnext.out.crop"), kTowerTolerance));
  testing::expect_gradients(*convnext, fixture, "convnext",
                            {{"pooled", features.pooled}, {"patches", features.patches}});
}

TEST(ResNet, StartsWithBlocksThatAddNothingIfToldTo) {
  const auto resnet = make_resnet({{"depths", std::string("3")}, {"zero_init", true}});
  const auto images = at::randn({2, 3, 24, 24});
  const auto before = resnet->forward(images).pooled;
  {
    const torch::NoGradGuard no_grad;
    resnet->named_parameters()["layer1.2.conv2.weight"].normal_();
  }
  EXPECT_TRUE(at::equal(resnet->forward(images).pooled, before));
}

TEST(ResNet, KeepsStatisticsOfGlobalViewsOnly) {
  const auto resnet = make_resnet({});
  const auto mean = resnet->named_buffers()["bn1.running_mean"];
  resnet->forward(at::randn({4, 3, 16, 16}) + 3);
  EXPECT_TRUE(at::equal(mean, at::zeros({4})));
  resnet->forward(at::randn({4, 3, 24, 24}) + 3);
  EXPECT_FALSE(at::equal(mean, at::zeros({4})));
}

TEST(ResNet, KeepsStatisticsOfAllViewsIfToldTo) {
  const auto resnet = make_resnet({{"statistics", std::string("all")}});
  resnet->forward(at::randn({4, 3, 16, 16}) + 3);
  EXPECT_FALSE(at::equal(resnet->named_buffers()["bn1.running_mean"], at::zeros({4})));
}

TEST(ResNet, TakesCropsOfOddSizes) {
  for (const auto& changes : {Changes{}, clip()}) {
    const auto features = make_resnet(changes)->forward(at::randn({2, 3, 19, 9}));
    EXPECT_EQ(features.patches.size(1), features.grid_height * features.grid_width);
  }
}

TEST(ResNet, RefusesWhatDoesNotGoTogether) {
  EXPECT_THROW(make_resnet({}, 20), Error);
  EXPECT_THROW(make_resnet({})->forward(at::zeros({2, 3, 24, 4})), Error);
  EXPECT_THROW(make_resnet({{"variant", std::string("clip")}, {"block", std::string("basic")}}), Error);
  EXPECT_THROW(make_resnet({{"variant", std::string("clip")}, {"heads", int64_t{3}}}), Error);
  EXPECT_THROW(make_resnet({{"variant", std::string("clip")}, {"width", int64_t{3}}}), Error);
}

TEST(ResNet, RefusesToTrainOnOneValueAChannel) {
  const auto resnet = make_resnet({});
  EXPECT_THROW(resnet->forward(at::zeros({1, 3, 8, 8})), Error);
  resnet->eval();
  EXPECT_NO_THROW(resnet->forward(at::zeros({1, 3, 8, 8})));
}

TEST(ResNet, RefusesDepthsThatAreNoList) {
  for (const char* depths : {"", "3,", "3;4", "0", "3,x", "1,1,1,1,1,1,1,1,1"})
    EXPECT_THROW(make_resnet({{"depths", std::string(depths)}}, 512), Error) << depths;
}

TEST(ConvNext, TakesCropsOfOddSizes) {
  const auto features = make_convnext({})->forward(at::randn({2, 3, 19, 9}));
  EXPECT_EQ(features.grid_height, 2);
  EXPECT_EQ(features.grid_width, 1);
  EXPECT_EQ(features.patches.sizes(), at::IntArrayRef({2, 2, 12}));
}

TEST(ConvNext, RefusesWhatDoesNotGoTogether) {
  EXPECT_THROW(make_convnext({}, 20), Error);
  EXPECT_THROW(make_convnext({})->forward(at::zeros({2, 3, 4, 24})), Error);
  EXPECT_THROW(make_convnext({{"depths", std::string("1,2,1")}}), Error);
  EXPECT_THROW(make_convnext({{"kernel", int64_t{4}}}), Error);
}

}  // namespace
}  // namespace silc
