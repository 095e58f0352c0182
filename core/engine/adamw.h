// AdamW (Loshchilov and Hutter 2019), fused, with its state in the open.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "engine/parameters.h"
#include "silc/objective.h"
#include "spec/cell.h"

namespace silc {

// The formula of torch.optim.AdamW: decoupled weight decay lr · weight_decay, bias-corrected moments, epsilon outside
// the root. Vectors and scalars (norms, biases, class tokens, temperatures) do not decay, as in open_clip. A parameter
// without a gradient is passed over, and its own count of steps stands still.
class AdamW {
 public:
  // Throws silc::Error for a parameter in two of `groups`, one that is not among `parameters`, and scales that are
  // negative or not finite.
  AdamW(std::vector<NamedTensor> parameters, const OptimizerSettings& settings,
        const std::vector<ParameterGroup>& groups = {});

  void step(double lr);

  // Drops the gradients, memory and all.
  void clear_gradients();

  [[nodiscard]] const std::vector<NamedTensor>& parameters() const { return parameters_; }

  // "exp_avg.NAME", "exp_avg_sq.NAME" and "step" [P]: share their memory with the optimizer, so that copying into them
  // restores a state.
  [[nodiscard]] std::map<std::string, at::Tensor> state() const;

 private:
  // Parameters that are updated alike.
  struct Group {
    double lr_scale = 1;
    double weight_decay = 0;
    std::vector<size_t> members;  // indices into parameters_, ascending
  };

  void join_group(size_t parameter, double lr_scale, double weight_decay);

  std::vector<NamedTensor> parameters_;
  std::vector<Group> groups_;
  std::vector<at::Tensor> exp_avg_;
  std::vector<at::Tensor> exp_avg_sq_;
  at::Tensor steps_;                    // [P] fp32: exact up to 2²⁴ updates
  std::vector<at::Tensor> step_views_;  // scalars in steps_
  std::vector<bool> present_;           // the parameters that had a gradient in the last step …
  at::Tensor increment_;                // … as ones and zeros, [P]
  double beta1_;
  double beta2_;
  double epsilon_;
};

}  // namespace silc
