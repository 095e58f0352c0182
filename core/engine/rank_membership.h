// An engine's part in a cell that several train: joining, what must agree, and leaving.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/event_log.h"
#include "engine/process_ranks.h"
#include "plugin/catalogue.h"
#include "spec/cell.h"

namespace silc {

class RankMembership {
 public:
  // Empty: the process trains alone, and all that follows does nothing.
  explicit RankMembership(std::optional<RankEnvironment> environment) : environment_(std::move(environment)) {}
  ~RankMembership();
  RankMembership(const RankMembership&) = delete;
  RankMembership& operator=(const RankMembership&) = delete;

  [[nodiscard]] int64_t rank() const { return environment_ ? environment_->rank : 0; }

  // Meets the others; from then on ranks() (nn/ranks.h) are they. Throws silc::Error where one does not come, and where
  // they differ in silc, LibTorch, the cell, or a plugin that it uses. While they are watched, a rank that is lost ends
  // this process with a `failed` event.
  void join(const ResolvedCell& cell, const Catalogue& catalogue, const at::Device& device, EventLog& events);

  // After training: ranks may go from now on, each when it likes.
  void leave();

  // Ends this process if it is one of several, without waiting for what connections and threads are in the middle of.
  // `word`: why, for the others; empty: they know.
  void end_process(const std::string& word, int exit_code);

 private:
  std::optional<RankEnvironment> environment_;
  std::shared_ptr<ProcessRanks> ranks_;
};

}  // namespace silc
