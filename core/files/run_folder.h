// The run folder: the wire between engine, registry and people. Names and formats of what lies in it. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "files/durable_file.h"

namespace silc {

// Paths of one run folder. `attempts` and `lock` are silc's, everything else the engine's. `gallery` is there where
// somebody asked to see what the model makes of pictures (engine/illustrate.h); it can be made again at any time.
// `activity` (files/activity.h) is there only while the engine runs.
struct RunFolder {
  std::filesystem::path path;  // EXPERIMENT/ROW/seed-N-ID below the runs folder
  // The experiment's folder, and another cell's in it: ROW/seed-N-ID.
  [[nodiscard]] std::filesystem::path experiment() const { return path.parent_path().parent_path(); }
  [[nodiscard]] RunFolder sibling(const std::filesystem::path& cell) const { return {experiment() / cell}; }
  [[nodiscard]] std::filesystem::path cell() const { return path / "cell.toml"; }
  [[nodiscard]] std::filesystem::path events() const { return path / "events.jsonl"; }
  [[nodiscard]] std::filesystem::path attempts() const { return path / "attempts.jsonl"; }
  [[nodiscard]] std::filesystem::path checkpoints() const { return path / "checkpoints"; }
  [[nodiscard]] std::filesystem::path metrics() const { return path / "metrics.json"; }
  [[nodiscard]] std::filesystem::path samples() const { return path / "samples"; }
  [[nodiscard]] std::filesystem::path gallery() const { return path / "gallery"; }
  [[nodiscard]] std::filesystem::path environment() const { return path / "environment.json"; }
  [[nodiscard]] std::filesystem::path activity() const { return path / "activity"; }
  [[nodiscard]] std::filesystem::path log() const { return path / "engine.log"; }
  [[nodiscard]] std::filesystem::path lock() const { return path / "lock"; }
};

// events.jsonl, one object a line, each with "event" and "time" (seconds since 1970, UTC, fractional):
//
//   started      pid, step (0, or the one of the checkpoint that it goes on from), total_steps (null if not known),
//                ranks where there are several; on
//                a GPU also device (its name) and gpu (as CUDA_VISIBLE_DEVICES names it)
//   step         step, examples, flops, fraction, core_seconds, seconds, rate (pictures/s), data_wait (share of the
//                time since the step event before that training waited for data), lr, loss, values {name: number};
//                cumulative figures are of training, over all attempts, without the work that a kill threw away
//   warning      step, check, metric, value (null if it is not finite), message: a sign that training is sick, once for
//                each check
//   checkpointed step, file, examples, flops, core_seconds, seconds, peak_memory; on a GPU also device_seconds,
//                device_peak_memory and, where it is known, energy (joules); cpu_energy where the machine tells
//   evaluated_along
//                step, fraction, examples, flops, core_seconds, seconds of training until then, on a GPU also as in
//                checkpointed; metrics [{evaluator, dataset, weights, name, value, n}] of all evaluations but those
//                that do not apply; evaluation_core_seconds and evaluation_seconds, which this took and training's do
//                not hold
//   evaluating   evaluator, dataset, weights
//   evaluated    evaluator, dataset, weights, metrics [{name, value, n}], core_seconds, seconds
//   finished     (metrics.json is complete)
//   failed       message, plugin (the one at fault, or null)
//   interrupted  step
//   paused       step: it has come as far as it was asked to (--until), and goes on when it is asked again
//
// A `started` with step k makes step, warning and evaluated_along events after k of earlier attempts void.
using Event = nlohmann::json;

// A `warning` event.
struct HealthWarning {
  int64_t step = 0;
  std::string check;            // its name: "teacher_entropy_zero"
  std::string metric;           // that it looked at
  std::optional<double> value;  // of the metric in that step; empty: not finite
  std::string message;          // in words, with what to do
};

Event event_of(const HealthWarning& warning);
// What is missing is empty.
HealthWarning warning_of(const Event& event);

// Those of `warnings` that an attempt which goes on from `step` keeps.
std::vector<HealthWarning> warnings_until(int64_t step, std::vector<HealthWarning> warnings);

// The events so far; a cut last line is passed over. Empty if there is no file. `offset`: bytes to skip, moved on to
// behind the last whole line, for those who follow a growing file. Reads attempts.jsonl as well.
// Throws silc::Error, naming the file and the place, for a whole line that is not a JSON object.
std::vector<Event> read_events(const std::filesystem::path& file, uint64_t& offset);

// metrics.json of a finished cell:
//   {"metrics": [{"evaluator", "dataset", "weights", "name", "value", "n"}],
//    "not_applicable": [{"evaluator", "dataset", "weights", "reason"}], evaluations that the model's nature rules out,
//    "cost": {"examples", "flops", "core_seconds", "seconds", "evaluation_core_seconds", "peak_memory" (bytes),
//             "parameters", "steps", "device"}}, with evaluations along training "evaluation_along_core_seconds"
// attempts.jsonl, appended by silc after each engine process:
//   {"start", "end" (seconds since 1970), "exit_code" or "signal", "core_seconds", "peak_memory", "threads", "host"},
//   "gpu" that the engine was given, as CUDA_VISIBLE_DEVICES names it; of a cell of several "ranks", whose costs are
//   those of all, the "rank" that came to a bad end first, which the code or signal is of, and its "words" where rank
//   0, which writes the events, could not say them; "interrupted": true if a signal of silc's own ended it, on request;
//   "plugin" ('objective "silc"') if it did not end of its own accord while it was in one, with "stack_overflow": true
//   if that used up its stack; "stopped": why silc ended it unasked. A line may be missing: silc died too.

// Whether the engine of `attempt`, the last line of attempts.jsonl, ended without a last word (finished, failed,
// interrupted) or was stopped by silc unasked; `event` at `time` is the last event of its folder, empty and 0 if there
// is none.
bool ended_silently(const Event& attempt, std::string_view event, double time);

// Why an engine that ended silently failed: 'killed by signal 11 (SIGSEGV) in objective "silc"'. Empty if it was
// interrupted, which is to say that somebody asked it to stop: "interrupted", exit code 130, SIGTERM, SIGINT or SIGHUP.
std::string failure_of_attempt(const Event& attempt);

// "signal 9 (SIGKILL)"
std::string signal_name(int signal);

}  // namespace silc
