#include "nn/views.h"

#include "tests/nn/fixture.h"
#include "tests/nn/tiny_tower.h"

namespace silc {
namespace {

TEST(PooledFeatures, ViewsOfOneSizeGoThroughTheTowerTogether) {
  const auto backbone = std::make_shared<testing::TinyBackbone>();
  ImageTower tower(backbone, 2);
  pooled_features(tower, std::vector{at::randn({2, 3, 8, 8}), at::randn({4, 3, 4, 4}), at::randn({6, 3, 8, 8})});
  EXPECT_EQ(backbone->passes(), 2);
}

TEST(PooledFeatures, EachSetGetsItsOwnFeatures) {
  const auto tower = testing::tiny_tower();
  const std::vector sets = {at::randn({2, 3, 8, 8}), at::randn({4, 3, 4, 4}), at::randn({6, 3, 8, 8})};
  const auto features = pooled_features(*tower, sets);
  for (std::size_t i = 0; i < sets.size(); ++i)
    EXPECT_TRUE(testing::near(features[i], tower->forward(sets[i]).pooled, 1e-6)) << i;
}

}  // namespace
}  // namespace silc
