// One update of the model.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/adamw.h"
#include "engine/assembly.h"
#include "engine/gradient_reducer.h"
#include "engine/precision.h"

namespace silc {

// Figures of one update, read from the device together: means over its batches.
struct StepFigures {
  double loss = 0;
  double gradient_norm = 0;                            // before clipping
  std::vector<std::pair<std::string, double>> values;  // loss/TERM and the objective's metrics, in its order
};

// Figures of one update while they are on the device: sums over its batches.
class DeviceFigures {
 public:
  void add(const StepResult& result, const at::Tensor& loss);
  void set_gradient_norm(const at::Tensor& norm) { gradient_norm_ = norm; }

  // Brings them to the host, all at once: waits for the device to come to the end of the update.
  [[nodiscard]] StepFigures read() const;

 private:
  struct Sum {
    std::string name;
    at::Tensor value;  // scalar
    double count = 0;
  };

  void add(const std::string& name, const at::Tensor& scalar);

  std::vector<Sum> sums_;  // the loss first
  at::Tensor gradient_norm_;
};

// The mean of figures over the ranks; of one that only some ranks have, over those.
StepFigures mean_of(const std::vector<StepFigures>& figures);
StepFigures mean_over_ranks(StepFigures figures);

// As bytes, and back.
std::string pack(const StepFigures& figures);
StepFigures unpack(const std::string& bytes);

class TrainingStep {
 public:
  TrainingStep(const Assembly& assembly, const ResolvedCell& cell);

  // What becomes of an update's figures before they are judged.
  using Sharing = std::function<StepFigures(StepFigures)>;

  // Forward and backward for each of optimizer.accumulate batches, whose losses are averaged; then clipping, optimizer,
  // after_update. Gradients are means over the ranks, and figures too: by `share` where it is given. The random numbers
  // that modules draw depend on the seed, the step and the rank alone. Throws silc::Error naming step, terms and remedy
  // if the loss or the gradient's norm is not finite, PluginFailure for a fault of the objective.
  StepFigures run(const std::function<Batch()>& next_batch, const Progress& progress, double lr,
                  const Sharing& share = mean_over_ranks);

  // What run() does but for reading the figures: the host does not wait for the device.
  DeviceFigures update(const std::function<Batch()>& next_batch, const Progress& progress, double lr);

  // Everything that later steps depend on, under the names of a checkpoint; copying into it restores a state.
  [[nodiscard]] std::map<std::string, at::Tensor> state() const;

 private:
  void average_buffers();

  std::shared_ptr<DualEncoder> model_;
  std::shared_ptr<Objective> objective_;
  std::string objective_name_;
  at::Device device_;
  Precision precision_;
  int64_t accumulate_;
  double clip_grad_norm_;
  uint64_t seed_;
  AdamW optimizer_;
  std::unique_ptr<GradientReducer> reducer_;
  std::vector<at::Tensor> averages_;  // the floating-point buffers, which ranks keep in common
};

}  // namespace silc
