// Names and numbers in messages. No LibTorch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace silc {

// "a", "b" and "c"; without a conjunction "a", "b", "c".
std::string quoted_list(std::span<const std::string> names, std::string_view conjunction = "and");

// "1 cell", "3 cells"
std::string count(int64_t number, std::string_view what);

}  // namespace silc
