// What a command prints.
#pragma once

#include <cstdio>
#include <string>

namespace silc::testing {

// On standard output; "(failed) " before it unless the command exits with 0.
inline std::string output_of(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  std::string text;
  char buffer[4096];
  for (size_t got = 0; (got = fread(buffer, 1, sizeof(buffer), pipe)) > 0;) text.append(buffer, got);
  return pclose(pipe) == 0 ? text : "(failed) " + text;
}

}  // namespace silc::testing
