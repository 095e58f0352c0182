// Names of many files written as one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace silc::datasets {

// What a shell makes of braces: "a{0..2}b" and "x{one,two}", nested, with leading zeros kept ("{000..012}"). Braces
// that say neither are left as they are. Throws silc::Error for more than ten million names.
std::vector<std::string> expand_braces(std::string_view pattern);

// Paths that there are for a pattern with *, ? and [], in the order of their bytes; a name without these is itself,
// there or not.
std::vector<std::string> expand_glob(const std::string& pattern);

}  // namespace silc::datasets
