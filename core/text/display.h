// Text on a terminal: how wide it is, cut and broken to fit. UTF-8. No LibTorch.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace silc {

// Columns that `text` takes up: two for East Asian and pictographs, none for combining marks. Of one line.
std::size_t display_width(std::string_view text);
// The first `width` columns, with an ellipsis if something is lost.
std::string cut(std::string_view text, std::size_t width);
// Broken at spaces into lines of at most `width`; newlines in the text stay.
std::vector<std::string> wrap(std::string_view text, std::size_t width);
// The lines of wrap(), each behind `indent` spaces and with a newline.
std::string paragraph(std::string_view text, std::size_t width, std::size_t indent);

}  // namespace silc
