// `silc serve` of a FakeStudy, in a process of its own.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/registry/page/fake_study.h"

namespace silc {

inline const std::string kSilcProgram = SILC_BINARY_DIR "/bin/silc";

// As one word of a shell.
inline std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

class ServedStudy {
 public:
  explicit ServedStudy(const FakeStudy& study, const std::vector<std::string>& flags = {}) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    std::vector<std::string> words = {kSilcProgram, "serve",
                                      "study",      "--port",
                                      "0",          "-q",
                                      "--runs",     study.fakes.runs().string(),
                                      "--registry", study.fakes.registry_file().string()};
    words.insert(words.end(), flags.begin(), flags.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn(&process_, kSilcProgram.c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    FILE* output = fdopen(ends[0], "r");
    char line[200] = {};
    if (fgets(line, sizeof(line), output) != nullptr) address_ = line;
    fclose(output);
    while (!address_.empty() && address_.back() == '\n') address_.pop_back();
  }

  ~ServedStudy() {
    if (process_ <= 0) return;
    kill(process_, SIGTERM);
    int status = 0;
    waitpid(process_, &status, 0);
    EXPECT_EQ(status, 0) << "it does not end well";
  }

  ServedStudy(const ServedStudy&) = delete;
  ServedStudy& operator=(const ServedStudy&) = delete;

  [[nodiscard]] const std::string& address() const { return address_; }

 private:
  pid_t process_ = 0;
  std::string address_;
};

}  // namespace silc
