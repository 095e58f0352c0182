// silc-engine count: what training a cell takes on ranks that are not there, counted without computing it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "engine/assembly.h"
#include "silc/objective.h"
#include "spec/cell.h"

namespace silc {

struct CountRequest {
  std::filesystem::path cell;  // engine.ranks says how many ranks there are
  std::span<const std::filesystem::path> plugin_path;
};

// Takes an update of each part of training, of rank 0, with shapes alone (engine/shapes_only.h): FLOPs, what is sent
// after how many of them, memory and the size of a checkpoint, as a GPU would have them (docs/architecture.md says what
// is in the JSON). Needs the data for their captions. Writes nothing.
nlohmann::json count(const CountRequest& request);

// A batch of `size` pictures with shapes alone, as the objective wants it in that part of training; captions are those
// of the dataset's first samples.
Batch shape_batch(const ResolvedCell& cell, const Assembly& assembly, int64_t size, const Progress& progress);

}  // namespace silc
