// Data as people have them, a WebDataset, a folder in COCO's layout and an ImageFolder: trained on, killed, resumed and
// evaluated, with bad samples among them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "silc_runs.h"
#include "tests/pictures/fixture.h"
#include "tests/plugins/datasets/made_tar.h"

namespace silc {
namespace {

using ::testing::HasSubstr;
using testing::MadeTar;

constexpr const char* kExperiment = R"(
[experiment]
name = "own pictures"
seeds = [0]

[budget]
examples = 96

[model]
image = { backbone = "vit", image_size = 32, patch = 8, width = 32, layers = 1, heads = 2, pooling = "mean", resize_mode = "shortest", interpolation = "bicubic" }
text = { backbone = "text_transformer", width = 32, layers = 1, heads = 2, context_length = 16 }
embed_dim = 16

[optimizer]
batch = 8

[engine]
device = "cpu"
checkpoint_seconds = 0
log_every = 1
data_threads = 2

[[row]]
name = "CLIP"
objective = "clip"
)";

// The pictures of the documentation's example, by what they show: "blue-disc".
std::map<std::string, std::string> example_pictures() {
  std::map<std::string, std::string> pictures;
  for (const auto& entry : std::filesystem::directory_iterator(SILC_SOURCE_DIR "/docs/examples/pictures"))
    if (entry.path().extension() == ".png") pictures[entry.path().stem()] = read_file(entry.path());
  return pictures;
}

// A picture in a file of its own.
struct Captioned {
  std::string name;  // of the file
  std::string content;
  std::vector<std::string> captions;
  std::string maker = {};
};

// Photographs of Debian's package lomiri-wallpapers-16.04 (Creative Commons licences), as their makers' cameras and
// programs wrote them: "sunset_by_Aitzol_Berasategi.jpg". None where the package is not installed.
std::vector<Captioned> foreign_photographs() {
  std::vector<Captioned> photographs;
  const std::filesystem::path folder = "/usr/share/backgrounds";
  for (const std::string name : {"Bridge_by_Sander_Klootwijk", "Picture_0B_by_freespace", "Wine_by_Jakkub_Mede",
                                 "free_by_Peter_Nerlich", "friends_by_Aitzol_Berasategi", "greentock_by_Peter_Nerlich",
                                 "sunset_by_Aitzol_Berasategi", "umang_by_Abhishek_Mudgal"}) {
    if (!std::filesystem::exists(folder / (name + ".jpg"))) return {};
    std::string words = name;
    std::replace(words.begin(), words.end(), '_', ' ');
    const std::size_t by = words.find(" by ");
    photographs.push_back({.name = name + ".jpg",
                           .content = read_file(folder / (name + ".jpg")),
                           .captions = {words.substr(0, by), "a photograph, " + words},
                           .maker = words.substr(by + 4)});
  }
  return photographs;
}

// Captions in COCO's format.
nlohmann::json coco_captions(const std::vector<Captioned>& pictures) {
  nlohmann::json file = {{"images", nlohmann::json::array()}, {"annotations", nlohmann::json::array()}};
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    file["images"].push_back({{"id", i + 1}, {"file_name", pictures[i].name}});
    for (const std::string& caption : pictures[i].captions)
      file["annotations"].push_back({{"image_id", i + 1}, {"caption", caption}});
  }
  return file;
}

class OwnPictures : public testing::SilcRuns {
 protected:
  OwnPictures() : SilcRuns(kExperiment) {}

  void add(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name, std::ios::binary) << content;
  }

  // `source`: TOML of a dataset without its braces.
  void use(const std::string& train, const std::string& evaluations) {
    std::ofstream(root_ / "pair.toml", std::ios::app) << "\n[data]\ntrain = { " << train << " }\n" << evaluations;
  }

  void expect_the_same_bytes_when_killed() {
    ASSERT_EQ(run("runs"), 0) << output("runs");
    run_killed_after(5, "killed");
    EXPECT_TRUE(result("killed") == result("runs"));
    EXPECT_EQ(events("killed", "warning").size(), events("runs", "warning").size());
  }
};

