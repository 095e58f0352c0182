#include "registry/chosen_pictures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

std::vector<int64_t> of_group(const std::vector<ChosenPicture>& chosen, const std::string& group) {
  std::vector<int64_t> found;
  for (const ChosenPicture& picture : chosen)
    if (picture.group == group) found.push_back(picture.index);
  return found;
}

TEST(ChosenPictures, AreGroupedByWhoIsRight) {
  //                               0  1  2  3  4
  const std::vector<float> base = {0, 1, 0, 1, 1}, other = {1, 0, 0, 1, 1}, third = {0, 1, 0, 1, 0};
  const auto chosen = choose_pictures({base, other, third}, 0, 24);
  EXPECT_THAT(of_group(chosen, "gained"), ElementsAre(0));
  EXPECT_THAT(of_group(chosen, "lost"), ElementsAre(1, 4));
  EXPECT_THAT(of_group(chosen, "wrong"), ElementsAre(2));
  EXPECT_THAT(of_group(chosen, "right"), ElementsAre(3));
}

TEST(ChosenPictures, AreSpreadEvenlyOverAGroup) {
  const std::vector<float> base(100, 0), other(100, 1);
  const auto chosen = of_group(choose_pictures({base, other}, 0, 5), "gained");
  EXPECT_THAT(chosen, ElementsAre(0, 24, 49, 74, 99));
}

TEST(ChosenPictures, LeaveRoomToOtherGroupsWhereOneHasFew) {
  std::vector<float> correct(50, 0);
  correct[7] = 1;
  const auto chosen = choose_pictures({correct}, 0, 24);
  EXPECT_EQ(chosen.size(), 24U);
  EXPECT_EQ(of_group(chosen, "wrong").size(), 23U);
  EXPECT_THAT(of_group(chosen, "right"), ElementsAre(7));
}

TEST(ChosenPictures, AreInSharesThatAreSaid) {
  std::vector<float> base, other;
  for (int i = 0; i < 400; ++i) {
    base.push_back(static_cast<float>(i / 2 % 2));
    other.push_back(static_cast<float>(i % 2));
  }
  std::map<std::string, int> count;
  for (const auto& picture : choose_pictures({base, other}, 0, 24)) ++count[picture.group];
  EXPECT_EQ(count, (std::map<std::string, int>{{"gained", 8}, {"lost", 6}, {"wrong", 6}, {"right", 4}}));
}

TEST(ChosenPictures, OfFewerThanAreWantedAreAll) {
  EXPECT_EQ(choose_pictures({{1, 0, 1}}, 0, 24).size(), 3U);
  EXPECT_EQ(choose_by_score({{0.1F, 0.9F}}, 0, 12).size(), 2U);
  EXPECT_TRUE(choose_pictures({{}}, 0, 24).empty());
}

TEST(ChosenByScore, TakesTheGreatestDifferencesAndASpreadOfTheRest) {
  std::vector<float> base(40, 0.5F), other(40, 0.5F);
  for (std::size_t i = 0; i < 40; ++i) base[i] = other[i] = static_cast<float>(i) / 40;
  other[5] += 0.4F;
  other[9] += 0.3F;
  other[20] -= 0.4F;
  const auto chosen = choose_by_score({base, other}, 0, 6);
  EXPECT_THAT(of_group(chosen, "gained"), ElementsAre(5, 9));
  EXPECT_THAT(of_group(chosen, "lost"), ElementsAre(20));
  EXPECT_THAT(of_group(chosen, "between"), ElementsAre(0, 21, 39));
}

TEST(ChosenByScore, NeverChoosesAPictureTwiceOrOneWithoutAScore) {
  std::vector<float> base(30), other(30);
  for (std::size_t i = 0; i < 30; ++i) {
    base[i] = static_cast<float>(i % 7) / 7;
    other[i] = static_cast<float>(i % 5) / 5;
  }
  base[3] = std::nanf("");
  std::set<int64_t> seen;
  for (const auto& picture : choose_by_score({base, other}, 0, 24)) {
    EXPECT_TRUE(seen.insert(picture.index).second);
    EXPECT_NE(picture.index, 3);
  }
  EXPECT_EQ(seen.size(), 24U);
}

}  // namespace
}  // namespace silc
