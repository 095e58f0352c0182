// Objective plugins: what is minimised.
//
// An objective is a torch module. Whatever it registers as parameters that require a gradient is
// trained together with the model (a step in which one gets no gradient leaves it as it is); whatever it registers as
// parameters, buffers or submodules is in the checkpoint, so that a resumed run continues to the same bits. It keeps no
// other state between steps.
//
// The engine calls, for each step, in this order and from one thread:
//
//     step()            with gradients recorded, under autocast where the precision is bf16
//     (backward)
//     after_backward()  gradients are there and not yet clipped
//     (optimizer step)
//     after_update()    without gradients: the place for an EMA teacher
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "silc/error.h"
#include "silc/model.h"
#include "silc/plugin.h"

namespace silc {

// Random resized crops that the data pipeline cuts from each picture.
struct ViewSpec {
  std::string name;                        // key in Batch::views
  int64_t count = 1;                       // V, crops per picture
  int64_t size = 0;                        // side in pixels; 0: the model's image_size
  Pair area = {1.0, 1.0};                  // part of the picture's area; {1, 1}: the whole picture
  Pair aspect_ratio = {3.0 / 4, 4.0 / 3};  // width over height, drawn log-uniformly
  bool flip = false;                       // mirrored half of the time
  double from = 0;                         // fraction of training before which these crops are not needed: they may be
                                           // missing from Batch::views until then, and are there from then on
};

struct Progress {
  int64_t step = 0;     // updates done so far
  double fraction = 0;  // part of the budget that is used up, in [0, 1)
};

struct Batch {
  int64_t size = 0;  // B
  // [V·B, 3, S, S] in [-1, 1], view by view: view v of picture b lies at v·B + b. Views of one size can
  // so be embedded in one forward pass, and chunk(V) gives them one by one.
  std::map<std::string, at::Tensor> views;
  at::Tensor tokens;  // [B, T] int64, one caption for each picture
  at::Tensor labels;  // [B] int64, kNoLabel where there is none
};

struct LossTerm {
  std::string name;  // logged as loss/<name>
  at::Tensor value;  // scalar
  double weight = 1;
};

struct StepResult {
  std::vector<LossTerm> terms;                // what is minimised: Σ weight · value
  std::map<std::string, at::Tensor> metrics;  // scalars to log, detached
};

struct ObjectiveContext {
  const Options& options;
  std::shared_ptr<DualEncoder> model;
  // Another image tower of the same architecture, freshly initialised, on the model's device.
  std::function<std::shared_ptr<ImageTower>()> make_image_tower;
  int64_t image_size = 0;
};

class SILC_EXPORT Objective : public torch::nn::Module {
 public:
  // Called once, before training.
  [[nodiscard]] virtual std::vector<ViewSpec> views() const = 0;

  // The loss on one batch. May throw silc::Error.
  virtual StepResult step(const Batch& batch, const Progress& progress) = 0;

  virtual void after_backward(const Progress& /*progress*/) {}
  virtual void after_update(const Progress& /*progress*/) {}

  // The image tower to evaluate beside the trained one; null: this objective keeps none.
  [[nodiscard]] virtual std::shared_ptr<ImageTower> teacher() const { return nullptr; }

  // Fractions of training, ascending in (0, 1), at which the work of a step changes: `silc plan`
  // measures one step in each part.
  [[nodiscard]] virtual std::vector<double> milestones() const { return {}; }
};

}  // namespace silc

// SILC_OBJECTIVE(identifier, Class, version, "one line", options...)
#define SILC_OBJECTIVE(id, Class, version, ...) \
  SILC_PLUGIN(objective, silc::Objective, silc::ObjectiveContext, id, Class, version, __VA_ARGS__)
