// Evaluating a trained cell.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/assembly.h"
#include "engine/cost.h"
#include "engine/event_log.h"
#include "engine/tower_encoder.h"
#include "files/run_folder.h"

namespace silc {

struct EvaluationOutcome {
  nlohmann::json metrics;         // as in metrics.json
  nlohmann::json not_applicable;  // likewise
  Cost cost;
};

// What evaluators see of the assembly's model. `weights`: "student" or "teacher".
TowerEncoder make_encoder(const ResolvedCell& cell, const Assembly& assembly, const std::string& weights);

// Throws silc::Error for a metric that is not finite.
void check_metrics(const std::vector<Metric>& metrics);

// Every evaluation of the cell with every of its weights: per-sample scores into samples/NAME-WEIGHTS.safetensors, an
// `evaluated` event each. One that does not apply to the model gets such an event without metrics and with a "reason".
// What was evaluated after training ended, by an attempt that was then killed, is not done
// again. `trained_steps`: updates at the end of training. Throws Interrupted where the process shall stop.
EvaluationOutcome evaluate(const ResolvedCell& cell, const Catalogue& catalogue, const Assembly& assembly,
                           const RunFolder& folder, EventLog& events, int64_t trained_steps);

// Evaluates a cell while it is trained, on evaluate_samples of each dataset, spread evenly over it. Leaves training as
// it was: no mode of a module and no random number is another afterwards.
class AlongEvaluator {
 public:
  AlongEvaluator(const ResolvedCell& cell, const Catalogue& catalogue, const Assembly& assembly, EventLog& events);

  // Metrics as in metrics.json, of all evaluations that apply with all weights. `ended`: the budget is used up, so that
  // only what is evaluated on a part of the data is of use; the whole is evaluated next. Throws Interrupted where the
  // process shall stop.
  nlohmann::json evaluate(int64_t step, bool ended);

 private:
  struct Task {
    const Evaluation* evaluation = nullptr;
    std::shared_ptr<Dataset> dataset = nullptr;
    bool is_part = false;  // of the data
  };

  const ResolvedCell& cell_;
  const Catalogue& catalogue_;
  const Assembly& assembly_;
  EventLog& events_;
  std::vector<Task> tasks_;
};

}  // namespace silc
