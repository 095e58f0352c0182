#include "schedule/progress.h"

#include <map>
#include <set>

#include "silc/error.h"

namespace silc {

namespace {

std::string text(const Event& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_string() ? found->get<std::string>() : std::string();
}

double number(const Event& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_number() ? found->get<double>() : 0;
}

}  // namespace

std::optional<double> CellProgress::seconds_left() const {
  if (phase != CellPhase::training || fraction <= 0 || seconds <= 0) return std::nullopt;
  return seconds * (1 - fraction) / fraction;
}

bool ProgressReader::update() {
  const auto events = read_events(events_, offset_);
  for (const Event& event : events) apply(event);
  return !events.empty();
}

void ProgressReader::begin_attempt(const std::string& gpu) {
  progress_.gpu = gpu;
  progress_.phase = CellPhase::starting;
  progress_.failure.clear();
  progress_.evaluation.clear();
  progress_.last_event.clear();
}

void ProgressReader::apply(const Event& event) {
  const std::string name = text(event, "event");
  if (name == "started") {
    const auto before = progress_;
    progress_ = {};
    progress_.gpu = text(event, "gpu");
    progress_.step = static_cast<int64_t>(number(event, "step"));
    if (const auto total = event.find("total_steps"); total != event.end() && total->is_number_integer())
      progress_.total_steps = total->get<int64_t>();
    if (progress_.total_steps && *progress_.total_steps > 0)
      progress_.fraction = static_cast<double>(progress_.step) / static_cast<double>(*progress_.total_steps);
    if (progress_.step > 0) progress_.seconds = before.seconds;
    progress_.warnings = warnings_until(progress_.step, before.warnings);
  } else if (name == "step") {
    progress_.phase = CellPhase::training;
    progress_.step = static_cast<int64_t>(number(event, "step"));
    progress_.fraction = number(event, "fraction");
    progress_.seconds = number(event, "seconds");
    progress_.rate = number(event, "rate");
    progress_.data_wait = number(event, "data_wait");
    if (const auto loss = event.find("loss"); loss != event.end() && loss->is_number())
      progress_.loss = loss->get<double>();
  } else if (name == "warning") {
    progress_.warnings.push_back(warning_of(event));
  } else if (name == "evaluating") {
    progress_.phase = CellPhase::evaluating;
    progress_.fraction = 1;
    progress_.evaluation = text(event, "evaluator") + " on " + text(event, "dataset");
  } else if (name == "finished" || name == "failed" || name == "interrupted" || name == "paused") {
    progress_.phase = CellPhase::ended;
    if (name == "failed") progress_.failure = text(event, "message");
    if (name == "interrupted" || name == "paused") progress_.step = static_cast<int64_t>(number(event, "step"));
  }
  progress_.last_event = name;
  progress_.last_time = number(event, "time");
}

std::string_view state_name(FolderState state) {
  switch (state) {
    case FolderState::planned:
      return "planned";
    case FolderState::running:
      return "running";
    case FolderState::finished:
      return "finished";
    case FolderState::failed:
      return "failed";
    case FolderState::interrupted:
      return "interrupted";
  }
  return "";
}

std::optional<AlongResult> paused_at(const RunFolder& folder, double fraction) {
  constexpr double kRounding = 1e-9;
  std::map<int64_t, Event> along;  // by step
  std::set<int64_t> pauses;        // steps
  uint64_t offset = 0;
  for (Event& event : read_events(folder.events(), offset)) {
    const std::string name = event.value("event", "");
    const int64_t step = event.value("step", int64_t{0});
    if (name == "started") {  // makes void what came after the step that it goes on from
      along.erase(along.upper_bound(step), along.end());
      pauses.erase(pauses.upper_bound(step), pauses.end());
    }
    if (name == "evaluated_along") along[step] = std::move(event);
    if (name == "paused") pauses.insert(step);
  }
  for (const auto& [step, event] : along)
    if (pauses.contains(step) && event.value("fraction", 0.0) >= fraction - kRounding)
      return AlongResult{event.value("fraction", 0.0), event.value("flops", 0.0),
                         event.value("metrics", nlohmann::json::array())};
  return std::nullopt;
}

bool is_finished(const RunFolder& folder) {
  if (!std::filesystem::exists(folder.metrics())) return false;
  ProgressReader reader(folder.events());
  reader.update();
  return reader.progress().last_event == "finished";
}

FolderStatus inspect(const RunFolder& folder) try {
  FolderStatus status;
  ProgressReader reader(folder.events());
  reader.update();
  status.progress = reader.progress();
  const std::string& last_event = status.progress.last_event;
  if (last_event == "finished" && std::filesystem::exists(folder.metrics())) {
    status.state = FolderState::finished;
    return status;
  }
  if (FileLock::is_locked(folder.lock())) {
    status.state = FolderState::running;
    return status;
  }
  uint64_t offset = 0;
  const auto attempts = read_events(folder.attempts(), offset);
  const bool silent = !attempts.empty() && ended_silently(attempts.back(), last_event, status.progress.last_time);
  if (silent)
    status.message = failure_of_attempt(attempts.back());
  else if (last_event == "failed")
    status.message = status.progress.failure;
  else if (last_event == "finished")
    status.message = folder.metrics().string() + " is missing; silc run makes it again";
  if (!status.message.empty())
    status.state = FolderState::failed;
  else if (silent || !last_event.empty())
    status.state = FolderState::interrupted;
  return status;
} catch (const Error& error) {
  FolderStatus damaged;
  damaged.state = FolderState::failed;
  damaged.message = error.what();
  return damaged;
}

}  // namespace silc
