// Fingerprints of data, which only a dataset plugin can tell: asked of silc-engine. No LibTorch.
#pragma once

#include <span>

#include "schedule/engine_process.h"
#include "spec/cell.h"

namespace silc {

// Fills in the fingerprints of all data that `cells` read, with one call of the engine. Throws silc::Error listing the
// data that cannot be read, and why; also where a dataset crashes, or hangs for longer than engine.hang_seconds.
void fill_fingerprints(const Engine& engine, std::span<ResolvedCell> cells);

}  // namespace silc
