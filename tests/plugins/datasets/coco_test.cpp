#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "made_files.h"

extern "C" silc::Dataset* silc_dataset_coco(const silc::DatasetContext& context);

namespace silc {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MadeFolder;
using testing::OpenDataset;
using testing::refusal;

class CocoTest : public ::testing::Test {
 protected:
  CocoTest() {
    folder.add_photo("val2017/000000000009.jpg");
    folder.add_photo("val2017/000000000025.jpg", "jpeg_444");
    captions = {{"info", {{"year", 2017}}},
                {"images", {picture(25), picture(9)}},
                {"annotations",
                 {{{"image_id", 9}, {"id", 1}, {"caption", "first"}},
                  {{"image_id", 25}, {"id", 2}, {"caption", "other"}},
                  {{"image_id", 9}, {"id", 3}, {"caption", "second"}}}}};
    instances = {{"images", {picture(9), picture(25)}},
                 {"categories", {{{"id", 90}, {"name", "toothbrush"}}, {{"id", 1}, {"name", "person"}}}},
                 {"annotations",
                  {{{"id", 7},
                    {"image_id", 9},
                    {"category_id", 90},
                    {"area", 100},
                    {"iscrowd", 0},
                    {"bbox", {10, 20, 10, 10}},
                    {"segmentation", {{10, 20, 20, 20, 20, 30, 10, 30}}}},
                   {{"id", 8},
                    {"image_id", 9},
                    {"category_id", 1},
                    {"area", 3825},
                    {"iscrowd", 0},
                    {"bbox", {0, 0, 75, 51}},
                    {"segmentation", {{0, 0, 75, 0, 75, 51, 0, 51}}}}}}};
    write();
  }

  static json picture(int id) {
    return {
        {"id", id}, {"file_name", id == 9 ? "000000000009.jpg" : "000000000025.jpg"}, {"width", 75}, {"height", 51}};
  }

  void write() const {
    folder.add("annotations/captions_val2017.json", captions.dump());
    folder.add("annotations/instances_val2017.json", instances.dump());
  }

  OpenDataset open(std::map<std::string, OptionValue> changes = {}, const std::string& split = "validation") {
    changes.try_emplace("folder", folder.path().string());
    return {silc_dataset_coco, "coco", split, changes};
  }

