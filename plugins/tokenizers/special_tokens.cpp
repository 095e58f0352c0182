#include "plugins/tokenizers/special_tokens.h"

#include <algorithm>
#include <stdexcept>

namespace silc::tokenizers {

std::vector<int64_t> make_row(std::span<const int64_t> text, const SpecialTokens& special, int64_t length) {
  if (length < 2) throw std::invalid_argument("a row of tokens needs room for the start and the end token");
  const std::size_t first = special.start ? 1 : 0;
  const std::size_t kept = std::min(text.size(), static_cast<std::size_t>(length) - 1 - first);
  std::vector<int64_t> row(static_cast<std::size_t>(length), special.padding);
  if (special.start) row[0] = *special.start;
  std::copy_n(text.begin(), kept, row.begin() + static_cast<std::ptrdiff_t>(first));
  row[first + kept] = special.end;
  return row;
}

std::vector<int64_t> make_row(std::span<const int64_t> text, int64_t end_id, int64_t length) {
  return make_row(text, {.start = kStart, .end = end_id, .padding = kPadding}, length);
}

}  // namespace silc::tokenizers
