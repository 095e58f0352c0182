#include "plugins/tokenizers/special_tokens.h"

#include <algorithm>
#include <stdexcept>

namespace silc::tokenizers {

std::vector<int64_t> make_row(std::span<const int64_t> text, int64_t end_id, int64_t length) {
  if (length < 2) throw std::invalid_argument("a row of tokens needs room for the start and the end token");
  const std::size_t kept = std::min(text.size(), static_cast<std::size_t>(length) - 2);
  std::vector<int64_t> row(static_cast<std::size_t>(length), kPadding);
  row[0] = kStart;
  std::copy_n(text.begin(), kept, row.begin() + 1);
  row[kept + 1] = end_id;
  return row;
}

}  // namespace silc::tokenizers
