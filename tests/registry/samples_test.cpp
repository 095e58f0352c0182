#include "registry/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <span>

#include "silc/random.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using testing::ElementsAre;

template <class Number>
TensorView tensor(const char* dtype, std::vector<int64_t> shape, const std::vector<Number>& numbers) {
  return {.dtype = dtype, .shape = std::move(shape), .bytes = std::as_bytes(std::span(numbers))};
}

class Samples : public testing::Test {
 protected:
  void write(const std::string& evaluator, const std::map<std::string, TensorView>& tensors) {
    write_safetensors(folder_ / (evaluator + ".safetensors"), tensors,
                      {{"evaluator", evaluator}, {"dataset", "scenes"}, {"split", "test"}, {"weights", "student"}});
  }
  std::optional<PictureScores> find(const std::string& evaluator, const std::string& metric, double value) {
    return SampleFiles(folder_.path()).find(evaluator, "student", metric, value);
  }

  TemporaryFolder folder_;
};

TEST_F(Samples, TakesTheMeanOverPictures) {
  const std::vector<float> correct{1, 0, 1, 1};
  write("zero_shot", {{"acc1", tensor("F32", {4}, correct)}});
  const auto scores = find("zero_shot", "acc1", 0.75);
  ASSERT_TRUE(scores);
  EXPECT_EQ(scores->data, "scenes/test/4");
  EXPECT_THAT(scores->numerators, ElementsAre(1, 0, 1, 1));
  EXPECT_DOUBLE_EQ(value_of(*scores), 0.75);
}

TEST_F(Samples, KeepsTheCaptionsOfAPictureTogether) {
  const std::vector<float> by_caption{1, 0, 1, 1, 0}, by_picture{1, 0, 1};
  const std::vector<int64_t> picture{0, 0, 1, 2, 2};
  write("retrieval", {{"image_retrieval_recall@1", tensor("F32", {5}, by_caption)},
                      {"text_retrieval_recall@1", tensor("F32", {3}, by_picture)},
                      {"picture", tensor("I64", {5}, picture)}});
  const auto images = find("retrieval", "image_retrieval_recall@1", 0.6);
  ASSERT_TRUE(images);
  EXPECT_EQ(images->pictures, 3);
  EXPECT_THAT(images->numerators, ElementsAre(1, 1, 1));
  EXPECT_THAT(images->denominators, ElementsAre(2, 1, 2));
  EXPECT_EQ(find("retrieval", "text_retrieval_recall@1", 2.0 / 3)->pictures, 3);
}

TEST_F(Samples, TakesCaptionsInEqualNumbersWhereTheFileDoesNotSayWhosTheyAre) {
  const std::vector<float> by_caption{1, 0, 1, 1}, by_picture{1, 0};
  write("retrieval", {{"image_retrieval_recall@1", tensor("F32", {4}, by_caption)},
                      {"text_retrieval_recall@1", tensor("F32", {2}, by_picture)}});
  EXPECT_THAT(find("retrieval", "image_retrieval_recall@1", 0.75)->numerators, ElementsAre(1, 2));
}

TEST_F(Samples, MakesOverlapMetricsOfCountsOfPixels) {
  // Two pictures, three classes of which the last does not occur. Picture 0: 4 pixels, all right; picture 1: 4 pixels
  // of class 1, of which 1 is taken for class 0.
  const std::vector<int64_t> intersection{2, 2, 0, 0, 3, 0}, join{2, 2, 0, 1, 4, 0};
  write("segmentation",
        {{"intersection", tensor("I64", {2, 3}, intersection)}, {"union", tensor("I64", {2, 3}, join)}});
  EXPECT_TRUE(find("segmentation", "miou", (2.0 / 3 + 5.0 / 6) / 2));
  EXPECT_THAT(find("segmentation", "pixel_accuracy", 7.0 / 8)->denominators, ElementsAre(4, 4));
}

