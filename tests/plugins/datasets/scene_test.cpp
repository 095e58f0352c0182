#include "plugins/datasets/scene.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace silc::datasets {
namespace {

constexpr int64_t kClasses = 5;
constexpr int64_t kScenes = 2000;

SceneSettings settings_of(Split split) {
  SceneSettings settings;
  settings.split = split;
  settings.max_objects = kMostObjects;
  return settings;
}

// The pairs of label and colour in some scenes.
std::set<std::pair<int64_t, int64_t>> pairs_in(const SceneSettings& settings) {
  std::set<std::pair<int64_t, int64_t>> pairs;
  for (int64_t i = 0; i < kScenes; ++i)
    for (const PlannedObject& object : plan_scene(settings, kClasses, i).objects)
      pairs.emplace(object.label, object.colour);
  return pairs;
}

std::size_t held_out_in(const std::set<std::pair<int64_t, int64_t>>& pairs) {
  return static_cast<std::size_t>(
      std::count_if(pairs.begin(), pairs.end(), [](auto pair) { return is_held_out(pair.first, pair.second); }));
}

TEST(Scene, HoldsOutTwoColoursOfEachClass) {
  for (int64_t label = 0; label < 10; ++label) {
    int count = 0;
    for (int64_t colour = 0; colour < static_cast<int64_t>(kColours.size()); ++colour)
      count += is_held_out(label, colour) ? 1 : 0;
    EXPECT_EQ(count, 2) << label;
  }
}

TEST(Scene, NeverShowsAHeldOutPairInTraining) {
  for (const Split split : {Split::train, Split::validation, Split::test_seen}) {
    const auto pairs = pairs_in(settings_of(split));
    EXPECT_EQ(held_out_in(pairs), 0U);
    EXPECT_EQ(pairs.size(), kClasses * 6U);
  }
}

TEST(Scene, ShowsOnlyHeldOutPairsInTestUnseen) {
  const auto pairs = pairs_in(settings_of(Split::test_unseen));
  EXPECT_EQ(held_out_in(pairs), pairs.size());
  EXPECT_EQ(pairs.size(), kClasses * 2U);
}

TEST(Scene, ShowsAllPairsInTest) { EXPECT_EQ(pairs_in(settings_of(Split::test)).size(), kClasses * kColours.size()); }

TEST(Scene, ShowsAllPairsInTrainingIfNoneAreHeldOut) {
  SceneSettings settings = settings_of(Split::train);
  settings.held_out = false;
  EXPECT_EQ(pairs_in(settings).size(), kClasses * kColours.size());
}

TEST(Scene, DrawsNumbersOfObjectsAndClassesEvenly) {
  const SceneSettings settings = settings_of(Split::test);
  std::array<int, kMostObjects + 1> counts{};
  std::array<int, kClasses> mains{};
  for (int64_t i = 0; i < kScenes; ++i) {
    const ScenePlan plan = plan_scene(settings, kClasses, i);
    ++counts[plan.objects.size()];
    ++mains[static_cast<std::size_t>(plan.objects[plan.main].label)];
  }
  // Five standard deviations of a binomial count.
  const auto near = [](int count, double p) {
    return std::abs(count - kScenes * p) < 5 * std::sqrt(kScenes * p * (1 - p));
  };
  for (std::size_t n = 1; n <= kMostObjects; ++n) EXPECT_TRUE(near(counts[n], 0.25)) << n << ": " << counts[n];
  for (const int count : mains) EXPECT_TRUE(near(count, 0.2)) << count;
}

TEST(Scene, KeepsObjectsInsideAndInReadingOrder) {
  const SceneSettings settings = settings_of(Split::train);
  for (int64_t i = 0; i < kScenes; ++i) {
    const ScenePlan plan = plan_scene(settings, kClasses, i);
    for (const PlannedObject& object : plan.objects) {
      EXPECT_GE(object.x - object.side / 2, -1e-9);
      EXPECT_LE(object.x + object.side / 2, 1 + 1e-9);
      EXPECT_GE(object.y - object.side / 2, -1e-9);
      EXPECT_LE(object.y + object.side / 2, 1 + 1e-9);
    }
    const auto& o = plan.objects;
    for (std::size_t k = 1; k < o.size(); ++k) {
      if (plan.arrangement == Arrangement::row) {
        EXPECT_LT(o[k - 1].x + 0.1, o[k].x);
      }
      if (plan.arrangement == Arrangement::column) {
        EXPECT_LT(o[k - 1].y + 0.1, o[k].y);
      }
    }
    if (plan.arrangement == Arrangement::grid) {
      EXPECT_LT(o[0].x + 0.1, o[1].x);
      EXPECT_LT(o[2].x + 0.1, o[3].x);
      EXPECT_LT(std::max(o[0].y, o[1].y) + 0.1, std::min(o[2].y, o[3].y));
    }
  }
}

TEST(Scene, DrawsTheMainObjectLargest) {
  const SceneSettings settings = settings_of(Split::test);
  for (int64_t i = 0; i < kScenes; ++i) {
    const ScenePlan plan = plan_scene(settings, kClasses, i);
    for (std::size_t k = 0; k < plan.objects.size(); ++k)
      if (k != plan.main) {
        EXPECT_LT(plan.objects[k].side, plan.objects[plan.main].side);
      }
  }
}

TEST(Scene, DiffersBetweenSeedsAndSplits) {
  const auto signature = [](const SceneSettings& settings) {
    std::vector<double> values;
    for (int64_t i = 0; i < 20; ++i) values.push_back(plan_scene(settings, kClasses, i).objects[0].x);
    return values;
  };
  SceneSettings other_seed = settings_of(Split::test);
  other_seed.seed = 1;
  EXPECT_NE(signature(settings_of(Split::test)), signature(other_seed));
  EXPECT_NE(signature(settings_of(Split::test)), signature(settings_of(Split::validation)));
}

}  // namespace
}  // namespace silc::datasets
