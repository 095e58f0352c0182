#include "registry/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class SettingsOfCells : public testing::Test {
 protected:
  // A run folder below the experiment's, as RunFolder::sibling() expects.
  std::filesystem::path write(const std::string& row, const std::string& toml) {
    const std::filesystem::path folder = folder_ / row / "seed-0-1";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "cell.toml") << "[cell]\nrow = \"" << row << "\"\nseed = 0\n" << toml;
    return folder;
  }

  TemporaryFolder folder_;
};

TEST_F(SettingsOfCells, AreNamedByTheirKeysWithoutWhatNamesTheCell) {
  const auto settings = settings_of_cell(write("clip", R"([optimizer]
lr = 0.2
batch = 32
[objective]
name = "clip"
area = [0.9, 1.0]
[[evaluate]]
name = "seen"
dataset = { dataset = "scenes", examples = 100 }
)"));
  const std::map<std::string, std::string> expected = {{"evaluate.seen.dataset.dataset", "\"scenes\""},
                                                       {"evaluate.seen.dataset.examples", "100"},
                                                       {"evaluate.seen.name", "\"seen\""},
                                                       {"objective.area", "[0.9, 1]"},
                                                       {"objective.name", "\"clip\""},
                                                       {"optimizer.batch", "32"},
                                                       {"optimizer.lr", "0.2"}};
  EXPECT_EQ(settings, expected);
}

TEST_F(SettingsOfCells, IncludeThoseOfEarlierPhases) {
  write("dino", "[optimizer]\nlr = 1\n");
  write("middle", "[optimizer]\nlr = 2\n[start]\nfolder = \"dino/seed-0-1\"\n");
  const auto settings = settings_of_cell(write("lit", "[optimizer]\nlr = 3\n[start]\nfolder = \"middle/seed-0-1\"\n"));
  EXPECT_EQ(settings.at("optimizer.lr"), "3");
  EXPECT_EQ(settings.at("phase 2: optimizer.lr"), "2");
  EXPECT_EQ(settings.at("phase 1: optimizer.lr"), "1");
}

TEST_F(SettingsOfCells, AreMissedByName) {
  EXPECT_THAT([&] { settings_of_cell(folder_ / "none"); }, ThrowsMessage<Error>(HasSubstr("cell.toml is missing")));
  EXPECT_THAT([&] { settings_of_cell(write("bad", "lr = =")); }, ThrowsMessage<Error>(HasSubstr("cell.toml:4:")));
}

TEST(SettingDifferences, AreThoseThatAreNotTheSameInAll) {
  const auto found = differences({{{"a", "1"}, {"b", "2"}, {"c", "3"}}, {{"a", "1"}, {"b", "4"}}});
  ASSERT_EQ(found.size(), 2);
  EXPECT_EQ(found[0].setting, "b");
  EXPECT_THAT(found[0].values, ElementsAre("2", "4"));
  EXPECT_THAT(found[1].values, ElementsAre("3", ""));
}

TEST(SettingDifferences, OfDataAndBatchAreConditionsOfAComparison) {
  EXPECT_TRUE(is_condition({"optimizer.batch", {"32", "64"}}));
  EXPECT_TRUE(is_condition({"data.train.split", {"a", "b"}}));
  EXPECT_TRUE(is_condition({"evaluate.seen.split", {"a", "b"}}));
  EXPECT_FALSE(is_condition({"evaluate.seen.split", {"a", ""}})) << "one is not evaluated so";
  EXPECT_FALSE(is_condition({"optimizer.lr", {"0.1", "0.2"}}));
}

}  // namespace
}  // namespace silc
