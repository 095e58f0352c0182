// What a shell command prints, and how it ends.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace silc::testing {

struct CommandResult {
  int exit_code = 0;  // 128 + N: ended by signal N
  std::string output;
};

// Of its standard output.
inline CommandResult run_command(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  CommandResult result;
  char buffer[4096];
  for (size_t got = 0; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) result.output.append(buffer, got);
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

}  // namespace silc::testing
