#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "tests/plugins/datasets/idx_folder.h"
#include "tests/plugins/datasets/scene_checks.h"
#include "tests/plugins/declared.h"

extern "C" silc::Dataset* silc_dataset_fashion_scenes(const silc::DatasetContext& context);

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TemporaryFolder;
using Changes = std::map<std::string, OptionValue>;

const std::map<std::string, int64_t> kNouns = {{"top", 0},  {"tops", 0},  {"trousers", 1}, {"dress", 2}, {"dresses", 2},
                                               {"shoe", 3}, {"shoes", 3}, {"bag", 4},      {"bags", 4}};

// So dark are the stand-ins for pictures of the three sources.
constexpr uint8_t kTrainGrey = 100;
constexpr uint8_t kValidationGrey = 180;
constexpr uint8_t kTestGrey = 255;

class FashionScenes : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    testing::write_garments(folder_->path(), "train", 55'040,
                            [](uint32_t i) { return i < 55'000 ? kTrainGrey : kValidationGrey; });
    testing::write_garments(folder_->path(), "t10k", 40, [](uint32_t) { return kTestGrey; });
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::unique_ptr<Dataset> make(const std::string& split, Changes changes = {}, const std::string& base = "") {
    if (!changes.contains("folder") && base.empty()) changes["folder"] = folder_->path().string();
    const Options options = testing::options_of("fashion_scenes", changes);
    return std::unique_ptr<Dataset>(silc_dataset_fashion_scenes({options, split, base}));
  }

  static std::string fault(const std::string& split, const Changes& changes, const std::string& base = "") {
    try {
      make(split, changes, base);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  static datasets::SceneSettings settings_of(const std::string& split, const Changes& changes = {}) {
    const Options options = testing::options_of("fashion_scenes", changes);
    return datasets::read_scene_settings({options, split, ""}, "fashion_scenes");
  }

  static std::unique_ptr<TemporaryFolder> folder_;
};

std::unique_ptr<TemporaryFolder> FashionScenes::folder_;

TEST_F(FashionScenes, AreTheSameForEveryThread) { testing::check_purity(*make("train"), 60); }

TEST_F(FashionScenes, HaveMasksBoxesAndLabelsThatAgree) {
  const auto dataset = make("test");
  for (int64_t i = 0; i < 200; ++i) testing::check_sample(dataset->sample(i), 64, 5);
}

TEST_F(FashionScenes, AreNamedInTheirCaptions) {
  for (const char* split : {"train", "test_unseen"})
    testing::check_captions(*make(split), settings_of(split), 5, kNouns, 500);
}

TEST_F(FashionScenes, HaveFamiliesOrGarmentsAsClasses) {
  EXPECT_THAT(make("test")->classes(), ElementsAre("top", "trousers", "dress", "shoe", "bag"));
  EXPECT_THAT(make("test", {{"classes", std::string("garments")}})->classes(),
              ElementsAre("t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
                          "ankle boot"));
}

// A garment's brightest pixels tell which of the three sources its picture is from.
TEST_F(FashionScenes, TakeTheirGarmentsFromDisjointPictures) {
  const Changes single = {{"max_objects", int64_t{1}}};
  const std::map<std::string, uint8_t> greys = {{"train", kTrainGrey},
                                                {"validation", kValidationGrey},
                                                {"test", kTestGrey},
                                                {"test_seen", kTestGrey},
                                                {"test_unseen", kTestGrey}};
  for (const auto& [split, grey] : greys) {
    const auto dataset = make(split, single);
    for (int64_t i = 0; i < 100; ++i) {
      const Sample sample = dataset->sample(i);
      const datasets::ScenePlan plan = datasets::plan_scene(settings_of(split, single), 5, i);
      const auto& rgb = datasets::kColours[static_cast<std::size_t>(plan.objects.front().colour)].rgb;
      const auto channel = static_cast<std::size_t>(std::max_element(rgb.begin(), rgb.end()) - rgb.begin());
      const Box& box = sample.boxes.front();
      const auto x = static_cast<std::size_t>((box.x0 + box.x1) / 2);
      const auto y = static_cast<std::size_t>((box.y0 + box.y1) / 2);
      const double shade = sample.image.rgb[(y * 64 + x) * 3 + channel] / static_cast<double>(rgb[channel]);
      // The darkest garment keeps 110/255 of its colour; rounding to bytes costs up to 2/220.
      EXPECT_NEAR(shade, (110 + grey * 145.0 / 255) / 255, 0.01) << split << " " << i;
    }
  }
}

TEST_F(FashionScenes, HaveAFingerprintThatFollowsTheFiles) {
  TemporaryFolder other;
  for (const char* prefix : {"train", "t10k"})
    testing::write_garments(other.path(), prefix, 20, [](uint32_t) { return uint8_t{90}; });
  const Changes there = {{"folder", other.path().string()}};
  const std::string before = make("test", there)->fingerprint();
  EXPECT_EQ(make("train", there)->fingerprint(), before);
  testing::write_garments(other.path(), "train", 20, [](uint32_t) { return uint8_t{91}; });
  EXPECT_NE(make("test", there)->fingerprint(), before);
}

TEST_F(FashionScenes, AreFoundBelowTheDataFolder) {
  TemporaryFolder base;
  for (const char* name : {"fashion-mnist", "elsewhere"}) {
    std::filesystem::create_directory(base.path() / name);
    testing::write_garments(base.path() / name, "t10k", 10, [](uint32_t) { return uint8_t{90}; });
  }
  EXPECT_EQ(fault("test", {}, base.path().string()), "");
  EXPECT_EQ(fault("test", {{"folder", std::string("elsewhere")}}, base.path().string()), "");
}

TEST_F(FashionScenes, SayHowToGetTheFilesWhereTheyAreMissing) {
  TemporaryFolder empty;
  EXPECT_THAT(fault("test", {{"folder", empty.path().string()}}),
              AllOf(HasSubstr("t10k-images-idx3-ubyte.gz"), HasSubstr("apt-get install dataset-fashion-mnist")));
  EXPECT_THAT(fault("test", {{"folder", (empty.path() / "none").string()}}),
              AllOf(HasSubstr("none: there is no such folder"), HasSubstr("apt-get install dataset-fashion-mnist")));
}

TEST_F(FashionScenes, RefuseLabelsThatDoNotFitThePictures) {
  TemporaryFolder bad;
  testing::write_garments(bad.path(), "t10k", 20, [](uint32_t) { return uint8_t{90}; });
  const auto labels = bad.path() / "t10k-labels-idx1-ubyte.gz";
  const Changes there = {{"folder", bad.path().string()}};
  testing::write_gzip(labels, testing::idx_bytes(0x801, {3}, {0, 1, 2}));
  EXPECT_THAT(fault("test", there), AllOf(HasSubstr(labels.string()), HasSubstr("has 3 labels")));
  std::vector<uint8_t> values(20, 3);
  values[7] = 10;
  testing::write_gzip(labels, testing::idx_bytes(0x801, {20}, values));
  EXPECT_THAT(fault("test", there), AllOf(HasSubstr(labels.string()), HasSubstr("above 9")));
  values[7] = 3;
  testing::write_gzip(labels, testing::idx_bytes(0x801, {20}, values));
  EXPECT_THAT(fault("test", there), HasSubstr("no picture of the class"));
}

TEST_F(FashionScenes, RefusePicturesOfAnotherSize) {
  TemporaryFolder bad;
  testing::write_garments(bad.path(), "t10k", 20, [](uint32_t) { return uint8_t{90}; });
  testing::write_gzip(bad.path() / "t10k-images-idx3-ubyte.gz",
                      testing::idx_bytes(0x803, {20, 2, 3}, std::vector<uint8_t>(120)));
  EXPECT_THAT(fault("test", {{"folder", bad.path().string()}}), HasSubstr("3 × 2 pixels"));
}

}  // namespace
}  // namespace silc
