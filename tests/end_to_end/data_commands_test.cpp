// silc data as people use it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "files/durable_file.h"
#include "pictures/decode.h"
#include "tests/files/temporary_folder.h"
#include "tests/pictures/fixture.h"
#include "tests/plugins/datasets/made_tar.h"

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::MadeTar;
using ::testing::Not;

class DataCommands : public ::testing::Test {
 protected:
  void add(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name, std::ios::binary) << content;
  }

  // What `silc data ARGUMENTS` prints, with ROOT standing for the folder.
  std::string run(std::string arguments, int expected_code = 0) {
    for (std::size_t at = arguments.find("ROOT"); at != std::string::npos; at = arguments.find("ROOT"))
      arguments.replace(at, 4, root_.string());
    const std::string line =
        "'" SILC_BINARY_DIR "/bin/silc' data " + arguments + " > '" + (root_ / "printed").string() + "' 2>&1";
    const int status = std::system(line.c_str());
    const std::string printed = read_file(root_ / "printed");
    EXPECT_EQ(WEXITSTATUS(status), expected_code) << printed;
    return printed;
  }

  TemporaryFolder temporary_;
  std::filesystem::path root_ = temporary_.path();
};

TEST_F(DataCommands, ListNamesDatasetsAndTheirSplits) {
  const std::string text = run("list");
  EXPECT_THAT(text, HasSubstr("webdataset\n"));
  EXPECT_THAT(text, HasSubstr("test_unseen"));
}

TEST_F(DataCommands, CheckNamesWhatCannotBeReadAndWhatIsThereTwice) {
  add("shards/train-0.tar", MadeTar()
                                .add("a.jpg", testing::stored_photo("jpeg_444"))
                                .add("a.txt", "one")
                                .add("b.jpg", testing::stored_photo("jpeg_grey").substr(0, 700))
                                .add("b.txt", "half")
                                .bytes());
  add("shards/val-0.tar",
      MadeTar().add("c.webp", testing::stored_photo("webp_lossy")).add("c.txt", "the same, three").bytes());
  const auto report = nlohmann::json::parse(run("check ROOT/shards --json", 1));
  EXPECT_FALSE(report["sound"]);
  EXPECT_EQ(report["splits"]["train"]["samples"], 2);
  EXPECT_EQ(report["splits"]["train"]["unreadable"], 1);
  EXPECT_THAT(report["splits"]["validation"]["letters"], ElementsAre(15, 15.0, 15));
  EXPECT_THAT(report["unreadable"][0]["reason"].get<std::string>(), HasSubstr("train-0.tar: b.jpg is cut short"));
  ASSERT_EQ(report["duplicates"].size(), 1U);
  const auto& copies = report["duplicates"][0];
  EXPECT_EQ(copies[0], nlohmann::json({"train", 0, (root_ / "shards/train-0.tar").string() + ": a.jpg"}));
  EXPECT_EQ(copies[1], nlohmann::json({"validation", 0, (root_ / "shards/val-0.tar").string() + ": c.webp"}));
  const std::string text = run("check ROOT/shards", 1);
  EXPECT_THAT(text, HasSubstr("train: 2 samples, 1 cannot be read"));
  EXPECT_THAT(text, HasSubstr("1 picture is there more than once:\n  train 0 ("));
  EXPECT_THAT(text, HasSubstr("a.jpg) = validation 0 ("));
}

TEST_F(DataCommands, CheckIsContentWithSoundData) {
  const std::string text = run("check shapes --option examples=50 --split train");
  EXPECT_THAT(text, HasSubstr("train: 50 samples\n  captions  250, 5 each; "));
  EXPECT_THAT(text, HasSubstr("pictures  64 pixels wide, 64 pixels high"));
  EXPECT_THAT(text, HasSubstr("classes   6, from "));
}

TEST_F(DataCommands, CheckTellsShapesOfTwoColoursApart) {
  std::filesystem::create_directories(root_ / "table");
  for (const std::string colour : {"red", "blue", "green"})
    std::filesystem::copy(std::filesystem::path(SILC_SOURCE_DIR) / "docs/examples/pictures" / (colour + "-square.png"),
                          root_ / "table");
  add("table/all.csv", "path,caption\nred-square.png,red\nblue-square.png,blue\ngreen-square.png,green\n");
  EXPECT_THAT(run("check ROOT/table/all.csv"), Not(HasSubstr("more than once")));
}

TEST_F(DataCommands, CheckLooksOnceAtATableThatIsEverySplit) {
  add("table/one.jpg", testing::stored_photo("jpeg_444"));
  add("table/all.csv", "path,caption\none.jpg,one\n");
  const auto report = nlohmann::json::parse(run("check ROOT/table/all.csv --json"));
  EXPECT_EQ(report["splits"].size(), 1U);
}

