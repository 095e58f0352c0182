// Runs transcripts: files that read like a session in a shell.
//
//     # a remark
//     $ silc plugin show nothing
//     silc: there is no plugin "nothing"; silc plugin list shows all
//     [exit 2]
//
// Output is stdout and stderr as they come. "*" stands for any text within a line, a line "..." for any number of
// lines. A command without [exit N] must exit with 0. All commands of a file run in one new folder that holds the
// experiments of tests/cli/experiments; silc, with a fake engine and plugins beside it, is on the PATH.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/cli/installed_silc.h"
#include "tests/files/command.h"

namespace {

namespace fs = std::filesystem;

struct Command {
  std::string line;
  std::vector<std::string> output;
  int exit_code = 0;
  int line_number = 0;
};

std::vector<Command> read_transcript(const fs::path& file) {
  std::vector<Command> commands;
  std::ifstream stream(file);
  int number = 0;
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

bool matches_line(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern.front() == '*') {
    for (size_t skipped = 0; skipped <= text.size(); ++skipped)
      if (matches_line(pattern.substr(1), text.substr(skipped))) return true;
    return false;
  }
  return !text.empty() && pattern.front() == text.front() && matches_line(pattern.substr(1), text.substr(1));
}

using Lines = std::vector<std::string>;

bool matches(Lines::const_iterator pattern, Lines::const_iterator end, Lines::const_iterator text,
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

Result run(const fs::path& folder, const std::string& line) {
  std::ofstream(folder / ".command") << line << "\n";
  const auto [exit_code, text] = silc::testing::run_command("cd '" + folder.string() + "' && /bin/sh .command 2>&1");
  Result result{.output = {}, .exit_code = exit_code};
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    result.output.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  while (!result.output.empty() && result.output.back().empty()) result.output.pop_back();
  return result;
}

std::string join(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

class Transcript : public silc::testing::InstalledSilc, public ::testing::WithParamInterface<std::string> {};

fs::path transcripts() { return fs::path(SILC_SOURCE_DIR) / "tests/cli/transcripts"; }

TEST_P(Transcript, ReadsAsWritten) {
  const auto commands = read_transcript(transcripts() / (GetParam() + ".txt"));
  ASSERT_FALSE(commands.empty());
  for (const Command& command : commands) {
    const Result result = run(work_, command.line);
    EXPECT_TRUE(matches(command.output.begin(), command.output.end(), result.output.begin(), result.output.end()))
        << GetParam() << ".txt:" << command.line_number << ": $ " << command.line << "\n--- expected\n"
        << join(command.output) << "--- printed\n"
        << join(result.output);
    EXPECT_EQ(result.exit_code, command.exit_code)
        << GetParam() << ".txt:" << command.line_number << ": $ " << command.line << "\n"
        << join(result.output);
  }
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(transcripts()))
    if (entry.path().extension() == ".txt") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Cli, Transcript, ::testing::ValuesIn(names()),
                         [](const auto& parameter) { return parameter.param; });

}  // namespace
