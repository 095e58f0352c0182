// A text as a short one. No LibTorch.
#pragma once

#include <string>
#include <string_view>

namespace silc {

// 12 hex digits of XXH3, other ones for another text.
std::string short_hash(std::string_view text);

}  // namespace silc
