// Fingerprints of data, which only a dataset plugin can tell: asked of silc-engine. No LibTorch.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "schedule/engine_process.h"
#include "spec/cell.h"

namespace silc {

// Data that cannot be read, and why.
struct UnreadableData {
  std::string item;  // source_item
  std::string message;
  std::vector<std::pair<const ResolvedCell*, std::string>> uses;  // cells or phases, with the key of their settings
};

// Fills in the fingerprints of all data that `cells` read, with one call of the engine; those of data that cannot be
// read stay empty, and those are returned. Throws silc::Error where a dataset crashes, or hangs for longer than
// engine.hang_seconds.
std::vector<UnreadableData> fill_fingerprints(const Engine& engine, std::span<ResolvedCell> cells);

// The longest that any of the cells may go without a sign of life (engine.hang_seconds); 0, which is endless, is longer
// than any.
double patience_of(std::span<const ResolvedCell> cells);

}  // namespace silc
