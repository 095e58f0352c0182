#include "text/markup.h"

#include <gtest/gtest.h>

namespace silc {
namespace {

TEST(Markup, LeavesNothingThatIsReadAsATag) {
  EXPECT_EQ(escape_markup("</script><img src=x onerror='a(\"b\")'> & co"),
            "&lt;/script&gt;&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt; &amp; co");
}

TEST(Markup, KeepsLettersOfAllScripts) { EXPECT_EQ(escape_markup("± 対照 😀\tand\nmore"), "± 対照 😀\tand\nmore"); }

TEST(Markup, ReplacesBytesThatAreNotUtf8AndControlCharacters) {
  const std::string mark = "\xEF\xBF\xBD";
  EXPECT_EQ(escape_markup("a\xFF"
                          "b"),
            "a" + mark + "b");
  EXPECT_EQ(escape_markup("\xC0\xAF"), mark + mark) << "an overlong slash";
  EXPECT_EQ(escape_markup("\xED\xA0\x80"), mark + mark + mark) << "a surrogate";
  EXPECT_EQ(escape_markup("\xE2\x82"), mark + mark) << "cut off";
  EXPECT_EQ(escape_markup(std::string_view("a\0b\x1b[1m", 7)), "a" + mark + "b" + mark + "[1m");
}

}  // namespace
}  // namespace silc
