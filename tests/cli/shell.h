// What a command prints.
#pragma once

#include <string>

#include "tests/files/command.h"

namespace silc::testing {

// On standard output; "(failed) " before it unless the command exits with 0.
inline std::string output_of(const std::string& command) {
  const CommandResult result = run_command(command);
  return result.exit_code == 0 ? result.output : "(failed) " + result.output;
}

}  // namespace silc::testing
