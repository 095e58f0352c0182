// Ranks as processes, by PyTorch's c10d: Gloo on the CPU, and NCCL beside it for tensors on a GPU where silc was built
// with it. Started with the environment of torchrun.
#pragma once

#include <c10/core/Device.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/rank_lost.h"
#include "nn/ranks.h"

namespace silc {

// RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT.
struct RankEnvironment {
  int64_t rank = 0;
  int64_t size = 1;
  int64_t local_rank = 0;  // on its machine
  std::string master = "127.0.0.1";
  uint16_t port = 29500;
};

// Of this process; empty where WORLD_SIZE is not set, or 1. Throws silc::Error for values that make no sense.
std::optional<RankEnvironment> rank_environment();

struct RankTimes {
  std::chrono::seconds meeting{120};  // until all ranks have come (SILC_RENDEZVOUS_SECONDS)
  std::chrono::seconds silence{15};   // without a sign of life, after which a rank is lost
};

class ProcessRanks : public Ranks {
 public:
  // Meets the other ranks at the master's address, and waits for all of them. Throws silc::Error that names who did not
  // come, an address that cannot be reached, and ranks that were told of another number of ranks.
  static std::shared_ptr<ProcessRanks> meet(const RankEnvironment& environment, const at::Device& device,
                                            const RankTimes& times = {});

  // Called from another thread, with a message that names the rank, when one is lost: this process may be in the middle
  // of an operation that waits for it, and must end. Rank 0 watches all others, the others watch rank 0.
  virtual void watch(std::function<void(const std::string&)> lost) = 0;
  // Ranks may leave from now on.
  virtual void stop_watching() = 0;

  // Why this rank gives up, for the others to say.
  virtual void leave_word(const std::string& message) = 0;

 protected:
  ProcessRanks(int64_t rank, int64_t size) : Ranks(rank, size) {}
};

// Compares what must be the same on all ranks, by name: throws the same silc::Error on all of them, which names what
// differs, where, and the `remedy`.
void check_alike(const Ranks& ranks, const std::vector<std::pair<std::string, std::string>>& properties,
                 const std::string& remedy);

}  // namespace silc
