#include "plugin/similar.h"

#include <gtest/gtest.h>

#include <vector>

namespace silc {
namespace {

const std::vector<std::string> kNames = {"distillation", "local_views", "lr"};

TEST(Similar, FindsANameWithALetterMissing) { EXPECT_EQ(most_similar("distilation", kNames), "distillation"); }

TEST(Similar, FindsANameWithNeighboursSwapped) { EXPECT_EQ(most_similar("lcoal_views", kNames), "local_views"); }

TEST(Similar, DoesNotMindCase) { EXPECT_EQ(most_similar("LR", kNames), "lr"); }

TEST(Similar, FindsNothingForAnUnrelatedName) { EXPECT_EQ(most_similar("batch", kNames), ""); }

TEST(Similar, PrefersTheNearest) {
  const std::vector<std::string> names = {"beta1", "beta2", "beta"};
  EXPECT_EQ(most_similar("betta", names), "beta");
}

TEST(Similar, SuggestsTheNearestName) { EXPECT_EQ(suggestion("lrr", kNames), "; did you mean \"lr\"?"); }

TEST(Similar, ListsAllNamesWhereNoneIsNear) {
  EXPECT_EQ(suggestion("batch", kNames), "; there are \"distillation\", \"local_views\" and \"lr\"");
}

TEST(Similar, SaysNothingWithoutNames) { EXPECT_EQ(suggestion("batch", {}), ""); }

}  // namespace
}  // namespace silc
