// The layout of a row of tokens: start token, text, end token, padding.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace silc::tokenizers {

// Those of the tokenizers that number them themselves.
inline constexpr int64_t kPadding = 0;
inline constexpr int64_t kStart = 1;

struct SpecialTokens {
  std::optional<int64_t> start;  // none: rows begin with the text
  int64_t end = 0;
  int64_t padding = 0;
};

// Exactly `length` ids, length ≥ 2; what of `text` does not fit is cut off.
std::vector<int64_t> make_row(std::span<const int64_t> text, const SpecialTokens& special, int64_t length);
std::vector<int64_t> make_row(std::span<const int64_t> text, int64_t end_id, int64_t length);

}  // namespace silc::tokenizers
