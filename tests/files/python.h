// Python programs that tests ask for what packages of others make of silc's files.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "tests/files/command.h"

namespace silc::testing {

// People whose Python with the packages has another name set SILC_TEST_PYTHON.
inline std::vector<std::string> pythons() {
  std::vector<std::string> candidates = {"python3", SILC_SOURCE_DIR "/.deps/bench/bin/python"};
  if (const char* named = std::getenv("SILC_TEST_PYTHON")) candidates.insert(candidates.begin(), named);
  return candidates;
}

// The exit code by which scripts in tests/reference say that a package is missing.
inline constexpr int kMissingPackage = 3;

// What the first Python says that has what the script needs, stdout and stderr together; of none nothing, and why in
// `missing`. `arguments`: the script and its arguments, as a shell takes them.
inline std::optional<CommandResult> run_python(const std::string& arguments, std::string& missing) {
  for (const std::string& python : pythons()) {
    CommandResult result = run_command("'" + python + "' " + arguments + " 2>&1");
    if (result.exit_code != kMissingPackage && result.exit_code != 127) return result;
    missing += python + ": " + result.output;
  }
  return std::nullopt;
}

}  // namespace silc::testing
