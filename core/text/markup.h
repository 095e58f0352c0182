// Text inside HTML, SVG and XML. No LibTorch.
#pragma once

#include <string>
#include <string_view>

namespace silc {

// As the text of an element or of an attribute in quotes: nothing in it is read as markup. Bytes that are not UTF-8,
// and control characters other than tab and newline, become U+FFFD.
std::string escape_markup(std::string_view text);

}  // namespace silc
