// Gradients against finite differences.
#pragma once

#include <functional>
#include <vector>

#include "engine/conformance/report.h"
#include "engine/parameters.h"

namespace silc::conformance {

struct DifferentiableProblem {
  std::vector<NamedTensor> parameters;  // in double precision
  // The scalar to differentiate, at the parameters' present values: the same whenever it is called at the same values.
  std::function<at::Tensor()> value;
};

// Along a few random directions v (every parameter moved in proportion to its root mean square), compares gradient · v
// with (f(θ + h v) − f(θ − h v)) / 2h. In double precision and with h = 1e-5 the difference of a smooth function is
// good to some 1e-9; kinks (ReLU, max) that lie within ±h cost up to h. What is allowed is 1e-4 of the directional
// derivative's standard deviation over directions. Where the function computes partly in fp32, h is 1e-2 and 5e-2 is
// allowed, for roundoff and curvature.
//
// What a function cuts off by detach() counts as constant: the values that detach() gave at θ are used at θ ± h v too.
// Names the parameter where gradient and difference are furthest apart. Leaves the parameters as they were.
Outcome check_gradients(const DifferentiableProblem& problem);

// All floating-point parameters and buffers of a module in double precision; integers stay integers.
void to_double(torch::nn::Module& module);

}  // namespace silc::conformance