TEST_F(OwnPictures, OfAWebDatasetAreTrainedOnAndResumedToTheSameBytes) {
  MadeTar first, second;
  for (const auto& [name, content] : example_pictures())
    (name < "h" ? first : second).add(name + ".png", content).add(name + ".txt", "a " + name);
  for (const std::string kind : {"jpeg_420", "jpeg_progressive", "jpeg_cmyk", "jpeg_grey", "jpeg_exif_6"})
    second.add(kind + ".jpg", testing::stored_photo(kind)).add(kind + ".json", R"({"caption": "a photograph"})");
  second.add("webp.webp", testing::stored_photo("webp_animated")).add("webp.txt", "a moving picture");
  second.add("half.jpg", testing::stored_photo("jpeg_444").substr(0, 900)).add("half.txt", "half a picture");
  add("data/train-0.tar", first.bytes());
  add("data/train-1.tar", second.bytes());
  add("data/test-0.tar", second.bytes());
  use(R"(dataset = "webdataset", folder = "data", on_error = "skip")",
      "[[evaluate]]\nevaluator = \"retrieval\"\non_error = \"skip\"\ndataset = { dataset = \"webdataset\", folder = "
      "\"data\" }\n");
  expect_the_same_bytes_when_killed();
  EXPECT_THAT(output("runs"), HasSubstr("1 sample of dataset \"webdataset\" could not be read and was replaced"));
  EXPECT_THAT(output("runs"), HasSubstr("train-1.tar: half.jpg is cut short or damaged"));
  EXPECT_THAT(printed_by("status"), HasSubstr("half.jpg"));
  EXPECT_THAT(report_of("'own pictures'"), HasSubstr("evaluated without 1 of 13 samples"));
}

TEST_F(OwnPictures, ThatCannotBeReadStopTheRunUnlessTheyAreSkipped) {
  MadeTar tar;
  tar.add("half.jpg", testing::stored_photo("jpeg_444").substr(0, 900)).add("half.txt", "half a picture");
  add("data/train.tar", tar.bytes());
  use(R"(dataset = "webdataset", folder = "data")", "");
  EXPECT_EQ(run("runs"), 2);
  EXPECT_THAT(output("runs"), HasSubstr("train.tar: half.jpg is cut short or damaged"));
}

TEST_F(OwnPictures, InCocosLayoutAreTrainedOnAndEvaluated) {
  std::vector<Captioned> pictures;
  nlohmann::json instances = {{"images", nlohmann::json::array()}, {"annotations", nlohmann::json::array()}};
  instances["categories"] = {
      {{"id", 3}, {"name", "disc"}}, {{"id", 7}, {"name", "square"}}, {{"id", 90}, {"name", "triangle"}}};
  for (const auto& [name, content] : example_pictures()) {
    pictures.push_back(
        {.name = name + ".png", .content = content, .captions = {"a " + name, "a picture of a " + name}});
    for (const std::string split : {"train2017", "val2017"}) add("coco/" + split + "/" + name + ".png", content);
    const std::size_t id = pictures.size();
    const int category = name.ends_with("disc") ? 3 : name.ends_with("square") ? 7 : 90;
    instances["images"].push_back({{"id", id}, {"file_name", name + ".png"}, {"width", 24}, {"height", 24}});
    instances["annotations"].push_back({{"id", id},
                                        {"image_id", id},
                                        {"category_id", category},
                                        {"area", 100},
                                        {"iscrowd", 0},
                                        {"bbox", {6, 6, 12, 12}},
                                        {"segmentation", {{6, 6, 18, 6, 18, 18, 6, 18}}}});
  }
  for (const std::string split : {"train2017", "val2017"}) {
    add("coco/annotations/captions_" + split + ".json", coco_captions(pictures).dump());
    add("coco/annotations/instances_" + split + ".json", instances.dump());
  }
  use(R"(dataset = "coco", folder = "coco")", R"(
[[evaluate]]
evaluator = "retrieval"
split = "validation"
dataset = { dataset = "coco", folder = "coco" }

[[evaluate]]
evaluator = "zero_shot_segmentation"
split = "validation"
dataset = { dataset = "coco", folder = "coco", objects = "instances" }
)");
  expect_the_same_bytes_when_killed();
}

