// Engines that tests start themselves, and can stop, kill and start again.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "files/run_folder.h"
#include "schedule/engine_process.h"
#include "schedule/fingerprints.h"
#include "spec/experiment.h"
#include "tests/end_to_end/tiny_model.h"
#include "tests/files/temporary_folder.h"

namespace silc::testing {

// Twelve updates of a tiny SILC, student and teacher evaluated.
inline const std::string kEngineExperiment = R"(
[experiment]
name = "tiny"

[budget]
examples = 96
)" + std::string(kTinyModel) +
                                             R"(
[optimizer]
lr = 1e-3
batch = 8

[engine]
device = "cpu"
checkpoint_seconds = 0
log_every = 1
data_threads = 2

[[evaluate]]
evaluator = "zero_shot_classification"
dataset = { dataset = "shapes", examples = 96 }

[[evaluate]]
evaluator = "retrieval"
dataset = { dataset = "shapes", examples = 96 }

[[row]]
name = "SILC"
objective = { name = "silc", prototypes = 32, hidden = 16, bottleneck = 8, local_views = 2, local_size = 16, start = 0.5 }
evaluation.weights = ["student", "teacher"]
)";

class EngineRuns : public ::testing::Test {
 protected:
  EngineRuns() {
    engine_.program = std::filesystem::path(SILC_BINARY_DIR) / "bin/silc-engine";
    std::ofstream(root_ / "tiny.toml") << kEngineExperiment;
  }

  ResolvedCell cell(std::vector<std::string> sets = {}) {
    const auto folders = plugin_folders(std::vector{std::filesystem::path(SILC_BINARY_DIR) / "plugins"});
    const Catalogue catalogue = Catalogue::scan(folders);
    Experiment experiment =
        read_experiment({.file = root_ / "tiny.toml", .sets = std::move(sets), .rows = {}, .seeds = {}}, catalogue);
    EXPECT_TRUE(fill_fingerprints(engine_, experiment.cells).empty());
    return experiment.cells.at(0);
  }

  RunFolder folder(const std::string& name, const ResolvedCell& cell) {
    const RunFolder made{root_ / name};
    std::filesystem::create_directories(made.path);
    write_file_durably(made.cell(), write_cell(cell));
    return made;
  }

  // Starts the engine; `signal` is sent once `when` says so (it is asked every millisecond).
  ProcessEnd run(const RunFolder& folder, int signal = 0, const std::function<bool()>& when = nullptr) {
    const auto lock = FileLock::try_lock(folder.lock());
    EngineProcess process(engine_, folder.path, 1, *lock);
    bool sent = false;
    while (true) {
      if (const auto end = process.poll()) return *end;
      if (when && !sent && when()) {
        process.send(signal);
        sent = true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  static std::vector<Event> events(const RunFolder& folder) {
    uint64_t offset = 0;
    return read_events(folder.events(), offset);
  }

  // Whether `count` events of this name have been written.
  static std::function<bool()> seen(const RunFolder& folder, const std::string& name, int64_t count) {
    return [=] {
      const auto all = events(folder);
      return std::count_if(all.begin(), all.end(), [&](const Event& e) { return e["event"] == name; }) >= count;
    };
  }

  static nlohmann::json metrics(const RunFolder& folder) {
    return nlohmann::json::parse(read_file(folder.metrics()))["metrics"];
  }

  // Name and content of each file below a folder.
  static std::map<std::string, std::string> contents(const std::filesystem::path& folder) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      files[entry.path().filename()] = read_file(entry.path());
    return files;
  }

  static void expect_same_result(const RunFolder& a, const RunFolder& b) {
    EXPECT_TRUE(contents(a.checkpoints()) == contents(b.checkpoints()));
    EXPECT_TRUE(contents(a.samples()) == contents(b.samples()));
    EXPECT_EQ(metrics(a), metrics(b));
  }

  TemporaryFolder temporary_;
  std::filesystem::path root_ = temporary_.path();
  Engine engine_;
};

}  // namespace silc::testing
