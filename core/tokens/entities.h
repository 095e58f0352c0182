// Character references of HTML, as Python and ftfy read them.
#pragma once

#include <string>
#include <string_view>

namespace silc {

// html.unescape(): all of HTML 5's, with a semicolon or without where HTML allows that.
std::u32string unescape_html(std::u32string_view text);

// ftfy.fixes.unescape_html(): those with a semicolon, and some in capitals, as "&EACUTE;".
std::u32string unescape_sure_html(std::u32string_view text);

// What the bytes 80 to FF mean in an encoding; 0: nothing. The sloppy ones of ftfy have no gaps.
std::u32string_view charmap(std::string_view encoding);

}  // namespace silc
