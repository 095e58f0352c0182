#include "engine/repeats.h"

#include <functional>
#include <string_view>
#include <unordered_set>

namespace silc {

BatchKeys keys_of(const Batch& batch) {
  BatchKeys keys{.pictures = batch.samples, .captions = {}};
  if (!batch.tokens.defined()) return keys;
  const auto rows = batch.tokens.size(0);  // C·B, caption by caption
  const auto bytes = static_cast<std::size_t>(batch.tokens.size(1)) * sizeof(int64_t);
  const auto* tokens = reinterpret_cast<const char*>(batch.tokens.const_data_ptr<int64_t>());
  for (int64_t row = 0; row < rows; ++row) {
    if (row % batch.size == 0) keys.captions.emplace_back();
    keys.captions.back().push_back(
        std::hash<std::string_view>()({tokens + static_cast<std::size_t>(row) * bytes, bytes}));
  }
  return keys;
}

Repeats repeats_in(const BatchKeys& batch) {
  std::size_t captions = 0, distinct = 0;
  for (const auto& each : batch.captions) {
    captions += each.size();
    distinct += std::unordered_set<uint64_t>(each.begin(), each.end()).size();
  }
  const auto share = [](std::size_t all, std::size_t different) {
    return all == 0 ? 0 : static_cast<double>(all - different) / static_cast<double>(all);
  };
  const std::unordered_set<int64_t> pictures(batch.pictures.begin(), batch.pictures.end());
  return {.pictures = share(batch.pictures.size(), pictures.size()), .captions = share(captions, distinct)};
}

}  // namespace silc
