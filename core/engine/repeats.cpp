#include "engine/repeats.h"

#include <string_view>
#include <unordered_set>

namespace silc {

Repeats repeats_in(const Batch& batch) {
  const std::unordered_set<int64_t> pictures(batch.samples.begin(), batch.samples.end());
  const auto share = [](std::size_t all, std::size_t distinct) {
    return all == 0 ? 0 : static_cast<double>(all - distinct) / static_cast<double>(all);
  };
  Repeats repeats{.pictures = share(batch.samples.size(), pictures.size())};
  if (!batch.tokens.defined()) return repeats;

  const auto rows = static_cast<std::size_t>(batch.tokens.size(0));  // C·B, caption by caption
  const auto size = static_cast<std::size_t>(batch.size);
  const std::size_t bytes = static_cast<std::size_t>(batch.tokens.size(1)) * sizeof(int64_t);
  const auto* tokens = reinterpret_cast<const char*>(batch.tokens.const_data_ptr<int64_t>());
  std::size_t distinct = 0;
  for (std::size_t first = 0; first < rows; first += size) {
    std::unordered_set<std::string_view> captions;
    for (std::size_t b = 0; b < size; ++b) captions.emplace(tokens + (first + b) * bytes, bytes);
    distinct += captions.size();
  }
  repeats.captions = share(rows, distinct);
  return repeats;
}

}  // namespace silc
