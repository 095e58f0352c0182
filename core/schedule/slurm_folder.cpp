#include "schedule/slurm_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "schedule/attempt.h"

namespace silc {
namespace {

using Json = nlohmann::json;

std::optional<Json> read_json(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  Json json = Json::parse(read_file(file), nullptr, false);
  if (!json.is_object()) return std::nullopt;
  return json;
}

// Records of the starts of a job, by restart, then rank.
using Starts = std::map<int64_t, std::map<int64_t, Json>>;

Starts read_starts(const SlurmFolder& folder, const std::string& job) {
  Starts starts;
  if (!std::filesystem::exists(folder.path)) return starts;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path)) {
    if (!entry.path().filename().string().starts_with("job-") || entry.path().extension() != ".json") continue;
    if (const auto record = read_json(entry.path()); record && record->value("job", "") == job)
      starts[record->value("restart", int64_t{0})][record->value("rank", int64_t{0})] = *record;
  }
  return starts;
}

bool was_bad(const Json& record) {
  if (record.contains("signal") || record.contains("stopped")) return true;
  const int code = record.value("exit_code", 0);
  return code != 0 && code != 3 && code != 130;
}

const Json* first_bad(const std::map<int64_t, Json>& ranks) {
  const Json* first = nullptr;
  for (const auto& [rank, record] : ranks)
    if (was_bad(record) && (first == nullptr || record.value("end", 0.0) < first->value("end", 0.0))) first = &record;
  return first;
}

// The line of attempts.jsonl for one start. `account`: null: nothing is known of it.
Event attempt_of(const std::map<int64_t, Json>& ranks, const JobAccount* account, double last_sign) {
  const Json& first = ranks.begin()->second;
  const Json* bad = first_bad(ranks);
  const Json& shown = bad != nullptr ? *bad : first;
  Event attempt;
  double end = 0, core_seconds = 0, memory = 0;
  bool whole = true;
  for (const auto& [rank, record] : ranks) {
    end = std::max(end, record.value("end", 0.0));
    core_seconds += record.value("core_seconds", 0.0);
    memory += record.value("peak_memory", 0.0);
    whole = whole && record.contains("end");
  }
  const double start = first.value("start", 0.0);
  if (end == 0) end = account != nullptr && account->end > 0 ? account->end : std::max(last_sign, start);
  const auto cpus = account != nullptr && account->cpus > 0 ? account->cpus : first.value("cpus", int64_t{0});
  const auto gpus = account != nullptr && account->gpus > 0 ? account->gpus : first.value("gpus", int64_t{0});
  const double elapsed = account != nullptr && account->elapsed > 0 ? account->elapsed : std::max(0.0, end - start);
  attempt["start"] = start;
  attempt["end"] = end;
  // Of one that was killed nobody counted: it had the cores to itself.
  attempt["core_seconds"] = whole ? core_seconds : elapsed * static_cast<double>(cpus);
  attempt["peak_memory"] = static_cast<int64_t>(memory);
  attempt["threads"] = first.value("threads", int64_t{0});
  attempt["host"] = shown.value("host", "");
  for (const char* key : {"signal", "exit_code", "plugin", "stack_overflow", "stopped", "interrupted"})
    if (shown.contains(key)) attempt[key] = shown[key];
  // Killed with all that watched it.
  if (!attempt.contains("signal") && !attempt.contains("exit_code")) attempt["signal"] = 9;
  if (ranks.size() > 1) {
    attempt["ranks"] = ranks.size();
    if (bad != nullptr) attempt["rank"] = bad->value("rank", int64_t{0});
  }
  attempt["job"] = first.value("job", "");
  attempt["restart"] = first.value("restart", int64_t{0});
  attempt["nodes"] = account != nullptr && !account->nodes.empty() ? account->nodes : first.value("nodes", "");
  if (account != nullptr) attempt["job_state"] = account->state_word;
  attempt["allocated_core_seconds"] = elapsed * static_cast<double>(cpus);
  attempt["allocated_gpu_seconds"] = elapsed * static_cast<double>(gpus);
  return attempt;
}

// Starts of this job that attempts.jsonl has.
std::set<int64_t> known_starts(const RunFolder& folder, const std::string& job) {
  std::set<int64_t> known;
  uint64_t offset = 0;
  for (const Event& line : read_events(folder.attempts(), offset))
    if (line.value("job", "") == job) known.insert(line.value("restart", int64_t{0}));
  return known;
}

