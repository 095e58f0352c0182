#include "schedule/attempt.h"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string_view>

#include "files/activity.h"

namespace silc {

double wall_clock() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double uptime() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

Event describe_attempt(const AttemptFrame& frame, const ProcessEnd& end) {
  Event attempt = {{"start", frame.start},           {"end", frame.end},         {"core_seconds", end.core_seconds},
                   {"peak_memory", end.peak_memory}, {"threads", frame.threads}, {"host", host_name()}};
  if (!frame.gpus.empty()) attempt["gpu"] = frame.gpus;
  if (frame.ranks > 1) attempt["ranks"] = frame.ranks;
  if (end.rank) attempt["rank"] = *end.rank;
  if (end.signal != 0)
    attempt["signal"] = end.signal;
  else
    attempt["exit_code"] = end.exit_code;
  return attempt;
}

std::string last_error(const std::filesystem::path& file, std::streamoff offset) {
  constexpr std::string_view kLevel = " error: ";
  std::ifstream log(file);
  log.seekg(offset);
  std::string last;
  for (std::string line; std::getline(log, line);)
    if (const auto place = line.find(kLevel); place != std::string::npos) last = line.substr(place + kLevel.size());
  return last;
}

void add_culprit(const std::filesystem::path& file, Event& attempt) {
  const auto activity = read_activity(file);
  std::filesystem::remove(file);
  if (!activity || activity->plugin.empty()) return;
  attempt["plugin"] = activity->plugin;
  if (activity->stack_overflowed) attempt["stack_overflow"] = true;
}

}  // namespace silc
