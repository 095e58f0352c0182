// Expected values that the scripts in tests/reference wrote.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include <map>
#include <string>

#include "files/safetensors.h"

namespace silc::testing {

using Fixture = std::map<std::string, at::Tensor>;

// A safetensors file of fp32 and int64 tensors.
inline Fixture load_tensors(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  Fixture fixture;
  for (const auto& [key, view] : file.tensors()) {
    const auto type = view.dtype == "I64" ? at::kLong : at::kFloat;
    fixture[key] = at::from_blob(const_cast<std::byte*>(view.bytes.data()), view.shape, type).clone();
  }
  return fixture;
}

// tests/data/<name>.safetensors
inline Fixture load_fixture(const std::string& name) {
  return load_tensors(std::string(SILC_SOURCE_DIR) + "/tests/data/" + name + ".safetensors");
}

// Greatest difference over greatest expected magnitude at most `tolerance`.
inline ::testing::AssertionResult near(const at::Tensor& actual, const at::Tensor& expected, double tolerance) {
  if (!actual.defined()) return ::testing::AssertionFailure() << "undefined";
  if (actual.sizes() != expected.sizes())
    return ::testing::AssertionFailure() << "shape " << actual.sizes() << " instead of " << expected.sizes();
  const auto scale = expected.abs().max().item<double>();
  const auto error = (actual.detach() - expected).abs().max().item<double>();
  if (error <= tolerance * std::max(scale, 1e-6)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "off by " << error << " where values reach " << scale;
}

// The greatest relative error of `gradient` against central differences of the scalar function `f` of `x` (fp64).
template <class F>
double finite_difference_error(const at::Tensor& x, const at::Tensor& gradient, const F& f) {
  constexpr double kStep = 1e-5;  // error of central differences: of the order of its square
  const auto values = x.detach().clone();
  const auto flat = values.view(-1);
  auto numeric = at::zeros_like(flat);
  for (int64_t i = 0; i < flat.numel(); ++i) {
    const double old = flat[i].item<double>();
    flat[i] = old + kStep;
    const double above = f(values).template item<double>();
    flat[i] = old - kStep;
    const double below = f(values).template item<double>();
    flat[i] = old;
    numeric[i] = (above - below) / (2 * kStep);
  }
  return ((numeric - gradient.reshape(-1)).abs().max() / numeric.abs().max()).item<double>();
}

// Overwrites every parameter of `module` that `fixture` has under `prefix` + its name; all that are there must fit.
inline void load_parameters(torch::nn::Module& module, const Fixture& fixture, const std::string& prefix) {
  const torch::NoGradGuard no_grad;
  auto parameters = module.named_parameters();
  for (const auto& [key, value] : fixture) {
    if (!key.starts_with(prefix)) continue;
    auto* parameter = parameters.find(key.substr(prefix.size()));
    ASSERT_NE(parameter, nullptr) << key;
    ASSERT_EQ(parameter->sizes(), value.sizes()) << key;
    parameter->copy_(value);
  }
}

}  // namespace silc::testing
