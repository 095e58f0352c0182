// Data as people have them, a WebDataset, a folder in COCO's layout and an ImageFolder: trained on, killed, resumed and
// evaluated, with bad samples among them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  nlohmann::json captions = {{"images", nlohmann::json::array()}, {"annotations", nlohmann::json::array()}};
  nlohmann::json instances = captions;
  instances["categories"] = {
      {{"id", 3}, {"name", "disc"}}, {{"id", 7}, {"name", "square"}}, {{"id", 90}, {"name", "triangle"}}};
  int id = 0;
  for (const auto& [name, content] : example_pictures()) {
    for (const std::string split : {"train2017", "val2017"}) add("coco/" + split + "/" + name + ".png", content);
    captions["images"].push_back({{"id", ++id}, {"file_name", name + ".png"}, {"width", 24}, {"height", 24}});
    for (const std::string text : {"a ", "a picture of a "})
      captions["annotations"].push_back({{"image_id", id}, {"caption", text + name}});
    const int category = name.ends_with("disc") ? 3 : name.ends_with("square") ? 7 : 90;
    instances["annotations"].push_back({{"id", id},
                                        {"image_id", id},
                                        {"category_id", category},
                                        {"area", 100},
                                        {"iscrowd", 0},
                                        {"bbox", {6, 6, 12, 12}},
                                        {"segmentation", {{6, 6, 18, 6, 18, 18, 6, 18}}}});
  }
  instances["images"] = captions["images"];
  for (const std::string split : {"train2017", "val2017"}) {
    add("coco/annotations/captions_" + split + ".json", captions.dump());
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

}  // namespace
}  // namespace silc
