// Evaluating a trained cell.
#pragma once

#include <nlohmann/json.hpp>

#include "engine/assembly.h"
#include "engine/cost.h"
#include "engine/event_log.h"
#include "files/run_folder.h"

namespace silc {

struct EvaluationOutcome {
  nlohmann::json metrics;  // as in metrics.json
  Cost cost;
};

// Every evaluation of the cell with every of its weights: per-sample scores into samples/NAME-WEIGHTS.safetensors, an
// `evaluated` event each. What was evaluated after training ended, by an attempt that was then killed, is not done
// again. `trained_steps`: updates at the end of training. Throws Interrupted where the process shall stop.
EvaluationOutcome evaluate(const ResolvedCell& cell, const Catalogue& catalogue, const Assembly& assembly,
                           const RunFolder& folder, EventLog& events, int64_t trained_steps);

}  // namespace silc
