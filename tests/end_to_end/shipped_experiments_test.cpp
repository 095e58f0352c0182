// The experiments that silc ships.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "files/durable_file.h"
#include "spec/experiment.h"
#include "tests/files/temporary_folder.h"
#include "tests/pictures/fixture.h"
#include "tests/plugins/datasets/made_drawings.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

const fs::path kExperiments = fs::path(SILC_SOURCE_DIR) / "experiments";

std::vector<std::string> shipped() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kExperiments))
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

const Catalogue& built_in() {
  static const fs::path folders[] = {fs::path(SILC_BINARY_DIR) / "plugins"};
  static const Catalogue catalogue = Catalogue::scan(folders);
  return catalogue;
}

// Objectives of all cells, those of earlier phases among them.
std::set<std::string> objectives_of(const std::string& name) {
  std::set<std::string> objectives;
  const ExperimentRequest request{.file = kExperiments / (name + ".toml")};
  for (const ResolvedCell& cell : read_experiment(request, built_in()).cells) {
    objectives.insert(cell.objective.name);
    for (const ResolvedCell& phase : cell.earlier) objectives.insert(phase.objective.name);
  }
  return objectives;
}

class ShippedExperiment : public ::testing::TestWithParam<std::string> {};

// Debian's drawings are stood in for, where they are not installed and where they are.
TEST_P(ShippedExperiment, PassesPlan) {
  const TemporaryFolder shared;
  if (GetParam() == "clipart") {
    const std::vector<uint8_t> png = testing::stored_bytes("png_alpha.file");
    testing::make_drawings(shared.path(), [&](const std::string&) { return std::string(png.begin(), png.end()); });
    testing::make_photographs(shared.path(), testing::stored_photo());
  }
  const fs::path output = fs::path(::testing::TempDir()) / ("silc-plan-" + GetParam() + ".txt");
  const std::string command = "XDG_DATA_DIRS='" + shared.path().string() +
                              ":/usr/local/share:/usr/share' '" SILC_BINARY_DIR "/bin/silc' plan '" +
                              (kExperiments / (GetParam() + ".toml")).string() +
                              "' --no-measure --plugin-path '" SILC_BINARY_DIR "/examples' --runs '" +
                              (fs::path(::testing::TempDir()) / "silc-no-runs").string() + "' > '" + output.string() +
                              "' 2>&1";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 0) << read_file(output);
}

INSTANTIATE_TEST_SUITE_P(Files, ShippedExperiment, ::testing::ValuesIn(shipped()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

class ExperimentOfEveryObjective : public ::testing::TestWithParam<const char*> {};

TEST_P(ExperimentOfEveryObjective, HasThemAll) {
  std::set<std::string> objectives;
  for (const PluginInfo& plugin : built_in().plugins())
    if (plugin.kind == PluginKind::objective && plugin.name != "torchscript")  // needs a file of the user's
      objectives.insert(plugin.name);
  EXPECT_EQ(objectives_of(GetParam()), objectives);
}

INSTANTIATE_TEST_SUITE_P(Files, ExperimentOfEveryObjective, ::testing::Values("objectives", "smoke"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace silc
