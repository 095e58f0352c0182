#include "engine/data_order.h"

#include <bit>

#include "engine/random_streams.h"
#include "silc/random.h"

namespace silc {

DataOrder::DataOrder(int64_t size, uint64_t seed) : size_(static_cast<uint64_t>(size)), seed_(seed) {
  const int bits = std::bit_width(size_ - 1);
  half_bits_ = bits < 2 ? 1 : (bits + 1) / 2;
}

int64_t DataOrder::sample_at(int64_t position) const {
  const auto place = static_cast<uint64_t>(position);
  const auto epoch = static_cast<uint32_t>(place / size_);
  // Cycle walking (Black and Rogaway 2002): a permutation of the next power of four, followed until it comes back into
  // the dataset, is a permutation of the dataset. Fewer than four rounds of it on average.
  uint64_t value = place % size_;
  do {
    value = permute(value, epoch);
  } while (value >= size_);
  return static_cast<int64_t>(value);
}

int64_t DataOrder::caption_at(int64_t position, int64_t count, int64_t number) const {
  return Random(seed_, kCaptionStream, static_cast<uint64_t>(position), static_cast<uint32_t>(number))
      .below(static_cast<uint32_t>(count));
}

// Feistel network over two halves of the bits (Luby and Rackoff 1988; six rounds, since the halves may be a few bits).
uint64_t DataOrder::permute(uint64_t value, uint32_t epoch) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_;
  uint64_t right = value & mask;
  for (uint64_t round = 0; round < 6; ++round) {
    Random random(seed_, kSampleOrderStream, round << 32 | right, epoch);
    const uint64_t mixed = (left ^ random.bits()) & mask;
    left = right;
    right = mixed;
  }
  return left << half_bits_ | right;
}

}  // namespace silc
