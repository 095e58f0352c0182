// Comparing a backbone with the tower of another library that has the same weights.
#pragma once

#include "tests/nn/fixture.h"
#include "tests/plugins/declared.h"

namespace silc::testing {

// Another order of summation in fp32, through some ten layers: 1e-6 to 1e-5 relative; the towers agree if they agree to
// this.
inline constexpr double kTowerTolerance = 1e-4;

// Backpropagates Σ outputs · seeds and compares the gradient of every parameter with the recorded one.
inline void expect_gradients(torch::nn::Module& module, const Fixture& fixture, const std::string& name,
                             const std::map<std::string, at::Tensor>& outputs) {
  auto sum = at::zeros({});
  for (const auto& [output, value] : outputs) sum = sum + (value * fixture.at(name + ".seed." + output)).sum();
  sum.backward();
  // Where the gradient is 0 in exact arithmetic (a constant added to all keys) both have their own rounding errors.
  constexpr double kNothing = 1e-4;
  for (const auto& parameter : module.named_parameters()) {
    const auto expected = fixture.at(name + ".grad." + parameter.key());
    if (expected.abs().max().item<double>() < kNothing) {
      EXPECT_LT(parameter.value().grad().abs().max().item<double>(), kNothing) << parameter.key();
    } else {
      EXPECT_TRUE(near(parameter.value().grad(), expected, kTowerTolerance)) << parameter.key();
    }
  }
}

}  // namespace silc::testing
