// A silc as if installed, with a fake engine and plugins beside it, and a folder to work in.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/files/temporary_folder.h"

namespace silc::testing {

class InstalledSilc : public ::testing::Test {
 protected:
  InstalledSilc() {
    namespace fs = std::filesystem;
    fs::create_directories(work_);
    fs::create_directories(root_ / "bin");
    fs::create_directories(root_ / "plugins");
    const fs::path build = SILC_BINARY_DIR;
    fs::copy(build / "bin/silc", root_ / "bin/silc");
    fs::copy(build / "tests/fake_engine", root_ / "bin/silc-engine");
    fs::copy(build / "tests/fake_plugins.so", root_ / "plugins/fake_plugins.so");
    for (const auto& entry : fs::directory_iterator(fs::path(SILC_SOURCE_DIR) / "tests/cli/experiments"))
      fs::copy(entry.path(), work_ / entry.path().filename());
    for (const char* variable : {"SILC_REGISTRY", "SILC_RUNS", "SILC_PLUGIN_PATH", "SILC_DATA", "SILC_LOG",
                                 "SILC_ENGINE", "FAKE_ENGINE", "CUDA_VISIBLE_DEVICES"})
      unsetenv(variable);
    setenv("LC_ALL", "C.UTF-8", 1);
    setenv("PATH", ((root_ / "bin").string() + ":/usr/bin:/bin").c_str(), 1);
  }

  silc::TemporaryFolder temporary_;
  std::filesystem::path root_ = temporary_.path();
  std::filesystem::path work_ = root_ / "work";  // holds the experiments of tests/cli/experiments
};

}  // namespace silc::testing
