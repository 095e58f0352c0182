#include <gtest/gtest.h>

#include "made_files.h"

extern "C" silc::Dataset* silc_dataset_table(const silc::DatasetContext& context);

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MadeFolder;
using testing::OpenDataset;
using testing::refusal;

class TableTest : public ::testing::Test {
 protected:
  TableTest() {
    folder.add_photo("pictures/a.jpg");
    folder.add_photo("pictures/b.png", "png_rgb");
  }

  OpenDataset open(const std::string& text, std::map<std::string, OptionValue> changes = {},
                   const std::string& split = "train", const std::string& name = "t.csv") {
    folder.add(name, text);
    changes["table"] = folder / name;
    return {silc_dataset_table, "table", split, changes};
  }

  MadeFolder folder;
};

TEST_F(TableTest, GathersTheCaptionsOfAPicture) {
  const auto dataset =
      open("path,caption\npictures/a.jpg,one\npictures/b.png,\"two, with\na break\"\npictures/a.jpg,three\n");
  ASSERT_EQ(dataset->size(), 2);
  EXPECT_THAT(dataset->sample(0).captions, ElementsAre("one", "three"));
  EXPECT_THAT(dataset->captions(1), ElementsAre("two, with\na break"));
  EXPECT_EQ(dataset->sample(1).image.width, testing::kPhotoWidth);
  EXPECT_EQ(dataset->sample(1).label, kNoLabel);
}

TEST_F(TableTest, ReadsTheColumnsThatAreNamed) {
  const auto dataset = open(
      "kind\timg\ttitle_en\ttitle_de\twhere\ncat\tpictures/a.jpg\tA cat\tKatze\tval\ndog\tpictures/b.png\tA "
      "dog\t\ttrain\n",
      {{"path", "img"}, {"captions", Texts{"title_en", "title_de"}}, {"label", "kind"}, {"split_column", "where"}},
      "validation", "t.tsv");
  ASSERT_EQ(dataset->size(), 1);
  EXPECT_THAT(dataset->sample(0).captions, ElementsAre("A cat", "Katze"));
  EXPECT_THAT(dataset->classes(), ElementsAre("cat", "dog")) << "of all splits, so that labels mean the same in each";
  EXPECT_EQ(dataset->sample(0).label, 0);
}

TEST_F(TableTest, NamesTheLineOfACaptionThatIsNone) {
  const auto dataset = open("path,caption\npictures/a.jpg,\npictures/b.png,\xFF\xFE\n");
  EXPECT_THAT(refusal([&] { dataset->sample(0); }), HasSubstr("t.csv:2: the caption is empty"));
  EXPECT_THAT(refusal([&] { dataset->sample(1); }), HasSubstr("t.csv:3: the caption is not UTF-8"));
}

TEST_F(TableTest, RefusesAPathThatLeavesItsFolder) {
  const auto dataset = open("path,caption\n../../etc/passwd,x\n/etc/passwd,y\n");
  EXPECT_THAT(refusal([&] { dataset->sample(0); }),
              HasSubstr("t.csv:2: the path ../../etc/passwd leads out of the folder"));
  EXPECT_THAT(refusal([&] { dataset->sample(1); }), HasSubstr("t.csv:3: the path /etc/passwd leads out"));
}

TEST_F(TableTest, NamesTheColumnsThatThereAre) {
  EXPECT_THAT(refusal([&] { open("file,text\na.jpg,b\n"); }),
              HasSubstr("t.csv:1: there is no column \"path\" (option \"path\"); there are: file, text"));
  EXPECT_THAT(refusal([&] { open("path,caption\na.jpg\n"); }),
              HasSubstr("t.csv:2: has 1 columns, and the first line names 2"));
}

TEST_F(TableTest, RefusesAClassThatTheListDoesNotHave) {
  folder.add("classes.txt", "cat\n");
  EXPECT_THAT(refusal([&] {
                open("path,caption,kind\na.jpg,x,dog\n", {{"label", "kind"}, {"class_names", folder / "classes.txt"}});
              }),
              HasSubstr("t.csv:2: \"dog\" is none of the classes in"));
}

TEST_F(TableTest, ChangesItsFingerprintWithAPicture) {
  const std::string text = "path,caption\npictures/a.jpg,one\n";
  const std::string before = open(text)->fingerprint();
  EXPECT_EQ(open(text)->fingerprint(), before);
  folder.add_photo("pictures/a.jpg", "jpeg_grey");
  EXPECT_NE(open(text)->fingerprint(), before);
}

TEST_F(TableTest, NamesAPictureThatIsMissing) {
  EXPECT_THAT(refusal([&] { open("path,caption\npictures/c.jpg,one\n")->sample(0); }),
              HasSubstr("pictures/c.jpg: cannot be read (No such file"));
}

}  // namespace
}  // namespace silc
