#include "engine/illustrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/patch_maps.h"
#include "tests/engine/fakes.h"

namespace silc {
namespace {

using ::testing::ElementsAre;

class Captioned : public Dataset {
 public:
  explicit Captioned(std::vector<std::string> captions) : captions_(std::move(captions)) {}
  int64_t size() const override { return static_cast<int64_t>(captions_.size()); }
  Sample sample(int64_t) const override { throw Error("only the captions are wanted"); }
  std::vector<std::string> captions(int64_t index) const override {
    return {captions_[static_cast<std::size_t>(index)], "the same"};
  }
  std::string fingerprint() const override { return ""; }

 private:
  std::vector<std::string> captions_;
};

TEST(CaptionWords, AreInLowerCaseAndInAlphabeticalOrder) {
  EXPECT_THAT(caption_words(Captioned({"A Red dress, on a BED."}), 100),
              ElementsAre("bed", "dress", "red", "same", "the"));
}

TEST(CaptionWords, AreThoseThatMostSamplesHave) {
  EXPECT_THAT(caption_words(Captioned({"dog dog dog cat", "cat", "bird"}), 3), ElementsAre("cat", "same", "the"));
}

TEST(CaptionWords, KeepLettersBeyondAscii) {
  EXPECT_THAT(caption_words(Captioned({"ein Mädchen—läuft"}), 100), ::testing::Contains("ein"));
  EXPECT_THAT(caption_words(Captioned({"ein Mädchen läuft"}), 100), ::testing::Contains("mädchen"));
}

TEST(Runs, AreLengthsAndBytes) {
  EXPECT_THAT(runs_of({7, 7, 7, 0, 255, 255}), ElementsAre(3, 7, 1, 0, 2, 255));
  EXPECT_THAT(runs_of(std::vector<uint8_t>(300, 9)), ElementsAre(0xAC, 0x02, 9));
  EXPECT_THAT(runs_of({}), ElementsAre());
}

at::Tensor unpacked(const PatchMaps& maps, int64_t patches, int64_t texts) {
  const auto factor = [&](const std::vector<int8_t>& bytes, int64_t rows) {
    return at::tensor(std::vector<int>(bytes.begin(), bytes.end()), at::kDouble).view({rows, maps.terms});
  };
  return at::matmul(factor(maps.patches, patches) * at::tensor(maps.scales, at::kDouble),
                    factor(maps.texts, texts).t());
}

// A joint space of `dims`, in which patches lie near a few directions and words near the same.
at::Tensor similarities(int64_t patches, int64_t texts, int64_t dims) {
  torch::manual_seed(1);
  const auto unit = [](const at::Tensor& rows) { return rows / rows.norm(2, 1, true); };
  return at::matmul(unit(at::randn({patches, dims})), unit(at::randn({texts, dims})).t());
}

TEST(PatchMaps, KeepEveryScoreWithinWhatTheySay) {
  const at::Tensor scores = similarities(300, 80, 24);
  const PatchMaps maps = patch_maps(scores);
  const double error = (unpacked(maps, 300, 80) - scores.to(at::kDouble)).abs().max().item<double>();
  EXPECT_NEAR(maps.error, error, 1e-9);
  EXPECT_LE(maps.error, kMapError);
  EXPECT_LE(maps.terms, 24);
}

TEST(PatchMaps, TakeNoMoreTermsThanTheyNeed) {
  EXPECT_EQ(patch_maps(similarities(200, 50, 8)).terms, 8);
  EXPECT_EQ(patch_maps(at::full({40, 6}, 0.5)).terms, 6);
}

TEST(PatchMaps, SayHowFarTheyAreOffWhereTheLimitIsNotReached) {
  const PatchMaps maps = patch_maps(similarities(400, 300, 256));
  EXPECT_EQ(maps.terms, 64);
  EXPECT_GT(maps.error, kMapError);
}

}  // namespace
}  // namespace silc
