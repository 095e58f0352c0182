// Whether data under two names are the same pictures.
#include "schedule/shared_pictures.h"

#include <gmock/gmock.h>

#include "fixture.h"

namespace silc {
namespace {

PictureSample sample(int64_t size, int first, int last) {
  PictureSample made{size, {}};
  for (int i = first; i < last; ++i) made.hashes.insert(std::to_string(i));
  return made;
}

TEST(SharedPicturesTest, TheSameDataUnderASecondNameAreShared) {
  EXPECT_EQ(shared_part(sample(100, 0, 100), sample(100, 0, 100)), 1);
  EXPECT_EQ(shared_part(sample(50'000, 0, 1000), sample(50'000, 0, 1000)), 1);
}

TEST(SharedPicturesTest, OverlapIsThePartOfTheFirst) {
  EXPECT_DOUBLE_EQ(shared_part(sample(10, 0, 10), sample(100, 8, 108)), 0.2);
  EXPECT_EQ(shared_part(sample(10, 0, 10), sample(100, 10, 110)), 0);
}

TEST(SharedPicturesTest, OfLargeDataThePartIsEstimated) {
  // Of the 1000 that were looked at, 10 are among the 1000 of 50 000 that were: half of all would be.
  EXPECT_DOUBLE_EQ(shared_part(sample(20'000, 0, 1000), sample(50'000, 990, 1990)), 0.5);
}

TEST(SharedPicturesTest, OnePictureOfManyTellsNothing) {
  EXPECT_EQ(shared_part(sample(20'000, 0, 1000), sample(50'000, 999, 1999)), 0);
}

TEST(SharedPicturesTest, AsksTheEngineForEachSourceOnce) {
  const ScopedVariable pictures("FAKE_ENGINE_PICTURES", "validation=a,b,c;test=a,b,d");
  DataSource validation{{PluginKind::dataset, "shapes", 1, {}}, "validation", ""};
  DataSource test = validation;
  test.split = "test";
  DataSource other = validation;
  other.split = "train";
  const auto samples = look_at_pictures(fake_engine(), std::vector{validation, test, test, other}, 0);
  ASSERT_THAT(samples, testing::SizeIs(2)) << "nothing is known of the third";
  EXPECT_DOUBLE_EQ(shared_part(samples.at(source_item(validation)), samples.at(source_item(test))), 2.0 / 3);
}

}  // namespace
}  // namespace silc
