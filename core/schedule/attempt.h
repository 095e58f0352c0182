// Lines of attempts.jsonl (files/run_folder.h): what an engine's process came to and cost. No LibTorch.
#pragma once

#include <filesystem>
#include <ios>
#include <string>

#include "files/run_folder.h"
#include "schedule/engine_process.h"

namespace silc {

// Seconds since 1970.
double wall_clock();
// Seconds of a clock that stands still while the machine sleeps.
double uptime();

std::string host_name();

struct AttemptFrame {
  double start = 0;  // seconds since 1970
  double end = 0;
  int64_t threads = 0;    // of each rank
  std::string gpus = {};  // as CUDA_VISIBLE_DEVICES names those of all ranks
  std::size_t ranks = 1;
};

Event describe_attempt(const AttemptFrame& frame, const ProcessEnd& end);

// What the last error in an engine's log says, from `offset` on: without the time, and with the rank that says it.
std::string last_error(const std::filesystem::path& log, std::streamoff offset);

// Takes in which plugin the engine was in when it ended, and removes its account (files/activity.h). An engine that
// ends of its own accord leaves nothing to read.
void add_culprit(const std::filesystem::path& activity, Event& attempt);

}  // namespace silc
