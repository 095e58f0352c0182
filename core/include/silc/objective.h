// Objective plugins: what is minimised.
//
// An objective is a torch module. Whatever it registers as parameters that require a gradient is
// trained together with the model (a step in which one gets no gradient leaves it as it is); whatever it registers as
// parameters, buffers or submodules is in the checkpoint, so that a resumed run continues to the same bits. It keeps no
// other state between steps.
//
// The engine calls, for each step, in this order and, but for prepare(), from one thread:
//
//     prepare()         with the batch, in background threads: what is drawn at random or depends on values
//     step()            with gradients recorded, under autocast where the precision is bf16
//     (backward)
//     after_backward()  gradients are there and not yet clipped
//     (optimizer step)
//     after_update()    without gradients: the place for an EMA teacher
//
// Where optimizer.accumulate is k > 1, step() and the backward pass come k times, with a batch each, before the rest.
//
// A GPU computes behind what step() asks of it. Whatever step() reads from it (item(), nonzero(), a boolean index), and
// whatever it makes on the CPU and copies there, makes the two wait for each other: that is what prepare() is for.
#pragma once

#include <torch/nn/module.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "silc/captioner.h"
#include "silc/error.h"
#include "silc/health.h"
#include "silc/model.h"
#include "silc/plugin.h"
#include "silc/random.h"

namespace silc {

// What happens to a crop's colours, in this order; probability 0 switches a part off. The defaults of the ranges are
// those of SimCLR as DINO and SLIP use them.
struct Photometric {
  double jitter = 0;  // probability of colour jitter: brightness, contrast, saturation and hue in random order
  double brightness = 0.4;
  double contrast = 0.4;
  double saturation = 0.2;
  double hue = 0.1;      // in turns of the colour wheel
  double greyscale = 0;  // probability
  double blur = 0;       // probability of a Gaussian blur
  Pair blur_sigma = {0.1, 2.0};
  double solarize = 0;  // probability that values above one half are inverted

  friend bool operator==(const Photometric&, const Photometric&) = default;
};

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
  Photometric colours = {};
  bool masks = false;  // also cut the pixels' classes, into Batch::masks; the dataset must have masks
};

struct Progress {
  int64_t step = 0;         // updates done so far
  double fraction = 0;      // part of the budget that is used up, in [0, 1)
  int64_t total_steps = 0;  // 0: not known, as where the budget is in FLOPs or core-seconds
  uint64_t seed = 0;        // of the cell
  int64_t micro_batch = 0;  // number of the batch in its update, below optimizer.accumulate

  // Random numbers for one decision on this batch, told apart by `index`: the same whenever the step is taken again.
  // LibTorch's generator is seeded from (seed, step) before each step too, for at::rand and its like.
  [[nodiscard]] Random random(uint64_t index) const {
    constexpr uint32_t kObjectiveStream = 5;  // 1 to 4 are the engine's (core/engine/random_streams.h)
    const auto stream = kObjectiveStream + (static_cast<uint32_t>(micro_batch) << 8);
    return {seed, stream, index, static_cast<uint32_t>(step)};
  }
};

struct Batch {
  int64_t size = 0;  // B
  // [V·B, 3, S, S] in [-1, 1], view by view: view v of picture b lies at v·B + b. Views of one size can
  // so be embedded in one forward pass, and chunk(V) gives them one by one.
  std::map<std::string, at::Tensor> views;
  std::map<std::string, at::Tensor> masks = {};  // of views with ViewSpec::masks: [V·B, S, S] uint8, as in Sample::mask
  at::Tensor tokens;                  // [C·B, T] int64, caption by caption: caption c of picture b lies at c·B + b;
                                      // C = Objective::captions()
  at::Tensor labels;                  // [B] int64, kNoLabel where there is none
  std::vector<int64_t> samples = {};  // [B] the pictures' indices in the dataset, which two of a batch may share
  // By Objective::prepare(): on the model's device, and what stays on the CPU, whose values step() may read.
  std::map<std::string, at::Tensor> prepared = {};
  std::map<std::string, at::Tensor> host = {};
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
  int64_t context_length = 0;  // T
  int64_t vocabulary_size = 0;
  int64_t padding_id = 0;
};

// Parameters that are trained with other settings than the experiment's optimizer table gives.
struct ParameterGroup {
  std::vector<at::Tensor> parameters;
  double lr_scale = 1;            // times optimizer.lr, at every step
  double weight_decay_scale = 1;  // times optimizer.weight_decay; vectors and scalars do not decay in any case
};

class SILC_EXPORT Objective : public torch::nn::Module {
 public:
  // Called once, before training.
  [[nodiscard]] virtual std::vector<ViewSpec> views() const = 0;

  // C, captions drawn for each picture, each from all of the picture's captions. Called once, before training.
  [[nodiscard]] virtual int64_t captions() const { return 1; }

  // Called once, before training. A parameter that is in no group is trained as the experiment says; one in two groups
  // is an error. To keep a part of the model as it is, clear requires_grad of its parameters in the constructor.
  [[nodiscard]] virtual std::vector<ParameterGroup> parameter_groups() const { return {}; }

  // Puts into `batch.prepared`, as tensors on the CPU, what step() needs beside the batch and cannot compute from it
  // without looking at values: masks that are drawn at random, the places of tokens that are no padding. `batch` is on
  // the CPU; what is in `prepared` travels with it to the model's device, what is in `host` does not. Called from
  // several threads at once, ahead of the training: it must not depend on what is trained. `progress.fraction` is that
  // of the update where progress.total_steps is known, and 0 otherwise. May throw silc::Error.
  virtual void prepare(Batch& /*batch*/, const Progress& /*progress*/) const {}

  // The loss on one batch, on the model's device. May throw silc::Error.
  virtual StepResult step(const Batch& batch, const Progress& progress) = 0;

  virtual void after_backward(const Progress& /*progress*/) {}
  virtual void after_update(const Progress& /*progress*/) {}

  // The image tower to evaluate beside the trained one; null: this objective keeps none.
  [[nodiscard]] virtual std::shared_ptr<ImageTower> teacher() const { return nullptr; }

  // What writes captions, for evaluators that ask for them; null: this objective trains no decoder.
  [[nodiscard]] virtual std::shared_ptr<Captioner> captioner() const { return nullptr; }

  // Fractions of training, ascending in (0, 1), at which the work of a step changes: `silc plan`
  // measures one step in each part.
  [[nodiscard]] virtual std::vector<double> milestones() const { return {}; }

  // Signs that training is sick, beside those that the engine knows of every run (a gradient that is zero or explodes,
  // a loss that jumps, what is not finite). Called once, before training. nn/health.h has those of common losses.
  [[nodiscard]] virtual std::vector<HealthCheck> health(const BatchShape& /*batch*/) const { return {}; }
};

}  // namespace silc

// SILC_OBJECTIVE(identifier, Class, version, "one line", options...)
#define SILC_OBJECTIVE(id, Class, version, ...) \
  SILC_PLUGIN(objective, ::silc::Objective, ::silc::ObjectiveContext, id, Class, version, __VA_ARGS__)
