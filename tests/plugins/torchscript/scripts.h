// TorchScript files for tests: written by Python (tests/reference/torchscript.py), or here from a line or two.
#pragma once

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/api/module.h>

#include <filesystem>
#include <string>

#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc::testing {

inline std::string fixture_file(const std::string& name) {
  return (std::filesystem::path(SILC_SOURCE_DIR) / "tests/data" / ("torchscript_" + name + ".pt")).string();
}

// A test that writes scripts into a folder of its own.
class ScriptTest : public ::testing::Test {
 protected:
  static torch::jit::Module module(const std::string& source) {
    torch::jit::Module module("Script");
    module.register_parameter("scale", at::scalar_tensor(2.0).set_requires_grad(true), false);
    module.register_buffer("center", at::zeros({4}));
    module.register_attribute("margin", c10::FloatType::get(), 0.5);
    module.register_attribute("symmetric", c10::BoolType::get(), true);
    if (!source.empty()) module.define(source);
    return module;
  }

  std::string save(const torch::jit::Module& module) {
    const std::string file = (folder_ / ("script" + std::to_string(written_++) + ".pt")).string();
    module.save(file);
    return file;
  }

  std::string script(const std::string& source) { return save(module(source)); }

  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
  int written_ = 0;
};

template <class Work>
std::string refusal(Work work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace silc::testing