  MadeFolder folder;
  json captions, instances;
};

TEST_F(CocoTest, GivesEachPictureItsCaptions) {
  const auto dataset = open();
  ASSERT_EQ(dataset->size(), 2);
  const Sample sample = dataset->sample(0);
  EXPECT_THAT(sample.captions, ElementsAre("first", "second"));
  EXPECT_THAT(dataset->captions(1), ElementsAre("other"));
  EXPECT_THAT(sample.image.source, HasSubstr("000000000009.jpg"));
  EXPECT_TRUE(sample.mask.empty());
  EXPECT_TRUE(dataset->classes().empty());
}

TEST_F(CocoTest, NumbersCategoriesWithoutTheGapsOfTheirIds) {
  EXPECT_THAT(open({{"objects", "instances"}})->classes(), ElementsAre("person", "toothbrush"));
}

TEST_F(CocoTest, PaintsSmallObjectsOverLargeOnes) {
  const Sample sample = open({{"objects", "instances"}})->sample(0);
  ASSERT_EQ(sample.mask.size(), 75U * 51U);
  EXPECT_EQ(sample.mask[25 * 75 + 15], 1) << "the toothbrush in front of the person";
  EXPECT_EQ(sample.mask[5 * 75 + 5], 0);
  ASSERT_EQ(sample.boxes.size(), 2U);
  EXPECT_EQ(sample.boxes[0].label, 1);
  EXPECT_EQ(sample.boxes[0].x1, 20);
}

TEST_F(CocoTest, LeavesPixelsWithoutAnObjectOut) {
  const Sample sample = open({{"objects", "instances"}})->sample(1);
  EXPECT_THAT(sample.mask, ::testing::Each(kIgnoreLabel));
  EXPECT_TRUE(sample.boxes.empty());
}

TEST_F(CocoTest, ReadsRunLengthsOfCrowdsAndGivesThemNoBox) {
  json& crowd = instances["annotations"][0];
  crowd["iscrowd"] = 1;
  crowd["area"] = 9999;
  crowd["segmentation"] = {{"size", {51, 75}}, {"counts", {0, 51, 75 * 51 - 51}}};
  instances["annotations"].erase(1);
  write();
  const Sample sample = open({{"objects", "instances"}})->sample(0);
  EXPECT_EQ(sample.mask[0], 1) << "the first column";
  EXPECT_EQ(sample.mask[50 * 75], 1);
  EXPECT_EQ(sample.mask[1], kIgnoreLabel);
  EXPECT_TRUE(sample.boxes.empty());
}

TEST_F(CocoTest, CaptionsPicturesByTheirClassesWhereThereAreNoCaptions) {
  std::filesystem::remove(folder / "annotations/captions_val2017.json");
  const auto dataset = open({{"objects", "instances"}});
  EXPECT_THAT(dataset->captions(0), ElementsAre("a photo of person, toothbrush"));
  EXPECT_THAT(dataset->captions(1), ElementsAre("a photo"));
}

TEST_F(CocoTest, TakesFilesOfOtherNames) {
  folder.add("mine/text.json", captions.dump());
  const auto dataset =
      open({{"folder", ""}, {"captions_file", folder / "mine/text.json"}, {"images", folder / "val2017"}}, "train");
  EXPECT_EQ(dataset->size(), 2);
  EXPECT_EQ(dataset->sample(1).image.width, 75);
}

TEST_F(CocoTest, SaysThatTheTestPicturesHaveNoAnnotations) {
  EXPECT_THAT(refusal([&] { open({}, "test"); }), HasSubstr("evaluate on the split \"validation\""));
}

TEST_F(CocoTest, RefusesAnnotationsOfAnotherPicture) {
  folder.add_photo("val2017/000000000009.jpg", "jpeg_exif_6");
  EXPECT_THAT(refusal([&] {
                open({{"objects", "instances"}})->sample(0);
              }),
              HasSubstr("has 51 × 75 pixels, and the annotations are for 75 × 51"));
}

TEST_F(CocoTest, RefusesAnUnknownCategory) {
  instances["annotations"][0]["category_id"] = 2;
  write();
  EXPECT_THAT(refusal([&] {
                open({{"objects", "instances"}});
              }),
              HasSubstr("category 2, which the file does not list"));
}

TEST_F(CocoTest, RefusesACornerFarOutsideOfThePicture) {
  instances["annotations"][0]["segmentation"] = {{10, 20, 1e9, 20, 20, 30}};
  write();
  EXPECT_THAT(refusal([&] { open({{"objects", "instances"}})->sample(0); }), HasSubstr("far outside of the picture"));
}

TEST_F(CocoTest, RefusesAPictureThatLeadsOutOfTheFolder) {
  captions["images"][1]["file_name"] = "../../secret.jpg";
  write();
  EXPECT_THAT(refusal([&] { open()->sample(0); }), HasSubstr("leads out of the folder"));
}

TEST_F(CocoTest, RefusesWhatIsNotCocosFormat) {
  for (const std::string text :
       {"", "[]", "{\"images\": [{\"id\": \"x\"}]}", "{\"images\": 3}", "{\"annotations\": [{}]}"}) {
    folder.add("annotations/captions_val2017.json", text);
    EXPECT_THAT(refusal([&] { open(); }), HasSubstr("captions_val2017.json: ")) << text;
  }
}

TEST_F(CocoTest, RefusesOrReadsItsFilesCutShortOrDamaged) {
  const std::string whole = instances.dump();
  uint32_t state = 1;
  for (int attempt = 0; attempt < 300; ++attempt) {
    std::string damaged = whole;
    for (int change = 0; change < 3; ++change) {
      state = state * 1664525 + 1013904223;
      damaged[state % damaged.size()] = static_cast<char>("0123456789[]{},:\"-e"[(state >> 8) % 19]);
    }
    folder.add("annotations/instances_val2017.json", damaged);
    refusal([&] {
      const auto dataset = open({{"objects", "instances"}});
      for (int64_t i = 0; i < dataset->size(); ++i) refusal([&] { static_cast<void>(dataset->sample(i)); });
    });
  }
}

}  // namespace
}  // namespace silc
