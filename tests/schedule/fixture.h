// A folder for runs, cells with as little in them as possible, and the fake engine.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "schedule/schedule.h"
#include "tests/files/temporary_folder.h"

namespace silc {

// Sets an environment variable as long as it lives.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  ~ScopedVariable() { unsetenv(name_); }
  ScopedVariable(const ScopedVariable&) = delete;
  ScopedVariable& operator=(const ScopedVariable&) = delete;

 private:
  const char* name_;
};

inline ResolvedCell make_cell(const std::string& row, int64_t seed = 0) {
  ResolvedCell cell;
  cell.experiment = "bench";
  cell.row = row;
  cell.seed = seed;
  cell.budget = {BudgetUnit::examples, 32};
  cell.train = {{PluginKind::dataset, "shapes", 1, {}}, "train", "shapes-train"};
  cell.objective = {PluginKind::objective, "clip", 1, {}};
  cell.image.backbone = {PluginKind::image_backbone, "vit", 1, {}};
  cell.text.backbone = {PluginKind::text_backbone, "text_transformer", 1, {}};
  cell.text.tokenizer = {PluginKind::tokenizer, "words", 1, {}};
  return cell;
}

inline Engine fake_engine() { return {std::string(SILC_BINARY_DIR) + "/tests/fake_engine", {}}; }

inline void append(const std::filesystem::path& file, const std::string& line) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::app) << line << "\n";
}

inline std::vector<Event> events_of(const std::filesystem::path& file) {
  uint64_t offset = 0;
  return read_events(file, offset);
}

}  // namespace silc
