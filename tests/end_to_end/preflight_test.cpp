// What can be known before training is said before training: all of it, with its place, and nothing is started.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "files/durable_file.h"
#include "files/safetensors.h"
#include "tests/files/command.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Preflight : public ::testing::Test {
 protected:
  // What silc says on both streams, with its runs in root_.
  testing::CommandResult silc(const std::string& arguments) {
    return testing::run_command("'" SILC_BINARY_DIR "/bin/silc' " + arguments + " --runs '" +
                                (root_ / "runs").string() + "' --plugin-path '" SILC_BINARY_DIR "/examples' 2>&1");
  }

  TemporaryFolder temporary_;
  fs::path root_ = temporary_.path();
};

// Lines of `text` that hold "# here", from 1.
std::vector<int> marked_lines(const std::string& text) {
  std::vector<int> lines;
  std::istringstream stream(text);
  int number = 0;
  for (std::string line; std::getline(stream, line);) {
    ++number;
    if (line.find("  # here") != std::string::npos) lines.push_back(number);
  }
  return lines;
}

// Lines that `output` names in FILE:LINE:COLUMN.
std::vector<int> named_lines(const std::string& output, const std::string& file) {
  std::vector<int> lines;
  for (size_t at = output.find(file + ":"); at != std::string::npos; at = output.find(file + ":", at + 1))
    lines.push_back(std::stoi(output.substr(at + file.size() + 1)));
  return lines;
}

TEST_F(Preflight, FindsEightFaultsAtOnceBeforeAnythingIsTrained) {
  const std::string file = SILC_SOURCE_DIR "/tests/end_to_end/late_faults.toml";
  const auto result = silc("run '" + file + "'");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(named_lines(result.output, file), marked_lines(read_file(file))) << result.output;
  EXPECT_FALSE(fs::exists(root_ / "runs"));
  EXPECT_EQ(silc("plan '" + file + "' --no-measure").output, result.output) << "plan says the same";
}

constexpr const char* kPhases = R"(
[experiment]
name = "phases"
[budget]
examples = 16
[data]
train = "shapes"
[model]
image = { image_size = 32, patch = 16, width = 16, layers = 1, heads = 2 }
text = { width = 16, layers = 1, heads = 2, context_length = 16, tokenizer = "bytes" }
embed_dim = 8
[optimizer]
batch = 8
[engine]
device = "cpu"
threads = 1
[[evaluate]]
evaluator = "captioning"
dataset = { dataset = "shapes", examples = 8 }
[[row]]
name = "CLIP"
objective = "clip"
[[table]]
name = "captions"
columns = ["captioning/cider"]
)";

constexpr const char* kSecondPhase = R"(
[[row]]
name = "CLIP, then LiT"
[[row.phase]]
row = "CLIP"
[[row.phase]]
objective = "lit"
)";

// Large models are looked at with shapes alone; what is wrong with them is told as of others.
TEST_F(Preflight, FindsFaultsOfModelsThatAreTooLargeToTryAStep) {
  const std::string plan = "plan '" SILC_SOURCE_DIR "/experiments/paper-sizes.toml' --no-measure --rows 'B/16 SILC' ";
  EXPECT_EQ(silc(plan).exit_code, 0);
  const auto shape = silc(plan + "--set model.image.heads=5");
  EXPECT_EQ(shape.exit_code, 2);
  EXPECT_THAT(shape.output, HasSubstr("backbone \"vit\": width 768 is not a multiple of heads 5"));
  const auto crop = silc(plan + R"(--set 'objective={name="silc",local_size=100}')");
  EXPECT_EQ(crop.exit_code, 2);
  EXPECT_THAT(crop.output, HasSubstr("cuts crops \"local\" of 100 pixels"));
}

TEST_F(Preflight, FindsACheckpointOfAnotherShape) {
  const fs::path file = root_ / "phases.toml";
  std::ofstream(file) << kPhases;
  const auto trained = silc("run '" + file.string() + "'");
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  EXPECT_THAT(trained.output, HasSubstr("\"CLIP\": captioning does not apply: the model has no caption decoder."));
  EXPECT_THAT(silc("report phases").output,
              AllOf(HasSubstr("n/a"), Not(HasSubstr("missing")),
                    HasSubstr("\"CLIP\": captioning does not apply: the model has no caption decoder.")));

  for (const auto& entry : fs::recursive_directory_iterator(root_ / "runs"))
    if (entry.path().extension() == ".safetensors" && entry.path().parent_path().filename() == "checkpoints") {
      const SafetensorsFile checkpoint(entry.path());
      std::map<std::string, TensorView> changed = checkpoint.tensors();
      for (auto& [name, tensor] : changed)
        if (name == "model.image.projection") std::swap(tensor.shape[0], tensor.shape[1]);
      const fs::path other = root_ / "other";
      write_safetensors(other, changed, checkpoint.metadata());
      fs::rename(other, entry.path());
    }
  std::ofstream(file, std::ios::app) << kSecondPhase;
  const auto result = silc("run '" + file.string() + "'");
  EXPECT_EQ(result.exit_code, 2) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("phases.toml:31:1: the checkpoint in "),
                                   HasSubstr("does not fit the model: tensor \"model.image.projection\" is")));
}

}  // namespace
}  // namespace silc
