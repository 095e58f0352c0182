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

enum class TrainingEnd { finished, paused, interrupted };

struct TrainingOutcome {
  TrainingEnd end = TrainingEnd::finished;
  TrainingState state;
  Cost cost;        // of training, over all attempts
  Cost evaluation;  // along training, likewise; no part of the cost
};

// What is evaluated while training goes on.
struct AlongTraining {
  // Gives metrics as events.jsonl has them. `ended`: the budget is used up. May throw Interrupted.
  std::function<nlohmann::json(int64_t step, bool ended)> evaluate = {};  // called only if it is there
  double until = 1;  // part of the budget at which training pauses, if that is before its end
};

// Goes on from the run folder's last checkpoint, appends events, and leaves a checkpoint at the end, where it pauses
// and where `stop` asks to stop: the only one in the folder. Evaluates each engine.evaluate_every of the budget, and
// where it pauses. Killed at any point and called again, it ends in the same bytes, evaluated along or not.
TrainingOutcome train(const ResolvedCell& cell, const Assembly& assembly, const RunFolder& folder, EventLog& events,
                      const std::function<bool()>& stop, const AlongTraining& along = {});

}  // namespace silc
