// Every file in tests/data/broken_experiments gives exactly the message in its neighbour ending in .expected. A first
// line
// "# --set KEY=VALUE" is applied as on the command line.
#include <algorithm>

#include "spec_testing.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

fs::path broken_folder() { return fs::path(SILC_SOURCE_DIR) / "tests/data/broken_experiments"; }

std::string content_of(const fs::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> broken_files() {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(broken_folder()))
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

ExperimentRequest request_of(const fs::path& file) {
  ExperimentRequest request{.file = file};
  const std::string prefix = "# --set ";
  const std::string text = content_of(file);
  const std::string first = text.substr(0, text.find('\n'));
  if (first.starts_with(prefix)) request.sets.push_back(first.substr(prefix.size()));
  return request;
}

class BrokenExperiments : public testing::TestWithParam<std::string> {};

TEST_P(BrokenExperiments, GiveTheExpectedMessage) {
  const std::string folder = broken_folder().string() + "/";
  std::string message;
  try {
    read_experiment(request_of(folder + GetParam() + ".toml"), fake_catalogue());
  } catch (const SpecError& error) {
    message = error.what();
    message += '\n';
  }
  for (std::size_t at = message.find(folder); at != std::string::npos; at = message.find(folder))
    message.erase(at, folder.size());
  EXPECT_EQ(message, content_of(folder + GetParam() + ".expected"));
}

INSTANTIATE_TEST_SUITE_P(Files, BrokenExperiments, testing::ValuesIn(broken_files()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace silc
