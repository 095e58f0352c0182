#include <gtest/gtest.h>

#include "made_files.h"
#include "plugins/datasets/class_lists.h"

extern "C" silc::Dataset* silc_dataset_segmentation_folder(const silc::DatasetContext& context);

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MadeFolder;
using testing::OpenDataset;
using testing::refusal;

class SegmentationFolderTest : public ::testing::Test {
 protected:
  // The upper half has the value `above`, the lower half `below`.
  void add_labels(const std::string& name, uint8_t above, uint8_t below) {
    folder.add(name, testing::label_map(testing::kPhotoWidth, testing::kPhotoHeight,
                                        [&](int64_t, int64_t y) { return y < 25 ? above : below; }));
  }

  OpenDataset open(const std::string& layout, const std::string& split = "validation",
                   std::map<std::string, OptionValue> changes = {}) {
    changes["folder"] = folder.path().string();
    changes["layout"] = layout;
    return {silc_dataset_segmentation_folder, "segmentation_folder", split, changes};
  }

  // Classes of the upper and the lower half, by name; "-" for none.
  static std::pair<std::string, std::string> halves(const OpenDataset& dataset, int64_t index = 0) {
    const Sample sample = dataset->sample(index);
    const std::vector<std::string> classes = dataset->classes();
    const auto name = [&](std::size_t at) {
      const uint8_t label = sample.mask.at(at);
      return label == kIgnoreLabel ? "-" : classes.at(label);
    };
    return {name(0), name(sample.mask.size() - 1)};
  }

  MadeFolder folder;
};

using Halves = std::pair<std::string, std::string>;

TEST_F(SegmentationFolderTest, ReadsAde20kWhereZeroIsNoClass) {
  folder.add_photo("images/validation/ADE_val_00000001.jpg");
  add_labels("annotations/validation/ADE_val_00000001.png", 0, 1);
  const auto dataset = open("ade20k");
  EXPECT_EQ(dataset->classes().size(), 150U);
  EXPECT_EQ(halves(dataset), Halves("-", "wall"));
  EXPECT_THAT(dataset->captions(0), ElementsAre("a photo of wall"));
  EXPECT_EQ(dataset->sample(0).captions, dataset->captions(0));
  add_labels("annotations/validation/ADE_val_00000001.png", 150, 255);
  EXPECT_EQ(halves(open("ade20k")), Halves("flag", "-"));
}

TEST_F(SegmentationFolderTest, ReadsCityscapesByIdsAndByTrainIds) {
  folder.add_photo("leftImg8bit/val/ulm/ulm_000001_000019_leftImg8bit.png", "png_rgb");
  add_labels("gtFine/val/ulm/ulm_000001_000019_gtFine_labelIds.png", 7, 3);
  EXPECT_EQ(open("cityscapes")->classes().size(), 19U);
  EXPECT_EQ(halves(open("cityscapes")), Halves("road", "-"));
  add_labels("gtFine/val/ulm/ulm_000001_000019_gtFine_labelTrainIds.png", 18, 255);
  EXPECT_EQ(halves(open("cityscapes")), Halves("bicycle", "-"));
  EXPECT_EQ(open("cityscapes")->classes().size(), 19U);
}

TEST_F(SegmentationFolderTest, ReadsCocoStuffWithItsGaps) {
  folder.add_photo("val2017/000000000139.jpg");
  add_labels("stuffthingmaps/val2017/000000000139.png", 89, 181);
  const auto dataset = open("coco_stuff171");
  EXPECT_EQ(dataset->classes().size(), 171U);
  EXPECT_EQ(halves(dataset), Halves("toothbrush", "wood"));
}

TEST_F(SegmentationFolderTest, ReadsPascalVocWithoutItsBackground) {
  folder.add("ImageSets/Segmentation/val.txt", "2007_000033\n");
  folder.add_photo("JPEGImages/2007_000033.jpg");
  folder.add_photo("JPEGImages/2007_000032.jpg");
  add_labels("SegmentationClass/2007_000033.png", 0, 20);
  const auto dataset = open("voc20");
  EXPECT_EQ(dataset->size(), 1);
  EXPECT_EQ(dataset->classes().size(), 20U);
  EXPECT_EQ(halves(dataset), Halves("-", "tvmonitor"));
}

