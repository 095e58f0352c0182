// `silc completion` knows every command and every flag that `--help` knows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/shell.h"

namespace {

using silc::testing::output_of;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

const std::string kSilc = SILC_BINARY_DIR "/bin/silc";

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

struct Help {
  std::vector<std::string> commands;
  std::vector<std::string> flags;         // "--jobs", of the command's own
  std::vector<std::string> common_flags;  // of every command
};

// "  --set KEY=VALUE  sets …", below the title of its section.
Help read_help(const std::string& command) {
  Help help;
  std::istringstream text(output_of("'" + kSilc + "' " + command + " --help"));
  std::string title;
  for (std::string line; std::getline(text, line);) {
    if (!line.empty() && line.front() != ' ') title = line;
    if (line.rfind("  ", 0) != 0 || line.rfind("   ", 0) == 0) continue;
    for (std::string word : words_of(line.substr(0, line.find("  ", 2)))) {
      if (word.back() == ',') word.pop_back();
      if (title == "Commands:") help.commands.push_back(word);
      if (word.front() != '-') continue;
      if (title == "Flags:") help.flags.push_back(word);
      if (title == "Common flags:") help.common_flags.push_back(word);
    }
  }
  return help;
}

// Every command as it is written behind "silc ": "", "run", "plugin", "plugin show", …
void collect(const std::string& command, std::map<std::string, Help>& all) {
  const Help help = read_help(command);
  all[command] = help;
  for (const std::string& below : help.commands) collect(command.empty() ? below : command + " " + below, all);
}

// Tests run side by side: each has a file of its own.
std::string script_file(const std::string& suffix) {
  return ::testing::TempDir() + "/" + ::testing::UnitTest::GetInstance()->current_test_info()->name() + "." + suffix;
}

std::string script(const std::string& shell) { return output_of("'" + kSilc + "' completion " + shell); }

class Completion : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { collect("", commands_); }

  // What bash offers behind the words, the last of which is being typed.
  static std::vector<std::string> offers(const std::vector<std::string>& words) {
    const std::string file = script_file("bash");
    std::ofstream(file) << script("bash");
    std::string list;
    for (const std::string& word : words) list += " '" + word + "'";
    return words_of(output_of("bash -c 'compopt() { :; }; source " + file +
                              "; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); "
                              "_silc; printf \"%s\\n\" \"${COMPREPLY[@]}\"' bash '" +
                              kSilc + "'" + list));
  }

  static std::vector<std::string> behind(const std::string& command, const std::string& last) {
    auto words = words_of(command);
    words.push_back(last);
    return offers(words);
  }

  static inline std::map<std::string, Help> commands_;
};

TEST_F(Completion, FindsTheCommandsInTheHelp) {
  EXPECT_THAT(commands_[""].commands, IsSupersetOf({"run", "report", "plugin", "completion"}));
  EXPECT_THAT(commands_["run"].flags, Contains("--rows"));
  EXPECT_THAT(commands_["plugin show"].common_flags, Contains("--plugin-path"));
}

TEST_F(Completion, OfBashOffersEveryCommandAndEveryFlag) {
  for (const auto& [command, help] : commands_) {
    if (!help.commands.empty()) {
      EXPECT_THAT(behind(command, ""), IsSupersetOf(help.commands)) << command;
    }
    const auto offered = behind(command, "-");
    EXPECT_THAT(offered, IsSupersetOf(help.flags)) << command;
    EXPECT_THAT(offered, IsSupersetOf(help.common_flags)) << command;
  }
}

TEST_F(Completion, OfZshAndFishNameEveryCommandAndEveryFlag) {
  const std::string zsh = script("zsh"), fish = script("fish");
  for (const auto& [command, help] : commands_) {
    const std::string path = command.empty() ? "silc" : "silc " + command;
    EXPECT_THAT(zsh, HasSubstr("('" + path + "')"));
    for (const std::string& below : help.commands) {
      EXPECT_THAT(zsh, HasSubstr("'" + below + ":"));
      EXPECT_THAT(fish, HasSubstr("complete -c silc -n '__silc_at " + path + "' -a " + below + " "));
    }
    for (const std::string& flag : help.flags) {
      EXPECT_THAT(zsh, HasSubstr("'" + flag + ":"));
      EXPECT_THAT(fish,
                  HasSubstr(flag.rfind("--", 0) == 0 ? " -l " + flag.substr(2) + " " : " -s " + flag.substr(1) + " "));
    }
  }
}

TEST_F(Completion, OffersWhatMayFollowAFlag) {
  EXPECT_THAT(offers({"completion", ""}), ::testing::UnorderedElementsAre("bash", "zsh", "fish"));
  EXPECT_THAT(offers({"report", "--format", "m"}), ::testing::ElementsAre("markdown"));
  EXPECT_THAT(offers({"plugin", "new", "data"}), ::testing::ElementsAre("dataset"));
  EXPECT_THAT(offers({"run", "--jobs", ""}), ::testing::IsEmpty());
}

TEST_F(Completion, OffersPluginsAndTheRowsOfTheExperiment) {
  const std::string plugins = SILC_BINARY_DIR "/tests/fake_plugins.so";
  EXPECT_THAT(offers({"plugin", "show", "--plugin-path", plugins, "text_tr"}), Contains("text_transformer"));
  const std::string experiment = SILC_SOURCE_DIR "/tests/cli/experiments/two_rows.toml";
  const auto rows = offers({"run", experiment, "--plugin-path", plugins, "--rows", ""});
  EXPECT_THAT(rows, Contains("CLIP"));
  // Of a list the part behind the comma.
  EXPECT_THAT(offers({"run", experiment, "--plugin-path", plugins, "--rows", "CLIP,"}), Contains("CLIP,CLIP"));
}

TEST_F(Completion, IsSilentWhereThereIsNothingToOffer) {
  EXPECT_THAT(offers({"run", "nowhere.toml", "--rows", ""}), ::testing::IsEmpty());
  EXPECT_THAT(offers({"show", "--runs", "/nowhere", ""}), ::testing::IsEmpty());
}

TEST_F(Completion, IsSoundInEveryShellThatIsInstalled) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    if (output_of(std::string("command -v ") + shell).rfind("(failed)", 0) == 0) continue;
    const std::string file = script_file(shell);
    std::ofstream(file) << script(shell);
    EXPECT_EQ(output_of(std::string(shell) + " -n " + file + " 2>&1"), "") << shell;
  }
}

}  // namespace
