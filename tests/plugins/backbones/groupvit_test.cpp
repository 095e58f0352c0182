#include "silc/backbone.h"
#include "tests/plugins/backbones/backbone_test.h"

extern "C" silc::ImageBackbone* silc_image_backbone_groupvit(const silc::ImageBackboneContext& context);

namespace silc {
namespace {

using testing::kTowerTolerance;
using testing::near;

using Changes = std::map<std::string, OptionValue>;

std::shared_ptr<ImageBackbone> make_groupvit(const Changes& changes = {}, int64_t image_size = 16) {
  Changes all = {{"width", int64_t{8}},
                 {"heads", int64_t{2}},
                 {"patch", int64_t{4}},
                 {"depths", std::string("1,1,1")},
                 {"groups", std::string("4,3")}};
  for (const auto& [key, value] : changes) all[key] = value;
  const auto options = testing::options_of("groupvit", all);
  return std::shared_ptr<ImageBackbone>(silc_image_backbone_groupvit({.options = options, .image_size = image_size}));
}

TEST(GroupVit, AgreesWithTheFormulaInEvaluation) {
  const auto fixture = testing::load_fixture("nn_groupvit");
  const auto groupvit = make_groupvit();
  groupvit->eval();
  testing::load_parameters(*groupvit, fixture, "groupvit.weight.");
  const auto features = groupvit->forward(fixture.at("groupvit.in.images"));
  EXPECT_TRUE(near(features.pooled, fixture.at("groupvit.out.pooled"), kTowerTolerance));
  EXPECT_TRUE(near(features.patches, fixture.at("groupvit.out.patches"), kTowerTolerance));
  testing::expect_gradients(*groupvit, fixture, "groupvit",
                            {{"pooled", features.pooled}, {"patches", features.patches}});
}

TEST(GroupVit, DrawsItsGroupsInTraining) {
  const auto groupvit = make_groupvit();
  const auto images = at::randn({2, 3, 16, 16});
  const auto drawn = [&](uint64_t seed) {
    torch::manual_seed(seed);
    return groupvit->forward(images).pooled.detach();
  };
  EXPECT_TRUE(at::equal(drawn(1), drawn(1)));
  EXPECT_FALSE(at::equal(drawn(1), drawn(2)));
  groupvit->eval();
  EXPECT_TRUE(at::equal(drawn(1), drawn(2)));
}

TEST(GroupVit, TakesCropsAndMasks) {
  const auto groupvit = make_groupvit();
  groupvit->eval();
  const auto images = at::randn({2, 3, 8, 12});
  const auto features = groupvit->forward(images);
  EXPECT_EQ(features.patches.sizes(), at::IntArrayRef({2, 6, 8}));
  const auto mask = at::ones({2, 6}, at::kBool), token = at::randn({8});
  EXPECT_TRUE(at::equal(groupvit->forward_masked(images, mask, token).pooled,
                        groupvit->forward_masked(at::zeros_like(images), mask, token).pooled));
}

TEST(GroupVit, RefusesWhatDoesNotGoTogether) {
  EXPECT_THROW(make_groupvit({}, 18), Error);
  EXPECT_THROW(make_groupvit({{"groups", std::string("4")}}), Error);
  EXPECT_THROW(make_groupvit({{"groups", std::string("")}, {"depths", std::string("1")}}), Error);
  EXPECT_THROW(make_groupvit({{"heads", int64_t{3}}}), Error);
  EXPECT_THROW(make_groupvit()->forward(at::zeros({1, 3, 10, 8})), Error);
}

}  // namespace
}  // namespace silc