TEST_F(SegmentationFolderTest, ReadsPascalContext) {
  folder.add("ImageSets/SegmentationContext/train.txt", "2008_000002\n");
  folder.add_photo("JPEGImages/2008_000002.jpg");
  add_labels("SegmentationClassContext/2008_000002.png", 59, 0);
  const auto dataset = open("pascal_context59", "train");
  EXPECT_EQ(dataset->classes().size(), 59U);
  EXPECT_EQ(halves(dataset), Halves("wood", "-"));
}

TEST_F(SegmentationFolderTest, ReadsFoldersOfOnesOwn) {
  folder.add_photo("images/val/a/x.webp", "webp_lossless");
  add_labels("annotations/val/a/x.png", 7, 200);
  folder.add("classes.txt", "200\tpath\n7\ttree\n0\t-\n");
  const auto dataset = open("custom", "validation", {{"classes", folder / "classes.txt"}});
  EXPECT_THAT(dataset->classes(), ElementsAre("path", "tree"));
  EXPECT_EQ(halves(dataset), Halves("tree", "path"));
}

class Refusals : public SegmentationFolderTest {
 protected:
  Refusals() { folder.add_photo("images/validation/a.jpg"); }
};

TEST_F(Refusals, OfALabelThatIsOutOfRange) {
  add_labels("annotations/validation/a.png", 1, 151);
  EXPECT_THAT(refusal([&] { open("ade20k")->sample(0); }),
              HasSubstr("annotations/validation/a.png: a pixel has the value 151, which the list of 150 classes"));
}

TEST_F(Refusals, OfAMissingLabelMap) {
  EXPECT_THAT(refusal([&] { open("ade20k")->sample(0); }),
              HasSubstr("annotations/validation/a.png: there is no such label map, of images/validation/a.jpg"));
}

TEST_F(Refusals, OfALabelMapOfAnotherSize) {
  folder.add("annotations/validation/a.png", testing::label_map(10, 10, [](int64_t, int64_t) { return 1; }));
  EXPECT_THAT(refusal([&] { open("ade20k")->sample(0); }), HasSubstr("has 10 × 10 pixels, and its picture 75 × 51"));
}

TEST_F(Refusals, OfALabelMapInColour) {
  folder.add_photo("annotations/validation/a.png", "png_rgb");
  EXPECT_THAT(refusal([&] { open("ade20k")->sample(0); }), HasSubstr("is a picture in colour, not a label map"));
}

TEST_F(Refusals, OfSplitsAndFoldersThatAreNotThere) {
  EXPECT_THAT(refusal([&] { open("ade20k", "test"); }), HasSubstr("there is no \"test\""));
  EXPECT_THAT(refusal([&] { open("ade20k", "train"); }), HasSubstr("images/training: cannot be listed"));
  folder.add("ImageSets/Segmentation/val.txt", "../../etc/passwd\n");
  EXPECT_THAT(refusal([&] { open("voc20"); }), HasSubstr("leads out of the folder"));
}

TEST(ListsOfClasses, AreWholeAndWithoutDoubles) {
  using datasets::built_in_list;
  using datasets::LabelClasses;
  const auto count = [](const std::string& name) { return LabelClasses(built_in_list(name), name).names().size(); };
  EXPECT_EQ(count("classes/ade20k"), 150U);
  EXPECT_EQ(count("classes/cityscapes"), 19U);
  EXPECT_EQ(count("classes/cityscapes_train_ids"), 19U);
  EXPECT_EQ(count("classes/coco_stuff171"), 171U);
  EXPECT_EQ(count("classes/pascal_context59"), 59U);
  EXPECT_EQ(count("classes/voc20"), 20U);
  EXPECT_EQ(built_in_list("classes/imagenet").size(), 1000U);
  EXPECT_EQ(built_in_list("prompts/imagenet").size(), 80U);
  EXPECT_EQ(built_in_list("prompts/cifar").size(), 18U);
}

TEST(ListsOfClasses, AreRefusedWithTheLineThatIsWrong) {
  using datasets::LabelClasses;
  EXPECT_THAT(refusal([] { LabelClasses({"1 wall"}, "c.txt"); }),
              HasSubstr("c.txt: \"1 wall\" is no line of a class list"));
  EXPECT_THAT(refusal([] { LabelClasses({"1\twall", "1\tsky"}, "c.txt"); }), HasSubstr("the value 1 is there twice"));
  EXPECT_THAT(refusal([] { LabelClasses({"1\twall", "2\twall"}, "c.txt"); }), HasSubstr("\"wall\" is there twice"));
  EXPECT_THAT(refusal([] { LabelClasses({"1\t-"}, "c.txt"); }), HasSubstr("0 classes"));
}

}  // namespace
}  // namespace silc
