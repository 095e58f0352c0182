// Training a cell from where it stands to the end of its budget.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "engine/assembly.h"
#include "engine/checkpoint.h"
#include "engine/cost.h"
#include "engine/event_log.h"
#include "files/run_folder.h"

namespace silc {

// Number of updates that a budget of examples gives; empty for budgets whose updates cost what they cost.
std::optional<int64_t> known_steps(const ResolvedCell& cell);

struct TrainingOutcome {
  bool interrupted = false;
  TrainingState state;
  Cost cost;  // of training, over all attempts
};

// Goes on from the run folder's last checkpoint, appends events, and leaves a checkpoint at the end and where `stop`
// asks to stop: the only one in the folder. Killed at any point and called again, it ends in the same bytes.
TrainingOutcome train(const ResolvedCell& cell, const Assembly& assembly, const RunFolder& folder, EventLog& events,
                      const std::function<bool()>& stop);

}  // namespace silc
