#include "files/content_hash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "silc/error.h"
#include "temporary_folder.h"

namespace silc {
namespace {

using testing::HasSubstr;

class ContentHash : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& content) {
    std::ofstream(folder_.path() / name, std::ios::binary) << content;
    return folder_.path() / name;
  }

  TemporaryFolder folder_;
};

std::string refusal(const std::filesystem::path& file) {
  try {
    content_hash(file);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(ContentHash, OfNothingIsThatOfXxhsum) {
  // xxhsum -H2 /dev/null
  EXPECT_EQ(content_hash(write("empty", "")), "99aa06d3014798d86001c324468d497f");
}

TEST_F(ContentHash, DependsOnTheContentAlone) {
  const std::string large(3 << 20, 'x');
  EXPECT_EQ(content_hash(write("a", large)), content_hash(write("b", large)));
  EXPECT_NE(content_hash(write("a", large)), content_hash(write("b", large + "x")));
}

TEST_F(ContentHash, OfAMissingFileSaysWhichAndWhy) {
  EXPECT_THAT(refusal(folder_.path() / "none.pt"), HasSubstr("none.pt: No such file or directory"));
}

TEST_F(ContentHash, OfAFolderSaysSo) { EXPECT_THAT(refusal(folder_.path()), HasSubstr("Is a directory")); }

}  // namespace
}  // namespace silc
