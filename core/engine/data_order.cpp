#include "engine/data_order.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "engine/random_streams.h"
#include "silc/error.h"
#include "silc/random.h"

namespace silc {

DataOrder::DataOrder(int64_t size, uint64_t seed, std::vector<int64_t> shard_starts)
    : size_(static_cast<uint64_t>(size)), seed_(seed) {
  if (shard_starts.empty()) return;
  if (shard_starts.front() != 0 || !std::is_sorted(shard_starts.begin(), shard_starts.end()) ||
      shard_starts.back() > size)
    throw Error("the dataset's shard_starts() are no ascending numbers of samples that begin with 0");
  if (size > kWindow) shard_starts_ = std::move(shard_starts);
}

int64_t DataOrder::sample_at(int64_t position) const {
  const auto place = static_cast<uint64_t>(position);
  const auto epoch = static_cast<uint32_t>(place / size_);
  if (!shard_starts_.empty()) return sample_in_shards(static_cast<int64_t>(place % size_), epoch);
  return static_cast<int64_t>(permuted(place % size_, size_, kSampleOrderStream, epoch));
}

int64_t DataOrder::caption_at(int64_t position, int64_t count, int64_t number) const {
  return Random(seed_, kCaptionStream, static_cast<uint64_t>(position), static_cast<uint32_t>(number))
      .below(static_cast<uint32_t>(count));
}

// Feistel network over two halves of the bits (Luby and Rackoff 1988; six rounds, since the halves may be a few bits),
// and cycle walking (Black and Rogaway 2002): a permutation of the next power of four, followed until it comes back
// into [0, size), is a permutation of [0, size). Fewer than four rounds of it on average.
uint64_t DataOrder::permuted(uint64_t value, uint64_t size, uint32_t stream, uint32_t epoch, uint64_t index) const {
  const int bits = std::bit_width(size - 1);
  const int half_bits = bits < 2 ? 1 : (bits + 1) / 2;
  const uint64_t mask = (uint64_t{1} << half_bits) - 1;
  do {
    uint64_t left = value >> half_bits;
    uint64_t right = value & mask;
    for (uint64_t round = 0; round < 6; ++round) {
      Random random(seed_, stream, index << 35 | round << 32 | right, epoch);
      const uint64_t mixed = (left ^ random.bits()) & mask;
      left = right;
      right = mixed;
    }
    value = left << half_bits | right;
  } while (value >= size);
  return value;
}

std::shared_ptr<const DataOrder::Route> DataOrder::route(uint32_t epoch) const {
  const std::lock_guard lock(routes_->mutex);
  std::shared_ptr<const Route>& known = routes_->of_epoch[epoch];
  if (known) return known;
  auto route = std::make_shared<Route>();
  const std::size_t shards = shard_starts_.size();
  int64_t end = 0;
  for (std::size_t i = 0; i < shards; ++i) {
    const std::size_t shard = permuted(i, shards, kShardOrderStream, epoch);
    const int64_t next = shard + 1 < shards ? shard_starts_[shard + 1] : static_cast<int64_t>(size_);
    route->starts.push_back(shard_starts_[shard]);
    route->ends.push_back(end += next - shard_starts_[shard]);
  }
  route->first_window = 1 + Random(seed_, kWindowStream, 0, epoch).below(kWindow);
  known = route;
  // Batches are made ahead, so two epochs may be in use, and no more.
  while (routes_->of_epoch.size() > 4) {
    const auto oldest = routes_->of_epoch.begin();
    routes_->of_epoch.erase(oldest->first == epoch ? std::next(oldest) : oldest);
  }
  return route;
}

int64_t DataOrder::sample_in_shards(int64_t place, uint32_t epoch) const {
  const std::shared_ptr<const Route> route = this->route(epoch);
  const auto size = static_cast<int64_t>(size_);
  const int64_t window = place < route->first_window ? 0 : 1 + (place - route->first_window) / kWindow;
  const int64_t begin = window == 0 ? 0 : route->first_window + (window - 1) * kWindow;
  const int64_t end = std::min(size, window == 0 ? route->first_window : begin + kWindow);
  const int64_t at =
      begin + static_cast<int64_t>(permuted(static_cast<uint64_t>(place - begin), static_cast<uint64_t>(end - begin),
                                            kWindowStream, epoch, static_cast<uint64_t>(window) + 1));
  const auto shard =
      static_cast<std::size_t>(std::upper_bound(route->ends.begin(), route->ends.end(), at) - route->ends.begin());
  return route->starts[shard] + at - (shard == 0 ? 0 : route->ends[shard - 1]);
}

}  // namespace silc
