#include "nn/layer_decay.h"

#include "tests/nn/fixture.h"
#include "tests/nn/tiny_tower.h"

namespace silc {
namespace {

// Two blocks with a convolution and a token before them and a norm after them, under the names of a vision transformer.
class Layered : public ImageBackbone {
 public:
  Layered() {
    register_module("conv1", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 4, 1)));
    register_parameter("positional_embedding", at::zeros({1, 4}));
    torch::nn::ModuleList blocks;
    blocks->push_back(torch::nn::Linear(4, 4));
    blocks->push_back(torch::nn::Linear(4, 4));
    register_module("resblocks", blocks);
    register_module("ln_post", torch::nn::LayerNorm(torch::nn::LayerNormOptions({4})));
  }
  ImageFeatures forward(const at::Tensor& /*images*/) override { return {}; }
  [[nodiscard]] int64_t width() const override { return 4; }
};

std::map<std::string, double> scales(const ImageTower& tower, const std::vector<ParameterGroup>& groups) {
  std::map<std::string, double> scales;
  for (const auto& parameter : tower.named_parameters())
    for (const auto& group : groups)
      for (const auto& member : group.parameters)
        if (member.is_same(parameter.value())) scales[parameter.key()] = group.lr_scale;
  return scales;
}

TEST(LayerDecay, FallsFromTheLastBlockToThePatchEmbedding) {
  const ImageTower tower(std::make_shared<Layered>(), 2);
  const std::map<std::string, double> expected = {
      {"backbone.conv1.weight", 0.125 * 0.2},   {"backbone.conv1.bias", 0.125 * 0.2},
      {"backbone.positional_embedding", 0.125}, {"backbone.resblocks.0.weight", 0.25},
      {"backbone.resblocks.0.bias", 0.25},      {"backbone.resblocks.1.weight", 0.5},
      {"backbone.resblocks.1.bias", 0.5}};
  EXPECT_EQ(scales(tower, layer_decay(tower, 0.5, 0.2)), expected);
}

TEST(LayerDecay, TrainsOthersAsTheEmbeddings) {
  const ImageTower tower(std::make_shared<Layered>(), 2);
  const auto token = at::zeros({4});
  double scale = 1;
  for (const auto& group : layer_decay(tower, 0.5, 0.2, {token}))
    if (group.parameters[0].is_same(token)) scale = group.lr_scale;
  EXPECT_EQ(scale, 0.125);
}

TEST(LayerDecay, LeavesFrozenParametersOut) {
  const ImageTower tower(std::make_shared<Layered>(), 2);
  tower.named_parameters()["backbone.resblocks.1.weight"].set_requires_grad(false);
  EXPECT_FALSE(scales(tower, layer_decay(tower, 0.5, 0.2)).contains("backbone.resblocks.1.weight"));
}

TEST(LayerDecay, LeavesATowerWithoutBlocksAsItIs) {
  EXPECT_TRUE(layer_decay(*testing::tiny_tower(), 0.5, 0.2).empty());
}

}  // namespace
}  // namespace silc
