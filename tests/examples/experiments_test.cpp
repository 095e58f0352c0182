// The experiments of docs/examples, run as their heads say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "files/durable_file.h"
#include "files/run_folder.h"
#include "files/safetensors.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;

class Examples : public ::testing::Test {
 protected:
  // `silc run` of one seed, its runs below `runs`; its output goes to RUNS.txt.
  int run(const fs::path& experiment, const std::string& runs, const std::string& more = "") {
    const std::string command =
        "'" SILC_BINARY_DIR "/bin/silc' run '" + experiment.string() + "' --runs '" + (root_ / runs).string() +
        "' --plugin-path '" SILC_BINARY_DIR "/examples' --seeds 0 --jobs 1 --threads 1 --set 'engine.device=\"cpu\"' " +
        more + " > '" + (root_ / (runs + ".txt")).string() + "' 2>&1";
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::string output(const std::string& runs) { return read_file(root_ / (runs + ".txt")); }

  std::vector<RunFolder> cells(const std::string& runs) {
    std::vector<RunFolder> found;
    for (const auto& entry : fs::recursive_directory_iterator(root_ / runs))
      if (entry.path().filename() == "metrics.json") found.push_back({entry.path().parent_path()});
    return found;
  }

  static nlohmann::json metrics(const RunFolder& cell) {
    return nlohmann::json::parse(read_file(cell.metrics()))["metrics"];
  }

  // What must not depend on interruptions, by file.
  std::map<std::string, std::string> results(const std::string& runs) {
    std::map<std::string, std::string> files;
    for (const RunFolder& cell : cells(runs)) {
      for (const auto& entry : fs::directory_iterator(cell.checkpoints()))
        files[fs::relative(entry.path(), root_ / runs)] = read_file(entry.path());
      files[fs::relative(cell.metrics(), root_ / runs)] = metrics(cell).dump();
    }
    return files;
  }

  TemporaryFolder temporary_;
  fs::path root_ = temporary_.path();
};

// Kills the engine that writes below `runs` once it has a checkpoint of `steps`; false if it has none yet.
bool kill_engine_after(const fs::path& runs, int steps) {
  if (!fs::exists(runs)) return false;
  for (const auto& entry : fs::recursive_directory_iterator(runs)) {
    if (entry.path().filename() != "events.jsonl") continue;
    uint64_t offset = 0;
    pid_t engine = 0;
    for (const Event& event : read_events(entry.path(), offset)) {
      if (event["event"] == "started") engine = event["pid"].get<pid_t>();
      if (event["event"] == "checkpointed" && event["step"].get<int>() >= steps) return kill(engine, SIGKILL) == 0;
    }
  }
  return false;
}

const fs::path kExamples = fs::path(SILC_SOURCE_DIR) / "docs/examples";

struct Expected {
  std::string name;
  std::size_t rows;
  std::string metric;
};

class ExampleExperiment : public Examples, public ::testing::WithParamInterface<Expected> {};

TEST_P(ExampleExperiment, TrainsAndEvaluatesEveryRow) {
  const auto& [name, rows, metric] = GetParam();
  ASSERT_EQ(run(kExamples / (name + ".toml"), "runs"), 0) << output("runs");
  const auto finished = cells("runs");
  EXPECT_EQ(finished.size(), rows);
  for (const RunFolder& cell : finished) {
    std::map<std::string, double> values;
    for (const auto& each : metrics(cell)) values[each["name"]] = each["value"];
    ASSERT_TRUE(values.contains(metric)) << metrics(cell).dump();
    EXPECT_GE(values.at(metric), 0);
    EXPECT_LE(values.at(metric), 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, ExampleExperiment,
                         ::testing::Values(Expected{"smoothed_clip", 2, "acc1"}, Expected{"caption_focus", 3, "acc1"},
                                           Expected{"conv_mixer", 2, "acc1"}, Expected{"attribute_binding", 2, "acc"},
                                           Expected{"picture_table", 1, "image_retrieval_recall@1"}),
                         [](const auto& info) { return info.param.name; });

TEST_F(Examples, AttributeBindingKeepsAScoreForEveryPicture) {
  ASSERT_EQ(run(kExamples / "attribute_binding.toml", "runs", "--rows CLIP"), 0) << output("runs");
  const auto finished = cells("runs");
  ASSERT_EQ(finished.size(), 1U);
  const SafetensorsFile samples(finished[0].samples() / "attribute-binding-student.safetensors");
  EXPECT_EQ(samples.tensors().at("acc").shape, std::vector<int64_t>{metrics(finished[0])[0]["n"]});
}

// A module that Python wrote, as objective and as backbone, in place of those of an experiment.
class ScriptedExamples : public Examples {
 protected:
  ScriptedExamples() {
    for (const char* name : {"clip", "tower"})
      fs::copy_file(fs::path(SILC_SOURCE_DIR) / "tests/data" / ("torchscript_" + std::string(name) + ".pt"),
                    root_ / (std::string(name) + ".pt"));
    fs::copy_file(kExamples / "smoothed_clip.toml", root_ / "scripted.toml");
    std::ofstream(root_ / "scripted.toml", std::ios::app) << R"(
[[row]]
name = "scripted loss"
objective = { name = "torchscript", file = "clip.pt" }

[[row]]
name = "scripted tower"
objective = { name = "torchscript", file = "clip.pt" }
model.image = { backbone = "torchscript_image", file = "tower.pt", init = "shuffled" }
)";
  }

  int run_rows(const std::string& rows, const std::string& runs, const std::string& more = "") {
    return run(root_ / "scripted.toml", runs, "--rows '" + rows + "' " + more);
  }
};

TEST_F(ScriptedExamples, AScriptedClipCostsAndFindsWhatTheBuiltInDoes) {
  ASSERT_EQ(run_rows("CLIP,scripted loss", "runs"), 0) << output("runs");
  const auto finished = cells("runs");
  ASSERT_EQ(finished.size(), 2U);
  const auto cost = [](const RunFolder& cell) { return nlohmann::json::parse(read_file(cell.metrics()))["cost"]; };
  EXPECT_EQ(cost(finished[0])["flops"], cost(finished[1])["flops"]);
  EXPECT_EQ(cost(finished[0])["parameters"], cost(finished[1])["parameters"]);
  // Rounding differs, so single pictures may be classified otherwise after training.
  EXPECT_NEAR(metrics(finished[0])[0]["value"].get<double>(), metrics(finished[1])[0]["value"].get<double>(), 0.05);
}

TEST_F(ScriptedExamples, InterruptedAndResumedItEndsInTheSameBytes) {
  const std::string often = "--set engine.checkpoint_seconds=0";
  ASSERT_EQ(run_rows("scripted tower", "whole", often), 0) << output("whole");
  // Killed once it has written its fourth step.
  std::atomic<bool> over = false;
  std::thread killer([&] {
    while (!over && !kill_engine_after(root_ / "stopped", 4)) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  });
  const int interrupted = run_rows("scripted tower", "stopped", often);
  over = true;
  killer.join();
  EXPECT_EQ(interrupted, 1) << output("stopped");
  ASSERT_EQ(run_rows("scripted tower", "stopped", often), 0) << output("stopped");
  EXPECT_TRUE(results("stopped") == results("whole"));
}

TEST_F(ScriptedExamples, AChangedFileMakesANewCell) {
  ASSERT_EQ(run_rows("scripted loss", "runs"), 0) << output("runs");
  fs::copy_file(root_ / "tower.pt", root_ / "clip.pt", fs::copy_options::overwrite_existing);
  EXPECT_EQ(run_rows("scripted loss", "runs"), 2) << "what it cannot do is found before training";
  EXPECT_THAT(output("runs"), HasSubstr("clip.pt: forward() has an argument \"images\""));
}

TEST_F(ScriptedExamples, AMissingFileIsRefusedBeforeAnythingStarts) {
  fs::remove(root_ / "clip.pt");
  EXPECT_EQ(run_rows("scripted loss", "runs"), 2);
  EXPECT_THAT(output("runs"), HasSubstr("objective \"torchscript\": file cannot be used"));
}

// The scripts that users are shown, run by the Python whose torch silc is built with.
class PythonExample : public Examples, public ::testing::WithParamInterface<Expected> {};

TEST_P(PythonExample, WritesAModuleThatTrains) {
  const std::string python = SILC_TORCH_PYTHON;
  if (python.empty()) GTEST_SKIP() << "LibTorch does not come from a Python's torch here";
  const auto& [name, rows, metric] = GetParam();
  for (const char* ending : {".py", ".toml"})
    fs::copy_file(kExamples / "python" / (name + ending), root_ / (name + ending));
  const std::string command = "cd '" + root_.string() + "' && '" + python + "' " + name + ".py > python.txt 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << read_file(root_ / "python.txt");
  ASSERT_EQ(run(root_ / (name + ".toml"), "runs"), 0) << output("runs");
  EXPECT_EQ(cells("runs").size(), rows);
}

INSTANTIATE_TEST_SUITE_P(Files, PythonExample,
                         ::testing::Values(Expected{"hard_negatives", 3, "acc1"}, Expected{"convnet", 2, "acc1"}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace silc
