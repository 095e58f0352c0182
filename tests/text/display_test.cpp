#include "text/display.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silc {
namespace {

TEST(Display, CountsColumnsNotBytes) {
  EXPECT_EQ(display_width("abc"), 3);
  EXPECT_EQ(display_width("57.3 ± 1.2 ▲"), 12);
  EXPECT_EQ(display_width("対照"), 4);
  EXPECT_EQ(display_width("e\u0301"), 1);
  EXPECT_EQ(display_width(""), 0);
}

TEST(Display, CutsAtAWholeCharacterAndSaysSo) {
  EXPECT_EQ(cut("ablation", 8), "ablation");
  EXPECT_EQ(cut("ablation", 5), "abla…");
  EXPECT_EQ(cut("対照群", 4), "対…") << "a character of two columns does not fit into one";
  EXPECT_EQ(cut("ablation", 0), "");
}

TEST(Display, WrapsAtSpacesAndKeepsNewlines) {
  EXPECT_THAT(wrap("one two three\nfour", 9), testing::ElementsAre("one two", "three", "four"));
  EXPECT_THAT(wrap("a_word_that_is_too_long to fit", 6), testing::ElementsAre("a_word_that_is_too_long", "to fit"));
}

TEST(Display, IndentsParagraphs) { EXPECT_EQ(paragraph("one two", 6, 2), "  one\n  two\n"); }

}  // namespace
}  // namespace silc