TEST_F(OwnPictures, InAFolderForEachClassAreTrainedOnAndEvaluated) {
  for (const auto& [name, content] : example_pictures())
    for (const std::string split : {"train", "val"})
      add("folder/" + split + "/" + name.substr(name.find('-') + 1) + "/" + name + ".PNG", content);
  use(R"(dataset = "image_folder", folder = "folder", captions = ["a {}", "a picture of a {}"])", R"(
[[evaluate]]
evaluator = "zero_shot_classification"
split = "validation"
dataset = { dataset = "image_folder", folder = "folder" }
)");
  expect_the_same_bytes_when_killed();
}

TEST_F(OwnPictures, OfTwoSourcesAreMixedAndResumedToTheSameBytes) {
  MadeTar tar;
  for (const std::string kind : {"jpeg_420", "jpeg_444"})
    tar.add(kind + ".jpg", testing::stored_photo(kind)).add(kind + ".txt", "a photograph, " + kind);
  add("data/train-0.tar", tar.bytes());
  for (const auto& [name, content] : example_pictures()) add("folder/train/" + name + "/x.png", content);
  std::ofstream(root_ / "pair.toml", std::ios::app) << R"(
[data]
train = [{ dataset = "webdataset", folder = "data", weight = 1 }, { dataset = "image_folder", folder = "folder", weight = 3 }]
)";
  expect_the_same_bytes_when_killed();
}

class ForeignPhotographs : public OwnPictures {
 protected:
  void SetUp() override {
    if (photographs_.empty())
      GTEST_SKIP() << "needs the photographs of Debian's package lomiri-wallpapers-16.04, which ./dev test installs";
  }

  // Evaluated on what is trained on, since it is reading that is tried.
  void use_both(const std::string& dataset, const std::string& evaluator) {
    use(dataset,
        "[[evaluate]]\nevaluator = \"" + evaluator + "\"\nsplit = \"validation\"\ndataset = { " + dataset + " }\n");
  }

  std::vector<Captioned> photographs_ = foreign_photographs();
};

TEST_F(ForeignPhotographs, InShardsAreTrainedOnResumedToTheSameBytesAndEvaluated) {
  MadeTar tar;
  for (const Captioned& photograph : photographs_)
    tar.add(photograph.name, photograph.content)
        .add(photograph.name.substr(0, photograph.name.find('.')) + ".txt", photograph.captions.back());
  add("data/train-0.tar", tar.bytes());
  add("data/val-0.tar", tar.bytes());
  use_both(R"(dataset = "webdataset", folder = "data")", "retrieval");
  expect_the_same_bytes_when_killed();
}

TEST_F(ForeignPhotographs, InCocosLayoutAreTrainedOnResumedToTheSameBytesAndEvaluated) {
  for (const std::string split : {"train2017", "val2017"}) {
    for (const Captioned& photograph : photographs_) add("coco/" + split + "/" + photograph.name, photograph.content);
    add("coco/annotations/captions_" + split + ".json", coco_captions(photographs_).dump());
  }
  use_both(R"(dataset = "coco", folder = "coco")", "retrieval");
  expect_the_same_bytes_when_killed();
}

TEST_F(ForeignPhotographs, InAFolderForEachMakerAreTrainedOnResumedToTheSameBytesAndEvaluated) {
  for (const std::string split : {"train", "val"})
    for (const Captioned& photograph : photographs_)
      add("folder/" + split + "/" + photograph.maker + "/" + photograph.name, photograph.content);
  use_both(R"(dataset = "image_folder", folder = "folder", captions = ["a photograph by {}"])",
           "zero_shot_classification");
  expect_the_same_bytes_when_killed();
}

}  // namespace
}  // namespace silc
