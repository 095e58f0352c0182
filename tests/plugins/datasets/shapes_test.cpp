#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <set>

#include "tests/plugins/datasets/scene_checks.h"
#include "tests/plugins/declared.h"

extern "C" silc::Dataset* silc_dataset_shapes(const silc::DatasetContext& context);

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using Changes = std::map<std::string, OptionValue>;

const std::map<std::string, int64_t> kNouns = {{"circle", 0},    {"square", 1},  {"triangle", 2}, {"cross", 3},
                                               {"ring", 4},      {"diamond", 5}, {"circles", 0},  {"squares", 1},
                                               {"triangles", 2}, {"crosses", 3}, {"rings", 4},    {"diamonds", 5}};

std::unique_ptr<Dataset> make_shapes(const std::string& split, const Changes& changes = {}) {
  const Options options = testing::options_of("shapes", changes);
  return std::unique_ptr<Dataset>(silc_dataset_shapes({options, split, ""}));
}

datasets::SceneSettings settings_of(const std::string& split, const Changes& changes = {}) {
  const Options options = testing::options_of("shapes", changes);
  return datasets::read_scene_settings({options, split, ""}, "shapes");
}

std::string fault(const std::string& split, const Changes& changes) {
  try {
    make_shapes(split, changes);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Shapes, AreTheSameForEveryThread) {
  testing::check_purity(*make_shapes("train", {{"max_objects", int64_t{4}}, {"background_style", std::string("busy")}}),
                        60);
}

TEST(Shapes, HaveMasksBoxesAndLabelsThatAgree) {
  const auto dataset = make_shapes("test", {{"max_objects", int64_t{4}}, {"size", int64_t{40}}});
  for (int64_t i = 0; i < 200; ++i) testing::check_sample(dataset->sample(i), 40, 6);
}

TEST(Shapes, AreNamedInTheirCaptions) {
  const Changes four = {{"max_objects", int64_t{4}}, {"captions", int64_t{8}}};
  for (const char* split : {"train", "test"})
    testing::check_captions(*make_shapes(split, four), settings_of(split, four), 6, kNouns, 1000);
}

TEST(Shapes, LoseTheirColoursInTheAskedShareOfTrainingCaptions) {
  const auto dataset = make_shapes("train", {{"colourless", 0.3}});
  int colourless = 0;
  int count = 0;
  for (int64_t i = 0; i < 1000; ++i)
    for (const std::string& caption : dataset->captions(i)) {
      ++count;
      colourless += testing::read_caption(caption, kNouns).front().colour < 0 ? 1 : 0;
    }
  // Five standard deviations of a binomial count.
  EXPECT_NEAR(colourless, 0.3 * count, 5 * std::sqrt(count * 0.3 * 0.7));
}

// Which captions are those of another picture is told by the nouns and colours of the same picture without mismatches.
TEST(Shapes, HaveTheCaptionsOfAnotherPictureInTheAskedShareOfTraining) {
  const auto right = make_shapes("train");
  const auto noisy = make_shapes("train", {{"mismatched", 0.3}});
  constexpr int kCount = 1000;
  int mismatched = 0;
  for (int64_t i = 0; i < kCount; ++i) {
    const Sample sample = noisy->sample(i);
    EXPECT_EQ(sample.image.rgb, right->sample(i).image.rgb);
    EXPECT_EQ(sample.label, right->sample(i).label);
    EXPECT_EQ(sample.captions, noisy->captions(i));
    mismatched += sample.captions == right->captions(i) ? 0 : 1;
  }
  // Five standard deviations of a binomial count; two scenes are never alike in all their five captions.
  EXPECT_NEAR(mismatched, 0.3 * kCount, 5 * std::sqrt(kCount * 0.3 * 0.7));
}

TEST(Shapes, HaveOnlyTheCaptionsOfOthersWhereAllAreMismatched) {
  constexpr int64_t kCount = 50;
  const auto right = make_shapes("train", {{"examples", kCount}, {"captions", int64_t{16}}});
  const auto noisy = make_shapes("train", {{"examples", kCount}, {"captions", int64_t{16}}, {"mismatched", 1.0}});
  for (int64_t i = 0; i < kCount; ++i) EXPECT_NE(noisy->captions(i), right->captions(i)) << i;
}

TEST(Shapes, HaveTheirOwnCaptionsOutsideOfTraining) {
  for (const char* split : {"validation", "test", "test_seen", "test_unseen"})
    EXPECT_EQ(make_shapes(split, {{"mismatched", 1.0}})->captions(7), make_shapes(split)->captions(7)) << split;
}

TEST(Shapes, KeepTheOnlyPicturesCaptionsWhereThereIsNoOther) {
  const Changes one = {{"examples", int64_t{1}}, {"mismatched", 1.0}};
  EXPECT_EQ(make_shapes("train", one)->captions(0), make_shapes("train", {{"examples", int64_t{1}}})->captions(0));
}

TEST(Shapes, KeepTheirColoursInCaptionsOfTestPictures) {
  const auto dataset = make_shapes("test", {{"colourless", 1.0}});
  for (int64_t i = 0; i < 100; ++i)
    for (const std::string& caption : dataset->captions(i))
      for (const testing::Named& thing : testing::read_caption(caption, kNouns)) EXPECT_GE(thing.colour, 0) << caption;
}

TEST(Shapes, CanHaveTheBackgroundAsAClass) {
  const auto dataset = make_shapes("test", {{"background_label", std::string("class")}});
  ASSERT_THAT(dataset->classes(), SizeIs(7));
  EXPECT_EQ(dataset->classes().back(), "background");
  const Sample sample = dataset->sample(0);
  const std::set<uint8_t> labels(sample.mask.begin(), sample.mask.end());
  EXPECT_TRUE(labels.contains(6));
  EXPECT_FALSE(labels.contains(kIgnoreLabel));
}

TEST(Shapes, ComeInTheAskedNumber) {
  EXPECT_EQ(make_shapes("train")->size(), 1'000'000);
  EXPECT_EQ(make_shapes("test")->size(), 1'000);
  EXPECT_EQ(make_shapes("test", {{"examples", int64_t{7}}})->size(), 7);
  EXPECT_THROW((void)make_shapes("test")->sample(1000), std::out_of_range);
}

TEST(Shapes, RefuseAnUnknownSplit) {
  EXPECT_THAT(fault("tset", {}), AllOf(HasSubstr("shapes"), HasSubstr("tset"), HasSubstr("test_unseen")));
}

TEST(Shapes, RefuseMoreObjectsAtLeastThanAtMost) {
  EXPECT_THAT(fault("test", {{"min_objects", int64_t{3}}, {"max_objects", int64_t{2}}}),
              AllOf(HasSubstr("min_objects = 3"), HasSubstr("max_objects = 2")));
}

TEST(Shapes, RefuseAnUnseenSplitWhereNothingIsHeldOut) {
  EXPECT_THAT(fault("test_unseen", {{"held_out", false}}), HasSubstr("held_out = false"));
}

}  // namespace
}  // namespace silc
