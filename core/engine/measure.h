// silc-engine measure: what training a cell would cost, from a few steps.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "engine/assembly.h"

namespace silc {

struct MeasureRequest {
  std::filesystem::path cell;
  int64_t threads = 0;
  std::span<const std::filesystem::path> plugin_path;
};

// One step of each part of training, without timing it: does it work? With the cell's batch.
void try_steps(const ResolvedCell& cell, const Assembly& assembly);

// The fastest of three steps after a warm one, for each part of training between the objective's milestones
// (docs/architecture.md says what is in the JSON). Several ranks, started with torchrun's environment, measure
// together, and rank 0 has the answer; the others have none. Writes nothing.
std::optional<nlohmann::json> measure(const MeasureRequest& request);

// Times `steps` steps on batches that were made beforehand and lie on the device: what a training step takes without
// its data (docs/architecture.md says what is in the JSON). Writes nothing.
nlohmann::json bench(const MeasureRequest& request, int64_t steps);

}  // namespace silc
