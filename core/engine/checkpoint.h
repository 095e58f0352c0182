// Checkpoints: the exact state to go on from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "engine/cost.h"
#include "files/run_folder.h"
#include "files/safetensors.h"

namespace silc {

// Where training stands.
struct TrainingState {
  int64_t step = 0;  // updates done
  int64_t examples = 0;
  int64_t flops = 0;
  std::string health = {};      // HealthMonitor::state()
  std::string unreadable = {};  // UnreadableSamples::state()
};

// "step-00001000.safetensors"
std::string checkpoint_name(int64_t step);

// Writes tensors (model.*, objective.*, optimizer.*) and state. Nothing in the file varies between identical runs:
// costs and dates are in events.jsonl.
void write_checkpoint(const std::filesystem::path& file, const std::map<std::string, at::Tensor>& tensors,
                      const TrainingState& state, const std::string& cell_id);

// Throws silc::Error unless the file is a checkpoint of this cell.
void check_owner(const SafetensorsFile& file, const std::string& cell_id);

// Copies a checkpoint's tensors into `tensors`. Throws silc::Error that names the file and the remedy if it is damaged,
// belongs to another cell or engine version, or does not have exactly these tensors.
TrainingState load_checkpoint(const std::filesystem::path& file, const std::map<std::string, at::Tensor>& tensors,
                              const std::string& cell_id);

// Where an attempt left off.
struct ResumePoint {
  std::filesystem::path file;
  Cost cost;  // of training until then
};

// The last checkpoint of a run folder whose event was written: the event carries the costs, and the checkpoint before
// it is removed only after the event, so there always is one with both.
std::optional<ResumePoint> find_resume_point(const RunFolder& folder);

}  // namespace silc