TEST_F(Samples, KnowAClassByItsValue) {
  // Classes 0 and 2 of 2/3, class 1 of 5/6.
  const std::vector<int64_t> intersection{2, 2, 2, 0, 3, 0}, join{2, 2, 2, 1, 4, 1};
  write("segmentation",
        {{"intersection", tensor("I64", {2, 3}, intersection)}, {"union", tensor("I64", {2, 3}, join)}});
  const auto shirt = find("segmentation", "iou/shirt", 5.0 / 6);
  ASSERT_TRUE(shirt);
  EXPECT_THAT(shirt->numerators, ElementsAre(2, 3));
  EXPECT_THAT(shirt->denominators, ElementsAre(2, 4));
  EXPECT_FALSE(find("segmentation", "iou/bag", 2.0 / 3)) << "which of the two it is, nobody can tell";
  EXPECT_FALSE(find("segmentation", "iou/shoe", 0.5));
}

TEST_F(Samples, MakesRecallOfClassesOfLabels) {
  const std::vector<float> correct{1, 0, 1};
  const std::vector<int64_t> label{0, 2, 2};
  write("zero_shot", {{"acc1", tensor("F32", {3}, correct)}, {"label", tensor("I64", {3}, label)}});
  EXPECT_TRUE(find("zero_shot", "mean_per_class_recall", 0.75));
}

TEST_F(Samples, OfMoreClassesThanCanBeDrawnAnewAreLeftOut) {
  const std::vector<float> correct{1, 0};
  for (const int64_t last : {255, 256}) {
    const std::vector<int64_t> label{0, last};
    write("zero_shot", {{"acc1", tensor("F32", {2}, correct)}, {"label", tensor("I64", {2}, label)}});
    EXPECT_EQ(find("zero_shot", "mean_per_class_recall", 0.5).has_value(), last == 255);
    EXPECT_TRUE(find("zero_shot", "acc1", 0.5));
  }
}

TEST_F(Samples, AreNotUsedWhereTheyDoNotGiveTheMetric) {
  const std::vector<float> correct{1, 0, 1, 1};
  write("zero_shot", {{"acc1", tensor("F32", {4}, correct)}});
  EXPECT_FALSE(find("zero_shot", "acc1", 0.7));
  EXPECT_FALSE(find("zero_shot", "acc5", 0.75));
  EXPECT_FALSE(find("other", "acc1", 0.75));
}

TEST_F(Samples, AreNotThereInAFolderThatIsMissing) {
  EXPECT_FALSE(SampleFiles(folder_ / "missing").find("zero_shot", "student", "acc1", 0.5));
}

PictureScores scores_of(const std::vector<float>& values) {
  PictureScores scores;
  scores.pictures = static_cast<int64_t>(values.size());
  scores.numerators = values;
  scores.denominators.assign(values.size(), 1);
  return scores;
}

