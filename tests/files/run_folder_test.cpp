#include "files/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

class Events : public testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(file_, std::ios::app) << text; }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_ / "events.jsonl";
  uint64_t offset_ = 0;
};

TEST_F(Events, AreNoneWithoutAFile) {
  EXPECT_TRUE(read_events(file_, offset_).empty());
  EXPECT_EQ(offset_, 0);
}

TEST_F(Events, PassOverACutLine) {
  write("{\"event\":\"started\"}\n{\"event\":\"st");
  const auto events = read_events(file_, offset_);
  ASSERT_EQ(events.size(), 1);
  EXPECT_EQ(events[0]["event"], "started");
  EXPECT_EQ(offset_, 20);
}

TEST_F(Events, AreReadOnceByThoseWhoFollow) {
  write("{\"step\":1}\n{\"st");
  EXPECT_EQ(read_events(file_, offset_).size(), 1);
  EXPECT_TRUE(read_events(file_, offset_).empty());
  write("ep\":2}\n{\"step\":3}\n");
  const auto events = read_events(file_, offset_);
  ASSERT_EQ(events.size(), 2);
  EXPECT_EQ(events[0]["step"], 2);
  EXPECT_EQ(events[1]["step"], 3);
}

TEST_F(Events, NameTheFileAndThePlaceOfAWholeLineThatIsDamaged) {
  write("{\"step\":1}\n\"not an object\"\n");
  EXPECT_THAT([&] { read_events(file_, offset_); },
              testing::ThrowsMessage<Error>(
                  testing::AllOf(testing::HasSubstr(file_.string()), testing::HasSubstr("byte 11 "))));
}

}  // namespace
}  // namespace silc
