// How far a cell is, from what lies in its run folder. No LibTorch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "files/run_folder.h"

namespace silc {

enum class CellPhase { starting, training, evaluating, ended };

// What the events of the attempt at hand say.
struct CellProgress {
  CellPhase phase = CellPhase::starting;
  int64_t step = 0;
  std::optional<int64_t> total_steps;
  double fraction = 0;   // of the budget, in [0, 1]
  double seconds = 0;    // of training, over all attempts
  double rate = 0;       // pictures/s
  double data_wait = 0;  // share of the time that training waits for data
  std::optional<double> loss;
  std::string evaluation;               // "zero_shot_classification on shapes": what is being evaluated
  std::string last_event;               // name; empty: none yet
  double last_time = 0;                 // of that event, seconds since 1970
  std::string gpu;                      // that it runs on, as CUDA_VISIBLE_DEVICES names it; empty: the CPU
  std::string failure;                  // message of the `failed` event
  std::vector<HealthWarning> warnings;  // of this attempt, and of earlier ones up to where it began

  // Until training is done; null if it cannot be told yet.
  [[nodiscard]] std::optional<double> seconds_left() const;
};

// Follows the events of one run folder.
class ProgressReader {
 public:
  explicit ProgressReader(std::filesystem::path events) : events_(std::move(events)) {}

  // Takes in what was written since the last call; true if there was something.
  bool update();
  // Forgets what earlier attempts said, but not how far they came. `gpu`: the one for the attempt that begins.
  void begin_attempt(const std::string& gpu);
  [[nodiscard]] const CellProgress& progress() const { return progress_; }

 private:
  void apply(const Event& event);

  std::filesystem::path events_;
  uint64_t offset_ = 0;
  CellProgress progress_;
};

enum class FolderState { planned, running, finished, failed, interrupted };

std::string_view state_name(FolderState state);

struct FolderStatus {
  FolderState state = FolderState::planned;
  CellProgress progress;
  std::string message;  // why it failed
};

// What an evaluation along training found, and what training had cost by then.
struct AlongResult {
  double fraction = 0;  // of the budget
  double flops = 0;
  nlohmann::json metrics;  // as in the event (files/run_folder.h)
};

// Where training first paused (--until) at this part of the budget or after it. Once there, it never goes on from
// before.
std::optional<AlongResult> paused_at(const RunFolder& folder, double fraction);

// metrics.json is there and the last event is `finished`.
bool is_finished(const RunFolder& folder);

// From events, attempts and lock: also for a cell that another silc runs. One whose files are damaged has failed.
FolderStatus inspect(const RunFolder& folder);

}  // namespace silc
