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

TEST(Attempts, HaveFailedUnlessSomebodyAskedThemToStop) {
  EXPECT_EQ(failure_of_attempt({{"signal", 9}}), "killed by signal 9 (SIGKILL): out of memory?");
  EXPECT_EQ(failure_of_attempt({{"signal", 11}}), "killed by signal 11 (SIGSEGV)");
  EXPECT_EQ(failure_of_attempt({{"signal", 11}, {"plugin", "objective \"silc\""}}),
            "killed by signal 11 (SIGSEGV) in objective \"silc\"");
  EXPECT_EQ(failure_of_attempt({{"signal", 11}, {"plugin", "objective \"silc\""}, {"stack_overflow", true}}),
            "killed by signal 11 (SIGSEGV) in objective \"silc\": its stack overflowed; endless recursion?");
  EXPECT_EQ(failure_of_attempt({{"exit_code", 0}, {"plugin", "objective \"silc\""}}),
            "the engine ended without finishing the cell in objective \"silc\", which must not end the process (exit)");
  EXPECT_EQ(failure_of_attempt({{"signal", 15}, {"stopped", "stopped by silc: it hung"}}), "stopped by silc: it hung");
  EXPECT_EQ(failure_of_attempt({{"exit_code", 2}}), "the engine exited with code 2");
  EXPECT_EQ(failure_of_attempt({{"exit_code", 0}}), "the engine ended without finishing the cell");
  EXPECT_EQ(failure_of_attempt({{"signal", 9}, {"interrupted", true}}), "");
  EXPECT_EQ(failure_of_attempt({{"signal", 15}}), "");
  EXPECT_EQ(failure_of_attempt({{"exit_code", 130}}), "");
}

TEST(Attempts, EndSilentlyIfNoLastWordIsOfTheirTime) {
  const Event attempt = {{"start", 10}, {"end", 20}, {"exit_code", 1}};
  EXPECT_TRUE(ended_silently(attempt, "", 0)) << "before it wrote anything";
  EXPECT_TRUE(ended_silently(attempt, "step", 15));
  EXPECT_TRUE(ended_silently(attempt, "failed", 5)) << "the word of an earlier attempt";
  EXPECT_FALSE(ended_silently(attempt, "failed", 15));
  EXPECT_FALSE(ended_silently(attempt, "step", 25)) << "a later attempt, whose end nobody recorded";
  EXPECT_FALSE(ended_silently({{"start", 10}, {"end", 20}, {"exit_code", 0}}, "finished", 5)) << "nothing left to do";
}

}  // namespace
}  // namespace silc
