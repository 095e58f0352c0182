// silc-engine run: one cell, from cell.toml to metrics.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace silc {

struct RunRequest {
  std::filesystem::path folder;
  int64_t threads = 0;  // of LibTorch; 0: LibTorch's choice
  std::span<const std::filesystem::path> plugin_path;
  double until = 1;  // part of the budget; below 1, training pauses there, evaluated along and saved
};

// Gives the exit code: 0, 1 after a `failed` event, 3 after a `paused` one, 130 after an `interrupted` one. Throws
// silc::Error where nothing was started, because cell.toml cannot be read.
int run_cell(const RunRequest& request);

}  // namespace silc
