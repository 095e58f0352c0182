// A plugin that takes its engine down loses its own cell, and silc says which plugin it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/files/command.h"
#include "tests/files/temporary_folder.h"

namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kExperiment = R"(
[experiment]
name = "crashes"
seeds = [0]

[budget]
examples = 16

[data]
train = { dataset = "shapes", split = "train" }

[model]
image = { backbone = "vit", image_size = 32, patch = 16, width = 16, layers = 1, heads = 2 }
text = { backbone = "text_transformer", width = 16, layers = 1, heads = 2, context_length = 16, tokenizer = "bytes" }
embed_dim = 8

[optimizer]
batch = 8

[engine]
device = "cpu"
threads = 1

[[row]]
name = "good"
objective = "clip"
)";

struct Row {
  std::string settings;
  std::string message;  // what silc must say of it
};

std::string objective(const std::string& how, const std::string& where = "second_step") {
  return "objective = { name = \"crasher\", how = \"" + how + "\", where = \"" + where + "\" }\n";
}

const std::map<std::string, Row> kRows = {
    {"segfault", {objective("segfault"), "killed by signal 11 (SIGSEGV) in objective \"crasher\""}},
    {"abort", {objective("abort"), "killed by signal 6 (SIGABRT) in objective \"crasher\""}},
    {"own thread", {objective("thread"), "killed by signal 6 (SIGABRT) in objective \"crasher\""}},
    {"stack",
     {objective("stack"),
      "killed by signal 11 (SIGSEGV) in objective \"crasher\": its stack overflowed; endless recursion?"}},
    {"exit",
     {objective("exit"),
      "the engine ended without finishing the cell in objective \"crasher\", which must not end the process (exit)"}},
    {"quick exit",
     {objective("quick_exit"),
      "the engine exited with code 3 in objective \"crasher\", which must not end the process (exit)"}},
    {"kill", {objective("kill"), "killed by signal 9 (SIGKILL) in objective \"crasher\": out of memory?"}},
    {"loop",
     {objective("loop") + "engine.hang_seconds = 3\n",
      "stopped by silc: no sign of life for 3 s in objective \"crasher\"; engine.hang_seconds says how long to wait"}},
    {"memory", {objective("memory") + "engine.memory_limit = 1.0\n", "stopped by silc: it took "}},
    {"bad_alloc",
     {objective("bad_alloc"), "objective \"crasher\": out of memory; use a smaller optimizer.batch or model"}},
    {"throw", {objective("throw"), "objective \"crasher\": vector::at"}},
    {"data",
     {"objective = \"clip\"\nbudget = { examples = 200 }\ndata.train = { dataset = \"crashing_data\", split = "
      "\"train\" }\n",
      "killed by signal 11 (SIGSEGV) in dataset \"crashing_data\""}},
    {"data loop",
     {"objective = \"clip\"\nbudget = { examples = 200 }\nengine.hang_seconds = 3\n"
      "data.train = { dataset = \"crashing_data\", split = \"train\", how = \"loop\" }\n",
      "stopped by silc: no sign of life for 3 s in dataset \"crashing_data\""}},
};

// What is found before training.
const std::map<std::string, Row> kEarlyRows = {
    {"constructor",
     {objective("segfault", "constructor"),
      "objective \"crasher\": the engine was killed by signal 11 (SIGSEGV) when it was tried before training"}},
    {"stack",
     {objective("stack", "step"),
      "objective \"crasher\": the engine was killed by signal 11 (SIGSEGV) when it was tried before training: its "
      "stack "
      "overflowed; endless recursion?"}},
    {"exit",
     {objective("quick_exit", "step"),
      "objective \"crasher\": the engine exited with code 3 when it was tried before training; a plugin must not end "
      "the process (exit)"}},
    {"loop",
     {objective("loop", "step"),
      "objective \"crasher\": no sign of life for 3 s when it was tried before training; engine.hang_seconds says how "
      "long to wait"}},
    {"throw", {objective("throw", "constructor"), "objective \"crasher\" ("}},
};

// One run with a row for each way to crash, and a good one among them.
class Crashes : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = new silc::TemporaryFolder();
    std::ofstream file(*root_ / "crashes.toml");
    file << kExperiment;
    for (const auto& [row, what] : kRows) file << "\n[[row]]\nname = \"" << row << "\"\n" << what.settings;
    file.close();
    exit_code_ = silc("run '" + (*root_ / "crashes.toml").string() + "' --jobs 2", nullptr);
    std::string status;
    silc("status --json", &status);
    for (const auto& cell : nlohmann::json::parse(status, nullptr, false).value("cells", nlohmann::json::array())) {
      states_[cell.value("row", "")] = cell.value("state", "");
      messages_[cell.value("row", "")] = cell.value("message", "");
    }
  }
  static void TearDownTestSuite() { delete root_; }

  // Returns the exit code; what it says on stdout goes to `output`, if asked for.
  static int silc(const std::string& arguments, std::string* output) {
    const std::string command =
        "'" SILC_BINARY_DIR "/bin/silc' --plugin-path '" SILC_BINARY_DIR "/tests/libraries/crashers' --runs '" +
        (*root_ / "runs").string() + "' " + arguments + " 2>>'" + (*root_ / "log").string() + "'";
    const auto result = silc::testing::run_command(command);
    if (output != nullptr) *output += result.output;
    return result.exit_code;
  }

  static std::string log() {
    std::ifstream file(*root_ / "log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  static inline silc::TemporaryFolder* root_ = nullptr;
  static inline int exit_code_ = -1;
  static inline std::map<std::string, std::string> states_;    // by row
  static inline std::map<std::string, std::string> messages_;  // by row
};

// One test, because the run takes a while.
TEST_F(Crashes, LoseTheirOwnCellsAndAreNamedWithWhatHappened) {
  EXPECT_EQ(exit_code_, 1) << log();
  EXPECT_EQ(states_["good"], "finished") << log();
  for (const auto& [row, what] : kRows) {
    EXPECT_EQ(states_[row], "failed") << row << "\n" << log();
    EXPECT_THAT(messages_[row], StartsWith(what.message)) << row;
  }
  EXPECT_THAT(messages_["memory"],
              AllOf(HasSubstr("in objective \"crasher\""), HasSubstr("engine.memory_limit (1 GB)")));
}

TEST_F(Crashes, AreAllToldBeforeTrainingWhereTheyCanBe) {
  std::ofstream file(*root_ / "early.toml");
  std::string experiment = kExperiment;
  experiment.replace(experiment.find("\"crashes\""), 9, "\"early\"");
  experiment.replace(experiment.find("threads = 1"), 11, "threads = 1\nhang_seconds = 3");
  file << experiment;
  for (const auto& [row, what] : kEarlyRows) file << "\n[[row]]\nname = \"" << row << "\"\n" << what.settings;
  file << "\n[[evaluate]]\nevaluator = \"crashing_evaluator\"\ndataset = { dataset = \"shapes\", examples = 8 }\n";
  file.close();
  EXPECT_EQ(silc("run '" + (*root_ / "early.toml").string() + "'", nullptr), 2);
  for (const auto& [row, what] : kEarlyRows)
    EXPECT_THAT(log(), HasSubstr("row \"" + row + "\": " + what.message)) << log();
  EXPECT_THAT(log(), HasSubstr("evaluator \"crashing_evaluator\": the engine was killed by signal 11 (SIGSEGV)"));
  EXPECT_FALSE(std::filesystem::exists(*root_ / "runs/early"));
}

}  // namespace
