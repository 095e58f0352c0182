// Transcripts: texts that read like a session in a shell.
//
//     # a remark
//     $ silc plugin show nothing
//     silc: there is no plugin "nothing"; silc plugin list shows all
//     [exit 2]
//
// Output is stdout and stderr as they come. "*" stands for any text within a line, a line "..." for any number of
// lines. A command without [exit N] must exit with 0.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/files/command.h"

namespace silc::testing {

struct Command {
  std::string line;
  std::vector<std::string> output;
  int exit_code = 0;
  int line_number = 0;
};

// `number`: of the line before the first.
inline std::vector<Command> read_transcript(std::istream& stream, int number = 0) {
  std::vector<Command> commands;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.rfind("# ", 0) == 0 || (line.empty() && commands.empty())) continue;
    if (line.rfind("$ ", 0) == 0)
      commands.push_back({line.substr(2), {}, 0, number});
    else if (line.rfind("[exit ", 0) == 0)
      commands.back().exit_code = std::stoi(line.substr(6));
    else
      commands.back().output.push_back(line);
  }
  for (Command& command : commands)
    while (!command.output.empty() && command.output.back().empty()) command.output.pop_back();
  return commands;
}

inline bool matches_line(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    for (size_t skipped = 0; skipped <= text.size(); ++skipped)
      if (matches_line(pattern.substr(1), text.substr(skipped))) return true;
    return false;
  }
  return !text.empty() && pattern.front() == text.front() && matches_line(pattern.substr(1), text.substr(1));
}

using Lines = std::vector<std::string>;

inline bool matches(Lines::const_iterator pattern, Lines::const_iterator end, Lines::const_iterator text,
                    Lines::const_iterator text_end) {
  if (pattern == end) return text == text_end;
  if (*pattern == "...") {
    for (;; ++text) {
      if (matches(pattern + 1, end, text, text_end)) return true;
      if (text == text_end) return false;
    }
  }
  return text != text_end && matches_line(*pattern, *text) && matches(pattern + 1, end, text + 1, text_end);
}

struct Result {
  Lines output;
  int exit_code = 0;
};

inline Result run(const std::filesystem::path& folder, const std::string& line) {
  std::ofstream(folder / ".command") << line << "\n";
  const auto [exit_code, text] = run_command("cd '" + folder.string() + "' && /bin/sh .command 2>&1");
  Result result{.output = {}, .exit_code = exit_code};
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    result.output.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  while (!result.output.empty() && result.output.back().empty()) result.output.pop_back();
  return result;
}

inline std::string join(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// Runs the commands in `folder`, one after the other, and compares what they print. `name`: of the file they are in.
inline void expect_transcript(const std::string& name, const std::vector<Command>& commands,
                              const std::filesystem::path& folder) {
  ASSERT_FALSE(commands.empty());
  for (const Command& command : commands) {
    const Result result = run(folder, command.line);
    EXPECT_TRUE(matches(command.output.begin(), command.output.end(), result.output.begin(), result.output.end()))
        << name << ":" << command.line_number << ": $ " << command.line << "\n--- expected\n"
        << join(command.output) << "--- printed\n"
        << join(result.output);
    EXPECT_EQ(result.exit_code, command.exit_code)
        << name << ":" << command.line_number << ": $ " << command.line << "\n"
        << join(result.output);
  }
}

}  // namespace silc::testing
