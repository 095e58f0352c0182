// Which sample stands where in training. No LibTorch.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace silc {

// An endless sequence of epochs, each a random permutation of the dataset. A pure function of (seed, position), so
// that resuming needs no replay and no shuffled list is kept.
//
// Where samples lie in shards, an epoch takes the shards in random order, and shuffles their samples within windows of
// kWindow samples, which begin elsewhere in each epoch: only a few shards are read at a time. Data of one window or
// less are shuffled as a whole.
class DataOrder {
 public:
  static constexpr int64_t kWindow = 32768;

  // size ≥ 1. `shard_starts`: Dataset::shard_starts(); throws silc::Error where these are no shards of `size` samples.
  DataOrder(int64_t size, uint64_t seed, std::vector<int64_t> shard_starts = {});

  // Index into the dataset of the sample at `position` ≥ 0, counted from the start of training. Positions k·size …
  // (k+1)·size − 1 give every index once.
  [[nodiscard]] int64_t sample_at(int64_t position) const;

  // Which of `count` ≥ 1 captions is the `number`th drawn for the sample at `position`, each from all of them.
  [[nodiscard]] int64_t caption_at(int64_t position, int64_t count, int64_t number = 0) const;

 private:
  // How an epoch goes through the shards.
  struct Route {
    std::vector<int64_t> starts;  // first samples of the shards, in the epoch's order
    std::vector<int64_t> ends;    // where each ends in the epoch
    int64_t first_window = 0;     // samples in it; kWindow in all others but the last
  };
  struct Routes {
    std::mutex mutex;  // guards what follows
    std::map<uint32_t, std::shared_ptr<const Route>> of_epoch;
  };

  // The permutation of [0, size) that (stream, epoch, index) names, at `value`.
  [[nodiscard]] uint64_t permuted(uint64_t value, uint64_t size, uint32_t stream, uint32_t epoch,
                                  uint64_t index = 0) const;
  [[nodiscard]] std::shared_ptr<const Route> route(uint32_t epoch) const;
  [[nodiscard]] int64_t sample_in_shards(int64_t place, uint32_t epoch) const;

  uint64_t size_;
  uint64_t seed_;
  std::vector<int64_t> shard_starts_;  // empty: the whole is one window
  std::shared_ptr<Routes> routes_ = std::make_shared<Routes>();
};

}  // namespace silc
