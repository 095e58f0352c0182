// A Slurm of a test's own (tests/slurm/cluster), and runs of silc with it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "schedule/slurm_folder.h"
#include "tests/end_to_end/silc_runs.h"
#include "tests/files/command.h"

namespace silc::testing {

class SlurmCluster {
 public:
  SlurmCluster() {
    const CommandResult started = command("start", std::to_string(getpid()), " 2>&1");
    if (started.exit_code != 0) {
      fault_ = started.output;
      return;
    }
    setenv("SLURM_CONF", (folder_ / "slurm.conf").c_str(), 1);
  }
  ~SlurmCluster() {
    unsetenv("SLURM_CONF");
    command("stop");
  }
  SlurmCluster(const SlurmCluster&) = delete;
  SlurmCluster& operator=(const SlurmCluster&) = delete;

  // Why there is none; empty: it is up.
  [[nodiscard]] const std::string& fault() const { return fault_; }
  void fail_node(const std::string& name) const { command("fail", name); }
  void silence() const { command("silence"); }
  void speak() const { command("speak"); }

 private:
  CommandResult command(const std::string& what, const std::string& argument = "", const std::string& more = "") const {
    return run_command("env -u SLURM_CONF '" SILC_SOURCE_DIR "/tests/slurm/cluster' " + what + " '" +
                       folder_.path().string() + "' " + argument + more);
  }

  TemporaryFolder folder_;
  std::string fault_;
};

// The experiment is the file study.toml in `root_`.
class SlurmRuns : public ::testing::Test {
 protected:
  explicit SlurmRuns(const std::string& experiment) { std::ofstream(root_ / "study.toml") << experiment; }

  void SetUp() override {
    if (!cluster_.fault().empty()) GTEST_SKIP() << cluster_.fault();
  }

  // Engines that do as they are told (tests/schedule/fake_engine.cpp).
  void pretend(const std::string& behaviour) {
    setenv("SILC_ENGINE", SILC_BINARY_DIR "/tests/fake_engine", 1);
    setenv("FAKE_ENGINE", behaviour.c_str(), 1);
  }
  ~SlurmRuns() override {
    unsetenv("SILC_ENGINE");
    unsetenv("FAKE_ENGINE");
    for (const pid_t child : running_) kill(child, SIGKILL);
    for (const pid_t child : running_) waitpid(child, nullptr, 0);
  }

  // Starts `silc run study.toml ARGUMENTS` with its runs below `name`; its output goes to NAME.txt.
  pid_t start(const std::string& name, const std::string& arguments = "--launcher slurm") {
    const std::string line = "cd '" + root_.string() +
                             "' && exec '" SILC_BINARY_DIR "/bin/silc' run study.toml --runs '" + name + "' " +
                             arguments + " >>'" + name + ".txt' 2>&1";
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(127);
    }
    running_.push_back(child);
    return child;
  }
  int wait_for(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    std::erase(running_, child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  int run(const std::string& name, const std::string& arguments = "--launcher slurm") {
    return wait_for(start(name, arguments));
  }
  CommandResult silc(const std::string& arguments) { return silc_in(root_, arguments); }
  std::string output(const std::string& name = "runs") { return read_file(root_ / (name + ".txt")); }

  // Of the cell whose run folder's path holds `row`.
  RunFolder folder(const std::string& row, const std::string& name = "runs") {
    if (std::filesystem::exists(root_ / name))
      for (const auto& entry : std::filesystem::recursive_directory_iterator(root_ / name))
        if (entry.path().filename() == "cell.toml" && entry.path().string().find("/" + row + "/") != std::string::npos)
          return {entry.path().parent_path()};
    return {root_ / name / row};
  }
  static std::vector<Event> lines(const std::filesystem::path& file) {
    uint64_t offset = 0;
    return read_events(file, offset);
  }
  size_t count(const RunFolder& folder, const std::string& kind) {
    size_t found = 0;
    for (const Event& event : lines(folder.events())) found += event["event"] == kind ? 1 : 0;
    return found;
  }
  static std::string job_of(const RunFolder& folder) {
    const auto submission = read_submission(SlurmFolder(folder));
    return submission ? submission->job : "";
  }
  // As squeue has it.
  static std::string state_of(const std::string& job) {
    const CommandResult state =
        run_command("squeue --noheader --states=all --format=%T --jobs=" + job + " 2>/dev/null");
    return state.output.substr(0, state.output.find('\n'));
  }

  bool comes(const std::function<bool()>& wanted, int seconds = 60) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!wanted()) {
      if (std::chrono::steady_clock::now() > until) {
        ADD_FAILURE()
            << "it did not come within " << seconds << " s:\n"
            << output()
            << run_command("squeue --states=all; tail -n +1 '" + root_.string() + "'/runs/*/slurm/*.out 2>&1").output;
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }
  // Until the engine of the row's cell has begun its `starts`-th start and trains.
  bool trains(const std::string& row, size_t starts = 1) {
    return comes([&] { return count(folder(row), "started") >= starts && count(folder(row), "step") > 0; });
  }
  // What must not depend on where and how a cell was trained: checkpoints and samples by content, metrics.
  std::map<std::string, std::string> result(const std::string& name) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_ / name)) {
      const std::string path = std::filesystem::relative(entry.path(), root_ / name);
      if (path.ends_with(".safetensors")) files[path] = read_file(entry.path());
      if (path.ends_with("metrics.json"))
        files[path] = nlohmann::json::parse(read_file(entry.path()))["metrics"].dump();
    }
    return files;
  }

  TemporaryFolder temporary_;
  std::filesystem::path root_ = temporary_.path();
  SlurmCluster cluster_;
  std::vector<pid_t> running_;
};

}  // namespace silc::testing
