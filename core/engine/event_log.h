// Writing events.jsonl.
#pragma once

#include <chrono>
#include <string>

#include "files/run_folder.h"

namespace silc {

class EventLog {
 public:
  explicit EventLog(const std::filesystem::path& file) : lines_(file) {}

  // Adds "event" and "time" to `fields`. Events that resuming relies on are synced to disk before this returns.
  void append(const std::string& event, Event fields = Event::object()) {
    fields["event"] = event;
    fields["time"] = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    // Plugins' texts may hold anything: broken UTF-8 is replaced rather than refused.
    lines_.append(fields.dump(-1, ' ', false, Event::error_handler_t::replace), /*sync=*/event != "step");
  }

 private:
  LineAppender lines_;
};

}  // namespace silc
