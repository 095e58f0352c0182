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

TEST(PooledFeatures, OfNoViewsThereAreNone) {
  const auto tower = testing::tiny_tower();
  const auto features = pooled_features(*tower, std::vector{at::Tensor(), at::randn({2, 3, 8, 8})});
  EXPECT_FALSE(features[0].defined());
  EXPECT_EQ(features[1].size(0), 2);
}

TEST(FindView, GivesNothingWhereTheBatchHasNoneOfTheName) {
  const Batch batch{.views = {{"local", at::ones({1})}}, .tokens = {}, .labels = {}};
  EXPECT_TRUE(find_view(batch, "local").defined());
  EXPECT_FALSE(find_view(batch, "global").defined());
}

}  // namespace
}  // namespace silc