TEST_F(DataCommands, PackWritesShardsThatHoldTheSameAndTheSameBytesEachTime) {
  for (const std::string kind : {"jpeg_444", "png_one_bit", "webp_alpha"})
    add("folder/train/" + kind.substr(0, 3) + "/" + kind + "." + kind.substr(0, kind.find('_')),
        testing::stored_photo(kind));
  run("pack ROOT/folder ROOT/shards --per-shard 2");
  EXPECT_EQ(read_file(root_ / "shards/classes.txt"), "jpe\npng\nweb\n");
  const auto report =
      nlohmann::json::parse(run("check ROOT/shards --option class_names=ROOT/shards/classes.txt --json", 1));
  EXPECT_EQ(report["splits"]["train"]["samples"], 3);
  EXPECT_EQ(report["splits"]["train"]["labels"], nlohmann::json({{"jpe", 1}, {"png", 1}, {"web", 1}}));
  const std::string shard = read_file(root_ / "shards/train-000000.tar");
  EXPECT_THAT(shard, HasSubstr(testing::stored_photo("jpeg_444"))) << "the file as it is";
  run("pack ROOT/folder ROOT/shards --per-shard 2");
  EXPECT_EQ(read_file(root_ / "shards/train-000000.tar"), shard);
}

TEST_F(DataCommands, PackStopsAtWhatCannotBeReadUnlessItIsSkipped) {
  add("folder/train/a/x.jpg", testing::stored_photo("jpeg_444"));
  add("folder/train/a/y.jpg", testing::stored_photo("jpeg_420").substr(0, 800));
  EXPECT_THAT(run("pack ROOT/folder ROOT/shards", 1), HasSubstr("--on-error skip packs the rest"));
  EXPECT_FALSE(std::filesystem::exists(root_ / "shards/train-000000.tar"));
  run("pack ROOT/folder ROOT/shards --on-error skip", 1);
  EXPECT_TRUE(std::filesystem::exists(root_ / "shards/train-000000.tar"));
}

TEST_F(DataCommands, PreviewDrawsAContactSheet) {
  run("preview shapes --split test --count 5 --output ROOT/sheet.png");
  const std::string png = read_file(root_ / "sheet.png");
  const Image sheet = decoded(encoded_image({png.begin(), png.end()}, "sheet.png"));
  EXPECT_GT(sheet.width, 3 * 2 * 232);
  EXPECT_GT(sheet.height, 2 * 232);
}

TEST_F(DataCommands, PreviewDrawsEachSplitThatIsAskedFor) {
  const auto sheet_of = [&](const std::string& splits) {
    run("preview shapes --count 3 --output ROOT/sheet.png" + splits);
    const std::string png = read_file(root_ / "sheet.png");
    return decoded(encoded_image({png.begin(), png.end()}, "sheet.png"));
  };
  const Image one = sheet_of(" --split test");
  const Image two = sheet_of(" --split train --split test");
  EXPECT_EQ(two.width, one.width);
  EXPECT_GT(two.height, 2 * one.height);
  const auto lowest = static_cast<std::ptrdiff_t>(one.rgb.size()) - one.width * 3 * 200;
  EXPECT_TRUE(std::equal(one.rgb.begin() + lowest, one.rgb.end(), two.rgb.end() - one.width * 3 * 200));
}

TEST_F(DataCommands, PreviewDrawsWhatTheModelOfARowSees) {
  add("masked.toml", R"(
[experiment]
name = "masked"
[budget]
examples = 64
[data]
train = { dataset = "shapes", examples = 20 }
[model]
image = { backbone = "vit", image_size = 32, patch = 8, width = 32, layers = 1, heads = 2 }
text = { backbone = "text_transformer", width = 32, layers = 1, heads = 2, context_length = 16 }
embed_dim = 16
[optimizer]
batch = 8
[[row]]
name = "CLIP"
objective = "clip"
[[row]]
name = "MaskCLIP"
objective = { name = "maskclip", prototypes = 32, hidden = 16, bottleneck = 8, mask_ratio = 1 }
)");
  const auto sheet_of = [&](const std::string& row) {
    run("preview ROOT/masked.toml --count 3 --output ROOT/sheet.png" + row);
    const std::string png = read_file(root_ / "sheet.png");
    return decoded(encoded_image({png.begin(), png.end()}, "sheet.png"));
  };
  const auto hidden = [](const Image& sheet) {
    int64_t count = 0;
    for (std::size_t i = 0; i < sheet.rgb.size(); i += 3)
      count += sheet.rgb[i] == 128 && sheet.rgb[i + 1] == 128 && sheet.rgb[i + 2] == 128 ? 1 : 0;
    return count;
  };
  const Image plain = sheet_of("");
  EXPECT_GT(plain.width, 3 * 232);
  EXPECT_GT(plain.height, 3 * 232);
  EXPECT_LT(hidden(plain), 1000);
  EXPECT_GT(hidden(sheet_of(" --row MaskCLIP")), 3 * 200 * 200) << "all patches of each view";
  EXPECT_THAT(run("preview ROOT/masked.toml --row Mask --output ROOT/x.png", 2), HasSubstr("there is no row \"Mask\""));
  EXPECT_THAT(run("preview shapes --row CLIP --output ROOT/x.png", 2), HasSubstr("--row goes with an experiment file"));
}

TEST_F(DataCommands, NamesWhatItDoesNotKnow) {
  add("folder/notes.txt", "nothing");
  EXPECT_THAT(run("check ROOT/folder", 2), HasSubstr("looks like no data that silc knows"));
  EXPECT_THAT(run("check shapse", 2), HasSubstr("did you mean \"shapes\"?"));
  EXPECT_THAT(run("check shapes --option exmples=3", 2), HasSubstr("has no option \"exmples\""));
}

}  // namespace
}  // namespace silc
