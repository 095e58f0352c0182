#include <gtest/gtest.h>
#include <xxhash.h>

#include <fstream>

#include "made_files.h"
#include "made_tar.h"
#include "plugins/datasets/patterns.h"
#include "plugins/datasets/shard_index.h"
#include "plugins/datasets/tar.h"

extern "C" silc::Dataset* silc_dataset_webdataset(const silc::DatasetContext& context);

namespace silc {
namespace {

using datasets::expand_braces;
using datasets::split_member_name;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MadeFolder;
using testing::MadeTar;
using testing::OpenDataset;
using ::testing::Pair;
using testing::refusal;

class WebDatasetTest : public ::testing::Test {
 protected:
  WebDatasetTest() { setenv("XDG_CACHE_HOME", (folder.path() / "cache").c_str(), 1); }
  ~WebDatasetTest() override { unsetenv("XDG_CACHE_HOME"); }

  OpenDataset open(std::map<std::string, OptionValue> changes = {}, const std::string& split = "train") {
    changes["folder"] = folder.path().string();
    return {silc_dataset_webdataset, "webdataset", split, changes};
  }
  void add(const std::string& name, const MadeTar& tar) { folder.add(name, tar.bytes()); }

  MadeFolder folder;
};

TEST_F(WebDatasetTest, PutsMembersOfOneKeyTogether) {
  add("train-000.tar", MadeTar()
                           .add("00/a.jpg", testing::stored_photo())
                           .add("00/a.txt", "a red disc\n")
                           .add("00/b.json", R"({"caption": ["one", "two"], "width": 75})")
                           .add("00/b.PNG", testing::stored_photo("png_rgb")));
  add("train-001.tar", MadeTar().add("c.webp", testing::stored_photo("webp_lossy")).add("c.txt", "last"));
  const auto dataset = open();
  ASSERT_EQ(dataset->size(), 3);
  EXPECT_THAT(dataset->sample(0).captions, ElementsAre("a red disc"));
  EXPECT_THAT(dataset->sample(1).captions, ElementsAre("one", "two"));
  EXPECT_THAT(dataset->captions(2), ElementsAre("last"));
  EXPECT_EQ(dataset->sample(1).image.width, testing::kPhotoWidth);
  EXPECT_THAT(dataset->sample(2).image.source, HasSubstr("train-001.tar: c.webp"));
  EXPECT_THAT(dataset->shard_starts(), ElementsAre(0, 2));
}

TEST_F(WebDatasetTest, ReadsLabelsWhereThereAreClasses) {
  folder.add("names.txt", "cat\ndog\n");
  add("train.tar", MadeTar()
                       .add("a.jpg", testing::stored_photo())
                       .add("a.cls", "1\n")
                       .add("b.jpg", testing::stored_photo())
                       .add("b.cls", "2"));
  const auto dataset = open({{"class_names", folder / "names.txt"}});
  EXPECT_EQ(dataset->sample(0).label, 1);
  EXPECT_THAT(dataset->captions(0), ElementsAre("a photo of a dog"));
  EXPECT_THAT(refusal([&] { dataset->sample(1); }),
              HasSubstr("train.tar: b.cls: holds the label 2, and there are 2 classes"));
}

TEST_F(WebDatasetTest, FindsShardsByBracesGlobsAndOtherNamesOfASplit) {
  for (const std::string name : {"val-00.tar", "val-01.tar", "val-02.tar"})
    add(name, MadeTar().add("a.jpg", testing::stored_photo()).add("a.txt", name));
  EXPECT_EQ(open({}, "validation")->size(), 3);
  EXPECT_EQ(open({{"shards", Texts{"val-{01..02}.tar"}}})->size(), 2);
  EXPECT_EQ(open({{"shards", Texts{"val-?1.tar", "val-00.tar"}}})->captions(0).front(), "val-01.tar");
  EXPECT_THAT(refusal([&] { open(); }), HasSubstr("has no shards {split}*.tar for the split \"train\""));
  EXPECT_THAT(refusal([&] {
                open({{"shards", Texts{"val-{00..03}.tar"}}});
              }),
              HasSubstr("val-03.tar: cannot be read (No such file"));
  EXPECT_THAT(refusal([&] { open({{"shards", Texts{"pipe:cat x"}}}); }), HasSubstr("shards must be files"));
}

TEST_F(WebDatasetTest, ReadsLongNamesOfBothKinds) {
  const std::string folder_name(120, 'd');
  add("train.tar", MadeTar()
                       .add_gnu_long(folder_name + "/a.jpg", testing::stored_photo())
                       .add_gnu_long(folder_name + "/a.txt", "gnu")
                       .add_pax(folder_name + "/b.jpg", testing::stored_photo())
                       .add_pax(folder_name + "/b.txt", "pax"));
  const auto dataset = open();
  ASSERT_EQ(dataset->size(), 2);
  EXPECT_THAT(dataset->captions(0), ElementsAre("gnu"));
  EXPECT_THAT(dataset->captions(1), ElementsAre("pax"));
}

TEST_F(WebDatasetTest, KeepsItsIndexAndMakesItAnewWhenTheShardChanges) {
  add("train.tar", MadeTar().add("a.jpg", testing::stored_photo()).add("a.txt", "one"));
  const std::string shard = folder / "train.tar";
  const std::string before = open()->fingerprint();
  EXPECT_TRUE(std::filesystem::exists(shard + ".silc-index"));
  EXPECT_FALSE(datasets::ShardIndex(shard).was_made());
  EXPECT_EQ(open()->fingerprint(), before);
  add("train.tar", MadeTar()
                       .add("a.jpg", testing::stored_photo())
                       .add("a.txt", "two")
                       .add("b.jpg", testing::stored_photo())
                       .add("b.txt", "x"));
  EXPECT_EQ(open()->size(), 2);
  EXPECT_NE(open()->fingerprint(), before);
}

TEST_F(WebDatasetTest, MakesADamagedIndexAnew) {
  add("train.tar", MadeTar().add("a.jpg", testing::stored_photo()).add("a.txt", "one"));
  open();
  const std::string index = folder / "train.tar.silc-index";
  const std::string whole = testing::read_all(index);
  for (std::size_t at = 0; at < 48; ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    testing::write_all(index, damaged);
    EXPECT_EQ(open()->size(), 1) << "byte " << at;
  }
  testing::write_all(index, whole.substr(0, whole.size() - 1));
  EXPECT_EQ(open()->size(), 1);
}

TEST_F(WebDatasetTest, AsksForNoMemoryThatTheShardCannotFill) {
  add("train.tar", MadeTar().add("a.jpg", testing::stored_photo()).add("a.txt", "one"));
  open();
  const std::string index = folder / "train.tar.silc-index";
  std::string damaged = testing::read_all(index);
  constexpr std::size_t kSizeOfPicture = 48 + 8 + 4;  // after the header, in the first sample
  damaged.replace(kSizeOfPicture, 4, "\xFE\xFF\xFF\xFF");
  testing::write_all(index, damaged);
  const auto dataset = open();
  EXPECT_THAT(refusal([&] { dataset->sample(0); }), HasSubstr("train.tar: a.jpg: is cut short, since the shard ends"));
}

TEST_F(WebDatasetTest, DoesNotBelieveAnIndexThatCountsMoreSamplesThanItHolds) {
  add("train.tar", MadeTar().add("a.jpg", testing::stored_photo()).add("a.txt", "one"));
  open();
  const std::string index = folder / "train.tar.silc-index";
  std::string damaged = testing::read_all(index);
  constexpr std::size_t kCount = 24, kCheck = 40;
  damaged[kCount + 7] = '\x20';  // 2⁶¹ more, whose size overflows to the same
  const uint64_t check = XXH3_64bits(damaged.data(), kCheck);
  damaged.replace(kCheck, 8, reinterpret_cast<const char*>(&check), 8);
  testing::write_all(index, damaged);
  EXPECT_EQ(open()->size(), 1);
}

TEST_F(WebDatasetTest, NamesWhatIsMissingInASample) {
  add("train.tar", MadeTar()
                       .add("a.jpg", testing::stored_photo())
                       .add("b.txt", "no picture")
                       .add("c.jpg", testing::stored_photo())
                       .add("c.txt", "")
                       .add("d.jpg", "")
                       .add("d.txt", "x")
                       .add("e.jpg", testing::stored_photo())
                       .add("e.txt", "\xC3(")
                       .add("f.jpg", testing::stored_photo())
                       .add("f.json", R"({"text": "x"})")
                       .add("g.seg.png", testing::stored_photo("png_rgb"))
                       .add("g.txt", "x"));
  const auto dataset = open();
  ASSERT_EQ(dataset->size(), 7);
  const auto fault = [&](int64_t index) { return refusal([&] { dataset->sample(index); }); };
  EXPECT_THAT(fault(0), HasSubstr("train.tar: a.jpg has no caption beside it, neither .txt nor .json"));
  EXPECT_THAT(fault(1), HasSubstr("train.tar: b.txt has no picture beside it"));
  EXPECT_THAT(fault(2), HasSubstr("train.tar: c.txt: the caption is empty"));
  EXPECT_THAT(fault(3), HasSubstr("train.tar: d.jpg is empty"));
  EXPECT_THAT(fault(4), HasSubstr("train.tar: e.txt: the caption is not UTF-8"));
  EXPECT_THAT(fault(5), HasSubstr("train.tar: f.json: has no caption under \"caption\""));
  EXPECT_THAT(fault(6), HasSubstr("train.tar: g.txt has no picture beside it")) << ".seg.png is no .png";
}

TEST_F(WebDatasetTest, ReadsAShardThatIsCutShortUpToWhereItEnds) {
  const std::string whole = MadeTar()
                                .add("a.txt", "one")
                                .add("a.jpg", testing::stored_photo())
                                .add("b.txt", "two")
                                .add("b.jpg", testing::stored_photo())
                                .bytes();
  folder.add("train.tar", whole.substr(0, whole.size() - 1024 - 600));
  const auto dataset = open();
  ASSERT_EQ(dataset->size(), 2);
  EXPECT_EQ(refusal([&] { dataset->sample(0); }), "");
  EXPECT_THAT(refusal([&] { dataset->sample(1); }), HasSubstr("train.tar: b.jpg: is cut short, since the shard ends"));
}

TEST_F(WebDatasetTest, RefusesWhatIsNoArchive) {
  folder.add("train.tar", std::string(2000, 'x'));
  EXPECT_THAT(refusal([&] { open(); }), HasSubstr("train.tar: is no tar archive, or damaged, at byte 0"));
  folder.add("train.tar", "");
  EXPECT_THAT(refusal([&] { open(); }), HasSubstr("train.tar: has no samples"));
}

TEST_F(WebDatasetTest, RefusesTwoMembersOfOneName) {
  add("train.tar", MadeTar().add("a.jpg", testing::stored_photo()).add("a.JPG", testing::stored_photo()));
  EXPECT_THAT(refusal([&] { open(); }), HasSubstr("train.tar: the sample \"a\" has two members \".jpg\""));
}

TEST_F(WebDatasetTest, RefusesOrReadsWhateverIsInAnArchive) {
  const std::string whole = MadeTar()
                                .add("a.jpg", testing::stored_photo("jpeg_grey"))
                                .add_pax("b.txt", "pax")
                                .add_gnu_long("c.json", R"({"caption": "x"})")
                                .add("c.jpg", testing::stored_photo("jpeg_grey"))
                                .bytes();
  uint32_t state = 5;
  const auto next = [&] { return (state = state * 1664525 + 1013904223) >> 8; };
  for (int attempt = 0; attempt < 400; ++attempt) {
    std::string damaged = whole.substr(0, attempt % 3 == 0 ? next() % whole.size() : whole.size());
    for (uint32_t change = next() % 6; change > 0 && !damaged.empty(); --change)
      damaged[next() % damaged.size()] = static_cast<char>(next());
    // Headers with the right checksum, so that what is in them is read.
    if (attempt % 2 == 0) damaged = MadeTar::with_checksums(damaged);
    folder.add("train.tar", damaged);
    refusal([&] {
      const auto dataset = open();
      for (int64_t i = 0; i < dataset->size(); ++i) refusal([&] { static_cast<void>(dataset->sample(i)); });
    });
  }
}

TEST(MemberNames, AreSplitAsWebDatasetDoes) {
  EXPECT_THAT(split_member_name("a/b/c.tar.JPG"), Pair("a/b/c", "tar.jpg"));
  EXPECT_THAT(split_member_name("a.b/c.txt"), Pair("a.b/c", "txt"));
  EXPECT_THAT(split_member_name("a.b/c"), Pair("", ""));
  EXPECT_THAT(split_member_name(".hidden"), Pair("", ""));
  EXPECT_THAT(split_member_name("x."), Pair("x", ""));
}

TEST(ExpandBraces, MakesWhatAShellMakes) {
  EXPECT_THAT(expand_braces("s-{008..011}.tar"), ElementsAre("s-008.tar", "s-009.tar", "s-010.tar", "s-011.tar"));
  EXPECT_THAT(expand_braces("{a,b{1..2}}/x"), ElementsAre("a/x", "b1/x", "b2/x"));
  EXPECT_THAT(expand_braces("{2..0}"), ElementsAre("2", "1", "0"));
  EXPECT_THAT(expand_braces("{one}{"), ElementsAre("{one}{"));
  EXPECT_THROW(expand_braces("{0..99999999}"), Error);
  EXPECT_THROW(expand_braces("{0..99999}{0..99999}"), Error);
}

}  // namespace
}  // namespace silc
