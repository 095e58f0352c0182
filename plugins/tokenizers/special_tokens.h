// The layout of a row of tokens that all tokenizers here share: start token, text, end token, padding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace silc::tokenizers {

inline constexpr int64_t kPadding = 0;
inline constexpr int64_t kStart = 1;

// Exactly `length` ids, length ≥ 2; what of `text` does not fit is cut off.
std::vector<int64_t> make_row(std::span<const int64_t> text, int64_t end_id, int64_t length);

}  // namespace silc::tokenizers