std::vector<float> noise(std::size_t pictures, uint64_t seed) {
  Random random(seed, 1, 0);
  std::vector<float> values(pictures);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

double standard_error(const std::vector<float>& values) {
  const std::vector<double> exact(values.begin(), values.end());
  return *sample_standard_deviation(exact) / std::sqrt(static_cast<double>(exact.size()));
}

// The relative error of a standard deviation from k replicates is 1/√(2k), and 1/√(2 · groups) with groups.
TEST(PictureBootstrap, FindsTheStandardErrorOfAMean) {
  for (const std::size_t pictures : {30, 1000, 5000}) {
    const auto values = noise(pictures, 3);
    PictureBootstrap bootstrap;
    EXPECT_NEAR(error_of(bootstrap.deviations(scores_of(values))) / standard_error(values), 1, 0.08) << pictures;
  }
}

TEST(PictureBootstrap, GivesTheSameNumbersEveryTime) {
  const auto scores = scores_of(noise(300, 5));
  PictureBootstrap one, other;
  EXPECT_EQ(one.deviations(scores), other.deviations(scores));
}

TEST(PictureBootstrap, DrawsTheSamePicturesForEveryRow) {
  const auto values = noise(2000, 5);
  std::vector<float> shifted = values;
  for (float& value : shifted) value += 0.25F;
  PictureBootstrap bootstrap;
  const auto one = bootstrap.deviations(scores_of(values));
  const auto other = bootstrap.deviations(scores_of(shifted));
  for (std::size_t i = 0; i < one.size(); ++i)
    EXPECT_NEAR(one[i], other[i], 1e-5) << "a constant difference is certain";
}

TEST(PictureBootstrap, TellsNothingOfAHandfulOfPictures) {
  PictureBootstrap bootstrap;
  EXPECT_TRUE(bootstrap.deviations(scores_of({1, 0, 1})).empty());
}

TEST(PictureBootstrap, HasPercentilesByInterpolation) {
  const Interval interval = percentile_interval(10, {4, 0, 1, 3, 2}, 0.25);
  EXPECT_DOUBLE_EQ(interval.low, 10.5);
  EXPECT_DOUBLE_EQ(interval.high, 13.5);
}

// In simulated comparisons: `seeds` runs of two rows, each tested on the same 100 pictures, of which the difference has
// a part of the seed, one of the picture, and one of both.
struct Simulation {
  double seed_part = 0;
  double picture_part = 0;
  double mixed_part = 0;
  bool percentiles = false;  // of one seed

  // Whether the 95 % interval holds the truth, which is zero.
  [[nodiscard]] bool holds(int64_t seeds, uint64_t trial, PictureBootstrap& bootstrap) const {
    constexpr std::size_t kPictures = 100;
    Random random(11, static_cast<uint32_t>(seeds), trial);
    std::vector<double> of_picture(kPictures);
    for (double& value : of_picture) value = picture_part * random.normal();
    std::vector<double> values;
    std::vector<std::vector<double>> deviations;
    for (int64_t seed = 0; seed < seeds; ++seed) {
      const double of_seed = seed_part * random.normal();
      std::vector<float> scores(kPictures);
      for (std::size_t i = 0; i < kPictures; ++i)
        scores[i] = static_cast<float>(of_seed + of_picture[i] + mixed_part * random.normal());
      values.push_back(value_of(scores_of(scores)));
      deviations.push_back(bootstrap.deviations(scores_of(scores)));
    }
    if (percentiles) {
      const Interval interval = percentile_interval(values.front(), deviations.front());
      return interval.low <= 0 && 0 <= interval.high;
    }
    const double spread = sample_standard_deviation(values).value_or(0);
    const MeanNoise noise{.seeds = seeds,
                          .seed_error = spread / std::sqrt(static_cast<double>(seeds)),
                          .picture_error = shared_error(deviations)};
    return std::abs(mean(values)) <= half_width(noise);
  }

  [[nodiscard]] double coverage(int64_t seeds) const {
    constexpr int kTrials = 1000;
    PictureBootstrap bootstrap;
    int held = 0;
    for (int trial = 0; trial < kTrials; ++trial) held += holds(seeds, static_cast<uint64_t>(trial), bootstrap) ? 1 : 0;
    return static_cast<double>(held) / kTrials;
  }
};

// Of a thousand trials, 95 % is 950 ± 7.
TEST(BootstrapCoverage, OfOneSeedIs95In100ForTheNoiseOfPictures) {
  for (const bool percentiles : {false, true}) {
    const double held =
        Simulation{.seed_part = 0, .picture_part = 1, .mixed_part = 1, .percentiles = percentiles}.coverage(1);
    EXPECT_GE(held, 0.93);
    EXPECT_LE(held, 0.97);
  }
}

TEST(BootstrapCoverage, OfOneSeedLeavesTheNoiseOfTrainingOut) {
  EXPECT_LT((Simulation{.seed_part = 0.2, .picture_part = 1, .mixed_part = 1}.coverage(1)), 0.8);
}

// With three seeds and errors of the same size for both, the interval is on the safe side by up to 2.6 in 100.
TEST(BootstrapCoverage, OfSeveralSeedsIs93To97In100ForBothNoises) {
  // Errors of the mean over five seeds by seed, picture and both: 0.036, 0.1, 0.045; then mostly of seeds; of both.
  for (const Simulation& simulation : {Simulation{.seed_part = 0.08, .picture_part = 1, .mixed_part = 1},
                                       Simulation{.seed_part = 0.5, .picture_part = 1, .mixed_part = 1},
                                       Simulation{.seed_part = 0.05, .picture_part = 0.1, .mixed_part = 1}})
    for (const int64_t seeds : {3, 5}) {
      const double held = simulation.coverage(seeds);
      EXPECT_GE(held, 0.93) << seeds << " " << simulation.seed_part;
      EXPECT_LE(held, seeds == 3 ? 0.983 : 0.97) << seeds << " " << simulation.seed_part;
    }
}

}  // namespace
}  // namespace silc
