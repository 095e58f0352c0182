#include <gtest/gtest.h>

#include "made_files.h"
#include "pictures/decode.h"

extern "C" silc::Dataset* silc_dataset_image_folder(const silc::DatasetContext& context);

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MadeFolder;
using testing::OpenDataset;
using testing::refusal;

class ImageFolderTest : public ::testing::Test {
 protected:
  ImageFolderTest() {
    folder.add_photo("train/n02/b.JPEG");
    folder.add_photo("train/n02/a.png", "png_alpha");
    folder.add_photo("train/n01/deep/c.webp", "webp_lossy");
    folder.add("train/n01/notes.txt", "no picture");
    folder.add_photo("val/n01/d.jpg", "jpeg_exif_6");
    folder.add_photo("val/n02/e.jpg");
  }

  OpenDataset open(const std::string& split = "train", std::map<std::string, OptionValue> changes = {}) {
    changes["folder"] = folder.path().string();
    return {silc_dataset_image_folder, "image_folder", split, changes};
  }

  MadeFolder folder;
};

TEST_F(ImageFolderTest, LabelsPicturesByTheirFolderInTheOrderOfNames) {
  const OpenDataset dataset = open();
  EXPECT_THAT(dataset->classes(), ElementsAre("n01", "n02"));
  ASSERT_EQ(dataset->size(), 3);
  EXPECT_EQ(dataset->sample(0).label, 0);
  EXPECT_EQ(dataset->sample(1).label, 1);
  EXPECT_THAT(dataset->sample(1).image.source, HasSubstr("train/n02/a.png"));
  EXPECT_THAT(dataset->sample(2).image.source, HasSubstr("train/n02/b.JPEG"));
  EXPECT_THAT(dataset->sample(1).captions, ElementsAre("a photo of a n02"));
}

TEST_F(ImageFolderTest, HandsOverFilesThatShowThePicture) {
  const Sample sample = open("validation")->sample(0);
  EXPECT_TRUE(sample.image.rgb.empty());
  EXPECT_EQ(sample.image.width, testing::kPhotoHeight) << "turned by its EXIF orientation";
  EXPECT_LE(testing::difference(decoded(sample.image), testing::stored_picture("jpeg_exif_6.rgb")), 1);
}

TEST_F(ImageFolderTest, TakesClassNamesFromAFile) {
  folder.add("names.txt", "# wordnet\nn02 goldfish, Carassius auratus\nn01 tench\n");
  EXPECT_THAT(open("train", {{"class_names", folder / "names.txt"}})->classes(),
              ElementsAre("tench", "goldfish, Carassius auratus"));
  folder.add("names.txt", "tench\ngold fish\n");
  EXPECT_THAT(open("train", {{"class_names", folder / "names.txt"}})->classes(), ElementsAre("tench", "gold fish"));
}

TEST_F(ImageFolderTest, RefusesClassNamesThatDoNotFit) {
  folder.add("names.txt", "tench\n");
  EXPECT_THAT(refusal([&] {
                open("train", {{"class_names", folder / "names.txt"}});
              }),
              HasSubstr("names 1 classes, and there are 2 folders; n01 is not named"));
  EXPECT_THAT(refusal([&] { open("train", {{"class_list", "imagenet"}}); }), HasSubstr("names 1000 classes"));
}

TEST_F(ImageFolderTest, NamesTheSplitsThatThereAre) {
  EXPECT_THAT(refusal([&] { open("test"); }), HasSubstr("has no folder for the split \"test\"; there are: train, val"));
  EXPECT_THAT(refusal([&] { open("../train"); }), HasSubstr("leads out of the folder"));
}

TEST_F(ImageFolderTest, ChangesItsFingerprintWithAFile) {
  const std::string before = open()->fingerprint();
  EXPECT_EQ(open()->fingerprint(), before);
  folder.add_photo("train/n02/b.JPEG", "jpeg_444");
  EXPECT_NE(open()->fingerprint(), before);
}

TEST_F(ImageFolderTest, NamesAPictureThatCannotBeRead) {
  folder.add("train/n01/deep/c.webp", "RIFF");
  EXPECT_THAT(refusal([&] { open()->sample(0); }), HasSubstr("train/n01/deep/c.webp is no JPEG, PNG or WebP"));
  folder.add("train/n01/deep/c.webp", "");
  EXPECT_THAT(refusal([&] { open()->sample(0); }), HasSubstr("is empty"));
}

}  // namespace
}  // namespace silc
