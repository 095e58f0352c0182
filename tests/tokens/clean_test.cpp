#include "tokens/clean.h"

#include <gtest/gtest.h>

#include "tokens/unicode.h"

namespace silc {
namespace {

std::string cleaned(std::string_view text, Cleaning cleaning = Cleaning::whitespace) {
  return to_utf8(clean(text, cleaning));
}

// The examples are those of ftfy's documentation.
TEST(Clean, RepairsUtf8ThatWasDecodedAsSomethingElse) {
  EXPECT_EQ(cleaned("schÃ¶n"), "schön");
  EXPECT_EQ(cleaned("âœ” No problems"), "✔ No problems");
  EXPECT_EQ(cleaned("The Mona Lisa doesnÃƒÂ¢Ã¢â€šÂ¬Ã¢â€žÂ¢t have eyebrows."), "The Mona Lisa doesn't have eyebrows.");
  EXPECT_EQ(cleaned("voilÃ le travail"), "voilà le travail");
  EXPECT_EQ(cleaned("l’humanitÃ©"), "l'humanité");
}

TEST(Clean, LeavesTextAloneThatIsMeant) {
  EXPECT_EQ(cleaned("IL Y MARQUÉ…"), "IL Y MARQUÉ…");
  EXPECT_EQ(cleaned("(ಠ_ಠ) ¯\\_(ツ)_/¯"), "(ಠ_ಠ) ¯\\_(ツ)_/¯");
}

TEST(Clean, StraightensQuotesLigaturesAndWidths) {
  EXPECT_EQ(cleaned("“ﬂuﬃeﬆ” ‘ＬＯＵＤ’　ｶﾞ"), "\"fluffiest\" 'LOUD' ガ");
}

TEST(Clean, ReadsEntitiesThatAreEscapedMoreThanOnce) {
  EXPECT_EQ(cleaned("P&EACUTE;REZ &amp;amp;amp; &lt;b&gt;&#x2019;&#128;"), "PÉREZ & <b>'€");
  EXPECT_EQ(cleaned("AT&T &unknown; &#xZZ; &#xD800;"), "AT&T &unknown; &#xZZ; \uFFFD");
}

TEST(Clean, TakesHtmlForWhatItIsAndReadsItsEntitiesLater) { EXPECT_EQ(cleaned("<em>&amp;lt;"), "<em><"); }

TEST(Clean, RemovesControlsAndTerminalEscapes) {
  EXPECT_EQ(cleaned("\x1b[36;44mI'm blue\x1b[0m\x01\uFEFF, da\r\nba\u2028dee"), "I'm blue, da ba dee");
}

TEST(Clean, TurnsWhatIsNoUtf8IntoTheReplacementCharacter) {
  EXPECT_EQ(cleaned("a\xff\xfe b\xe6\x97", Cleaning::none), "a\uFFFD\uFFFD b\uFFFD");
}

TEST(Clean, LowersAsPythonDoes) {
  EXPECT_EQ(cleaned("ΟΔΥΣΣΕΥΣ İSTANBUL", Cleaning::lower), "οδυσσευς i\u0307stanbul");
  EXPECT_EQ(cleaned("ΟΔΥΣ A", Cleaning::lower_case), "οδυσ a");
  EXPECT_EQ(cleaned("ÄA", Cleaning::lower_ascii), "Äa");
}

TEST(Clean, CanonicalizesAsOpenClip) {
  EXPECT_EQ(cleaned("A file_name:  it's (Fine)!", Cleaning::canonicalize), "a file name its fine");
  EXPECT_EQ(cleaned("A file_name:  it's (Fine)!", Cleaning::without_punctuation), "a filename its fine");
}

}  // namespace
}  // namespace silc