// Whether an event of the attempt says why it failed.
bool failed_after(const RunFolder& folder, const Event& attempt) {
  uint64_t offset = 0;
  const std::vector<Event> events = read_events(folder.events(), offset);
  return std::any_of(events.begin(), events.end(), [&](const Event& event) {
    return event.value("event", "") == "failed" && event.value("time", 0.0) >= attempt.value("start", 0.0);
  });
}

double last_event_before(const RunFolder& folder, double time) {
  double last = 0;
  uint64_t offset = 0;
  for (const Event& event : read_events(folder.events(), offset))
    if (const double at = event.value("time", 0.0); at < time) last = std::max(last, at);
  return last;
}

}  // namespace

std::filesystem::path SlurmFolder::start(const std::string& job, int64_t restart, int64_t rank) const {
  return path / fmt::format("job-{}.{}.{}.json", job, restart, rank);
}

std::optional<Submission> read_submission(const SlurmFolder& folder) try {
  const auto json = read_json(folder.submission());
  if (!json || json->value("name", "").empty()) return std::nullopt;
  Submission submission;
  submission.name = json->at("name");
  if (json->contains("index")) submission.index = json->at("index").get<int64_t>();
  submission.number = json->value("number", int64_t{1});
  submission.job = json->value("job", "");
  submission.time = json->value("time", 0.0);
  if (json->contains("until")) submission.until = json->at("until").get<double>();
  submission.fruitless = json->value("fruitless", int64_t{0});
  submission.step = json->value("step", int64_t{0});
  submission.output = json->value("output", "");
  submission.hang_seconds = json->value("hang_seconds", 0.0);
  submission.memory_limit = json->value("memory_limit", 0.0);
  submission.over = json->value("over", false);
  return submission;
} catch (const Json::exception&) {
  return std::nullopt;
}

void write_submission(const SlurmFolder& folder, const Submission& submission) {
  nlohmann::ordered_json json = {{"name", submission.name}};
  if (submission.index) json["index"] = *submission.index;
  json["number"] = submission.number;
  json["job"] = submission.job;
  json["time"] = submission.time;
  if (submission.until) json["until"] = *submission.until;
  json["fruitless"] = submission.fruitless;
  json["step"] = submission.step;
  json["output"] = submission.output;
  json["hang_seconds"] = submission.hang_seconds;
  json["memory_limit"] = submission.memory_limit;
  json["over"] = submission.over;
  write_file_durably(folder.submission(), json.dump(2) + "\n");
}

int64_t last_checkpoint(const RunFolder& folder) {
  int64_t step = 0;
  uint64_t offset = 0;
  for (const Event& event : read_events(folder.events(), offset)) {
    const std::string kind = event.value("event", "");
    if (kind == "checkpointed" || kind == "interrupted" || kind == "paused" || kind == "started")
      step = event.value("step", int64_t{0});
  }
  return step;
}

std::vector<Event> new_attempts(const RunFolder& folder, const Submission& submission,
                                const std::vector<JobAccount>& accounts, bool over) {
  const Starts starts = read_starts(SlurmFolder(folder), submission.job);
  const std::set<int64_t> known = known_starts(folder, submission.job);
  std::vector<Event> attempts;
  for (auto start = starts.begin(); start != starts.end(); ++start) {
    const auto& [restart, ranks] = *start;
    const auto later = std::next(start);
    const bool ended = over || later != starts.end();
    if (!ended || known.contains(restart) || !ranks.contains(0)) continue;
    const double next = later == starts.end() ? std::numeric_limits<double>::infinity()
                                              : later->second.begin()->second.value("start", 0.0);
    const auto account = std::find_if(accounts.begin(), accounts.end(),
                                      [&](const JobAccount& each) { return each.restarts == restart; });
    Event& attempt = attempts.emplace_back(
        attempt_of(ranks, account == accounts.end() ? nullptr : &*account, last_event_before(folder, next)));
    // Rank 0 alone writes events: what another rank died of, where rank 0 was in no state to say it, is in the log.
    if (attempt.value("rank", int64_t{0}) > 0 && attempt.value("exit_code", 0) != 0 && !failed_after(folder, attempt))
      if (const std::string words = last_error(folder.log(), ranks.at(0).value("log", std::streamoff{0}));
          !words.empty())
        attempt["words"] = words;
  }
  return attempts;
}

}  // namespace silc
