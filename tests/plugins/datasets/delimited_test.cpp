#include "plugins/datasets/delimited.h"

#include <gtest/gtest.h>

#include <random>

#include "made_files.h"

namespace silc::datasets {
namespace {

using Fields = std::vector<std::string>;

std::vector<Fields> fields(std::string_view text, char separator = ',') {
  std::vector<Fields> all;
  for (const DelimitedRow& row : read_delimited(text, separator, "t.csv")) all.push_back(row.fields);
  return all;
}

TEST(ReadDelimited, SplitsLinesOfEveryEnding) {
  const std::vector<Fields> expected = {{"a", "b"}, {"c", "d"}};
  EXPECT_EQ(fields("a,b\nc,d\n"), expected);
  EXPECT_EQ(fields("a,b\r\nc,d"), expected);
  EXPECT_EQ(fields("\xEF\xBB\xBF"
                   "a,b\rc,d\r"),
            expected);
  EXPECT_EQ(fields("a\tb\n\nc\td\n", '\t'), expected);
}

TEST(ReadDelimited, KeepsSeparatorsLineBreaksAndQuotesWithinQuotes) {
  EXPECT_EQ(fields("\"a,b\",\"two\nlines\",\"say \"\"hi\"\"\"\n"),
            (std::vector<Fields>{{"a,b", "two\nlines", "say \"hi\""}}));
}

TEST(ReadDelimited, TakesAQuoteInTheMiddleOfAFieldAsItIs) {
  EXPECT_EQ(fields("a 5\" disc,b\n"), (std::vector<Fields>{{"a 5\" disc", "b"}}));
}

TEST(ReadDelimited, KeepsEmptyFields) { EXPECT_EQ(fields("a,,\n,\n"), (std::vector<Fields>{{"a", "", ""}, {"", ""}})); }

TEST(ReadDelimited, CountsLinesWithinQuotes) {
  const auto rows = read_delimited("a\n\"b\n\nc\"\nd\n", ',', "t.csv");
  EXPECT_EQ(rows.at(1).line, 2);
  EXPECT_EQ(rows.at(2).line, 5);
}

TEST(ReadDelimited, RefusesQuotesThatDoNotEnd) {
  EXPECT_EQ(testing::refusal([] { fields("a\n\"b,c\nd\n"); }), "t.csv:2: the quote that begins here does not end");
  EXPECT_EQ(testing::refusal([] { fields("\"a\"b,c\n"); }),
            "t.csv:1: text follows the closing quote of a field; a quote within one is doubled");
}

TEST(ReadDelimited, RefusesOrReadsWhateverThereIs) {
  std::mt19937 random(3);
  constexpr std::string_view kAlphabet = "a,\"\n\r\t;\xFF";
  for (int attempt = 0; attempt < 5000; ++attempt) {
    std::string text;
    for (std::size_t i = random() % 30; i > 0; --i) text += kAlphabet[random() % kAlphabet.size()];
    testing::refusal([&] { fields(text); });
  }
}

}  // namespace
}  // namespace silc::datasets
