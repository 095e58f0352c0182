#include "plugins/datasets/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "silc/error.h"
#include "tests/plugins/datasets/idx_folder.h"

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::idx_bytes;
using testing::write_gzip;

class Idx : public ::testing::Test {
 protected:
  // The message of the error that reading `file` with two dimensions gives; empty if it gives none.
  std::string fault() const {
    try {
      datasets::read_idx(file, 2, "Do this.");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  auto tells(const char* what) const { return AllOf(HasSubstr(file.string()), HasSubstr(what), HasSubstr("Do this.")); }

  testing::TemporaryFolder folder;
  std::filesystem::path file = folder.path() / "some-idx.gz";
  std::string good = idx_bytes(0x802, {2, 3}, {1, 2, 3, 4, 5, 6});
};

TEST_F(Idx, GivesShapeAndValues) {
  write_gzip(file, good);
  const datasets::IdxArray array = datasets::read_idx(file, 2, "");
  EXPECT_THAT(array.shape, ElementsAre(2, 3));
  EXPECT_THAT(array.values, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(Idx, RefusesAMissingFile) { EXPECT_THAT(fault(), tells("cannot be read")); }

TEST_F(Idx, IsReadUnpackedAsWell) {
  testing::write_all(file, good);
  EXPECT_EQ(fault(), "");
}

TEST_F(Idx, RefusesAFileOfAnotherKind) {
  testing::write_all(file, "PK" + good);
  EXPECT_THAT(fault(), tells("is no IDX file, packed with gzip or not"));
}

TEST_F(Idx, RefusesAnotherNumberOfDimensions) {
  write_gzip(file, idx_bytes(0x801, {6}, {1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(fault(), tells("0x00000801"));
}

TEST_F(Idx, RefusesAFileCutAtAnyByte) {
  write_gzip(file, good);
  const std::string whole = testing::read_all(file);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    testing::write_all(file, whole.substr(0, size));
    EXPECT_NE(fault(), "") << "cut to " << size << " of " << whole.size() << " bytes";
  }
}

TEST_F(Idx, RefusesFewerValuesThanTheHeaderPromises) {
  write_gzip(file, idx_bytes(0x802, {2, 4}, {1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(fault(), tells("cut short"));
}

TEST_F(Idx, RefusesMoreValuesThanTheHeaderPromises) {
  write_gzip(file, idx_bytes(0x802, {2, 2}, {1, 2, 3, 4, 5, 6}));
  EXPECT_THAT(fault(), tells("at its end"));
}

TEST_F(Idx, RefusesSizesThatTheFileCannotFillWithoutAskingForTheMemory) {
  write_gzip(file, idx_bytes(0x802, {30000, 60000}, {1}));
  EXPECT_THAT(fault(), tells("cut short"));
  write_gzip(file, idx_bytes(0x802, {0xffffffff, 0xffffffff}, {1}));
  EXPECT_THAT(fault(), tells("impossible size"));
}

TEST_F(Idx, RefusesAFlippedBit) {
  write_gzip(file, good);
  std::string bytes = testing::read_all(file);
  bytes[bytes.size() - 6] ^= 1;  // in the checksum
  testing::write_all(file, bytes);
  EXPECT_THAT(fault(), tells("damaged"));
}

}  // namespace
}  // namespace silc
