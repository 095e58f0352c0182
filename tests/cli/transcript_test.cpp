// Runs transcripts (tests/cli/transcript.h). All commands of a file run in one new folder that holds the experiments of
// tests/cli/experiments; silc, with a fake engine and plugins beside it, is on the PATH.
#include "tests/cli/transcript.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/cli/installed_silc.h"

namespace {

namespace fs = std::filesystem;

class Transcript : public silc::testing::InstalledSilc, public ::testing::WithParamInterface<std::string> {};

fs::path transcripts() { return fs::path(SILC_SOURCE_DIR) / "tests/cli/transcripts"; }

TEST_P(Transcript, ReadsAsWritten) {
  std::ifstream file(transcripts() / (GetParam() + ".txt"));
  silc::testing::expect_transcript(GetParam() + ".txt", silc::testing::read_transcript(file), work_);
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
