#include "files/run_folder.h"

#include <cmath>
#include <csignal>
#include <cstring>

#include "silc/error.h"

namespace silc {

namespace {

constexpr int kInterrupted = 130;  // exit code, docs/architecture.md

double number(const Event& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_number() ? found->get<double>() : 0;
}

std::string text(const Event& event, const char* key) {
  const auto found = event.find(key);
  return found != event.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::vector<Event> read_events(const std::filesystem::path& file, uint64_t& offset) {
  std::vector<Event> events;
  if (!std::filesystem::exists(file)) return events;
  const std::string content = read_file(file, offset);
  std::string_view rest = content;
  uint64_t position = offset;
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    Event event = Event::parse(rest.substr(0, end), nullptr, false);
    if (!event.is_object())
      throw Error(file.string() + ": the line at byte " + std::to_string(position) +
                  " is not a JSON object; the file is damaged: remove that line, or run the cell again with --fresh");
    events.push_back(std::move(event));
    rest.remove_prefix(end + 1);
    position += end + 1;
  }
  offset = position;
  return events;
}

Event event_of(const HealthWarning& warning) {
  Event event = {{"step", warning.step},
                 {"check", warning.check},
                 {"metric", warning.metric},
                 {"value", nullptr},
                 {"message", warning.message}};
  if (warning.value && std::isfinite(*warning.value)) event["value"] = *warning.value;
  return event;
}

HealthWarning warning_of(const Event& event) {
  HealthWarning warning{.step = static_cast<int64_t>(number(event, "step")),
                        .check = text(event, "check"),
                        .metric = text(event, "metric"),
                        .value = {},
                        .message = text(event, "message")};
  if (const auto value = event.find("value"); value != event.end() && value->is_number())
    warning.value = value->get<double>();
  return warning;
}

std::vector<HealthWarning> warnings_until(int64_t step, std::vector<HealthWarning> warnings) {
  std::erase_if(warnings, [&](const HealthWarning& warning) { return warning.step > step; });
  return warnings;
}

bool ended_silently(const Event& attempt, std::string_view event, double time) {
  if (attempt.contains("stopped")) return true;
  const bool last_word = event == "finished" || event == "failed" || event == "interrupted" || event == "paused";
  if (!last_word) return number(attempt, "end") >= time;
  // An engine that finds nothing left to do says nothing.
  const bool well = !attempt.contains("signal") && number(attempt, "exit_code") == 0;
  return number(attempt, "start") >= time && !well;
}

namespace {

std::string end_in_words(const Event& attempt) {
  if (const auto stopped = attempt.find("interrupted"); stopped != attempt.end() && *stopped == true) return {};
  if (std::string reason = text(attempt, "stopped"); !reason.empty()) return reason;
  const std::string plugin = text(attempt, "plugin");
  const std::string place = plugin.empty() ? "" : " in " + plugin;
  const int signal = static_cast<int>(number(attempt, "signal"));
  if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP) return {};
  if (signal == SIGKILL) return "killed by " + signal_name(signal) + place + ": out of memory?";
  if (signal != 0) {
    const bool overflow = attempt.contains("stack_overflow");
    return "killed by " + signal_name(signal) + place + (overflow ? ": its stack overflowed; endless recursion?" : "");
  }
  const int code = static_cast<int>(number(attempt, "exit_code"));
  if (code == kInterrupted && plugin.empty()) return {};
  const std::string culprit = plugin.empty() ? "" : place + ", which must not end the process (exit)";
  if (code == 0) return "the engine ended without finishing the cell" + culprit;
  return "the engine exited with code " + std::to_string(code) + culprit;
}

}  // namespace

std::string failure_of_attempt(const Event& attempt) {
  std::string words = end_in_words(attempt);
  if (attempt.contains("words") && !words.empty()) return attempt.at("words").get<std::string>();
  if (words.empty() || attempt.contains("stopped") || !attempt.contains("rank")) return words;
  return "rank " + std::to_string(static_cast<int64_t>(number(attempt, "rank"))) + ": " + words;
}

std::string signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  const std::string number = "signal " + std::to_string(signal);
  return name == nullptr ? number : number + " (SIG" + name + ")";
}

}  // namespace silc
