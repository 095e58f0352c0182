// Runs of `silc` in a folder of their own, which tests can kill.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "files/durable_file.h"
#include "files/run_folder.h"
#include "nlohmann/json.hpp"
#include "tests/files/command.h"
#include "tests/files/temporary_folder.h"

namespace silc::testing {

// `silc ARGUMENTS` in `folder`, with what it says on stderr.
inline CommandResult silc_in(const std::filesystem::path& folder, const std::string& arguments) {
  return run_command("cd '" + folder.string() + "' && '" SILC_BINARY_DIR "/bin/silc' " + arguments + " 2>&1");
}

// The experiment is the file pair.toml in `root_`.
class SilcRuns : public ::testing::Test {
 protected:
  explicit SilcRuns(const std::string& experiment) { std::ofstream(root_ / "pair.toml") << experiment; }

  // Starts `silc run` with its runs below `name`; its output goes to NAME.txt.
  pid_t start(const std::string& name) {
    const std::string program = (std::filesystem::path(SILC_BINARY_DIR) / "bin/silc").string();
    const std::string experiment = (root_ / "pair.toml").string();
    const std::string runs = (root_ / name).string();
    const std::string output = (root_ / (name + ".txt")).string();
    const pid_t child = fork();
    if (child == 0) {
      const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
      dup2(file, 1);
      dup2(file, 2);
      execl(program.c_str(), program.c_str(), "run", experiment.c_str(), "--runs", runs.c_str(), "--jobs", "1",
            "--threads", "1", nullptr);
      _exit(127);
    }
    return child;
  }

  static int wait_for(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  int run(const std::string& name) { return wait_for(start(name)); }

  // Runs and kills silc and its engine after `steps` steps, and runs again to the end.
  void run_killed_after(size_t steps, const std::string& name) {
    const pid_t silc = start(name);
    while (events(name, "step").size() < steps && waitpid(silc, nullptr, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    kill(silc, SIGKILL);
    kill(events(name, "started").back()["pid"].get<pid_t>(), SIGKILL);
    EXPECT_EQ(wait_for(silc), -SIGKILL);
    ASSERT_EQ(run(name), 0) << output(name);
  }

  std::string output(const std::string& name) { return read_file(root_ / (name + ".txt")); }

  std::vector<RunFolder> folders(const std::string& name) {
    std::vector<RunFolder> found;
    if (!std::filesystem::exists(root_ / name)) return found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root_ / name))
      if (entry.path().filename() == "events.jsonl") found.push_back({entry.path().parent_path()});
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
    return found;
  }

  std::vector<Event> events(const std::string& name, const std::string& kind) {
    std::vector<Event> matching;
    for (const RunFolder& folder : folders(name)) {
      uint64_t offset = 0;
      for (const Event& event : read_events(folder.events(), offset))
        if (event["event"] == kind) matching.push_back(event);
    }
    return matching;
  }

  // What must not depend on interruptions: checkpoints and samples by content, metrics.
  std::map<std::string, std::string> result(const std::string& name) {
    std::map<std::string, std::string> files;
    for (const RunFolder& folder : folders(name)) {
      for (const auto& part : {folder.checkpoints(), folder.samples()}) {
        if (!std::filesystem::exists(part)) continue;  // a trial that has stopped on its way is not evaluated
        for (const auto& entry : std::filesystem::directory_iterator(part))
          files[std::filesystem::relative(entry.path(), root_ / name)] = read_file(entry.path());
      }
      if (!std::filesystem::exists(folder.metrics())) continue;
      const auto metrics = nlohmann::json::parse(read_file(folder.metrics()))["metrics"];
      files[std::filesystem::relative(folder.metrics(), root_ / name)] = metrics.dump();
    }
    return files;
  }

  // What `silc COMMAND` prints of "runs", and `silc report` with these arguments.
  std::string printed_by(const std::string& command, const std::string& arguments = "") {
    const std::filesystem::path printed = root_ / "printed.txt";
    const std::string line = "'" SILC_BINARY_DIR "/bin/silc' " + command + " --runs '" + (root_ / "runs").string() +
                             "' > '" + printed.string() + "' " + arguments;
    EXPECT_EQ(std::system(line.c_str()), 0);
    return read_file(printed);
  }
  std::string report_of(const std::string& arguments) { return printed_by("report", arguments); }

  TemporaryFolder temporary_;
  std::filesystem::path root_ = temporary_.path();
};

}  // namespace silc::testing
