#include "text/names.h"

#include <gtest/gtest.h>

#include <vector>

namespace silc {
namespace {

const std::vector<std::string> kNames = {"a", "b", "c"};

TEST(QuotedList, NamesTheLastWithAConjunction) {
  EXPECT_EQ(quoted_list(kNames), "\"a\", \"b\" and \"c\"");
  EXPECT_EQ(quoted_list(kNames, "or"), "\"a\", \"b\" or \"c\"");
}

TEST(QuotedList, HasCommasAloneWithoutOne) { EXPECT_EQ(quoted_list(kNames, ""), "\"a\", \"b\", \"c\""); }

TEST(QuotedList, OfOneNameIsThatName) { EXPECT_EQ(quoted_list(std::vector<std::string>{"a"}), "\"a\""); }

TEST(Count, HasOneThingOrSeveral) {
  EXPECT_EQ(count(1, "cell"), "1 cell");
  EXPECT_EQ(count(0, "cell"), "0 cells");
  EXPECT_EQ(count(12, "cell"), "12 cells");
}

}  // namespace
}  // namespace silc
