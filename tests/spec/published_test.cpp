#include "spec/published.h"

#include <gmock/gmock.h>

#include "tests/spec/spec_testing.h"

namespace silc {
namespace {

const std::string kPublished = R"([published]
title = "A paper"
setting = "ViT-B/16"
source = "its table 1"

[[row]]
name = "baseline"
[row.values]
"zero_shot_classification/ImageNet/acc1" = 74.1

[[row]]
name = "best"
setting = "ViT-L/14"
source = "its table 2"
[row.values]
"zero_shot_classification/ImageNet/acc1" = 80
)";

using PublishedTest = SpecTest;

TEST_F(PublishedTest, RowsHaveTheFilesSourceAndSettingUnlessTheyNameTheirOwn) {
  const Published published = read_published(write(kPublished));
  EXPECT_EQ(published.title, "A paper");
  ASSERT_EQ(published.rows.size(), 2);
  EXPECT_EQ(published.rows[0].setting, "ViT-B/16");
  EXPECT_EQ(published.rows[0].source, "its table 1");
  EXPECT_EQ(published.rows[1].setting, "ViT-L/14");
  EXPECT_EQ(published.rows[1].source, "its table 2");
  EXPECT_EQ(published.rows[0].values[0].column, "zero_shot_classification/ImageNet/acc1");
  EXPECT_EQ(published.rows[0].values[0].percent, 74.1);
  EXPECT_EQ(published.rows[1].values[0].percent, 80);
}

TEST_F(PublishedTest, EveryFaultIsToldWithItsPlace) {
  const auto file = write(R"([published]
title = "A paper"

[[row]]
name = "baseline"
[row.values]
"acc1" = 74.1
"zero_shot_classification/ImageNet/acc1" = 741
)");
  try {
    read_published(file);
    FAIL();
  } catch (const SpecError& error) {
    EXPECT_EQ(std::string(error.what()),
              file.string() + ":4:1: nothing says where the numbers of this [[row]] come from: source\n" +
                  file.string() + ":7:1: \"acc1\" must look like \"evaluator/dataset/metric\"\n" + file.string() +
                  ":8:44: \"zero_shot_classification/ImageNet/acc1\" must be a number of percent, from 0 to 100");
  }
}

TEST(PublishedFiles, CanAllBeRead) {
  std::size_t files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(SILC_SOURCE_DIR) / "experiments/published")) {
    EXPECT_FALSE(read_published(entry.path()).rows.empty()) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace silc
