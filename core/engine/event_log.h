// Writing events.jsonl.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "files/run_folder.h"

namespace silc {

// Events may be appended by several threads.
class EventLog {
 public:
  // Empty: of a process that is to write none, so that all are dropped.
  explicit EventLog(const std::optional<std::filesystem::path>& file) {
    if (file) lines_.emplace(*file);
  }

  // Adds "event" and "time" to `fields`. Events that resuming relies on are synced to disk before this returns.
  void append(const std::string& event, Event fields = Event::object()) {
    if (!lines_) return;
    fields["event"] = event;
    fields["time"] = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    const std::lock_guard lock(mutex_);
    // Plugins' texts may hold anything: broken UTF-8 is replaced rather than refused.
    lines_->append(fields.dump(-1, ' ', false, Event::error_handler_t::replace), /*sync=*/event != "step");
  }

 private:
  std::optional<LineAppender> lines_;
  std::mutex mutex_;
};

}  // namespace silc
