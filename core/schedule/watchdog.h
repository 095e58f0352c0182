// Whether an engine still gets on with its work, and keeps within its memory. No LibTorch.
#pragma once

#include <cstdint>
#include <string>

namespace silc {

struct WatchLimits {
  double hang_seconds = 0;  // without a sign of life; 0: as long as it takes; until the first heartbeat, while
                            // libraries and settings are read, a minute at least
  int64_t memory = 0;       // bytes; 0: no limit
};

// An engine as it is seen from outside.
struct EngineSigns {
  uint64_t heartbeats = 0;  // files/activity.h
  uint64_t events = 0;      // any number that moves with its events
  int64_t memory = 0;       // bytes
  std::string plugin;       // that it is in; empty: none, or not known
};

struct Verdict {
  std::string reason;    // why the engine must be stopped; empty: it need not be
  bool at_once = false;  // before it takes still more memory
};

class Watchdog {
 public:
  explicit Watchdog(const WatchLimits& limits) : limits_(limits) {}

  // `now`: seconds of a clock that stands still while the
  // machine sleeps. Called a few times a second: a longer gap means that silc itself was held up, and does not count.
  Verdict look(const EngineSigns& signs, double now);

 private:
  WatchLimits limits_;
  EngineSigns last_;
  double looked_ = 0;  // 0: not yet
  double quiet_ = 0;   // seconds without a sign of life
};

// Bytes of memory that are the process's own: resident, without mapped files, which the system can take back. 0 if it
// is not known.
int64_t process_memory(int64_t pid);

// Bytes that the processes of this machine, or of the control group that silc runs in, have to share. 0 if it is not
// known.
int64_t machine_memory();

}  // namespace silc
