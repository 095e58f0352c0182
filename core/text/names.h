// Names in messages. No LibTorch.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace silc {

// "a", "b" and "c"; without a conjunction "a", "b", "c".
std::string quoted_list(std::span<const std::string> names, std::string_view conjunction = "and");

}  // namespace silc
