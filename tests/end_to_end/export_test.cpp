// Models that were trained, exported, and read again: silc evaluates them as it evaluated the cell.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "files/durable_file.h"
#include "tests/end_to_end/silc_runs.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kExperiment = R"(
[experiment]
name = "exported"
seeds = [0]

[budget]
examples = 64

[data]
train = { dataset = "shapes", examples = 64, size = 32 }

[model]
image = { width = 32, layers = 1, heads = 2, patch = 8, image_size = 32, interpolation = "bicubic" }
text = { width = 32, layers = 1, heads = 2, context_length = 48, tokenizer = "bytes" }
embed_dim = 16

[optimizer]
batch = 8

[[evaluate]]
evaluator = "retrieval"
dataset = { dataset = "shapes", examples = 32, size = 32 }
split = "test"

[[row]]
name = "SILC"
objective = { name = "silc", prototypes = 32, hidden = 32, bottleneck = 16, local_views = 2, teacher_momentum = 0.5 }
evaluation.weights = ["student", "teacher"]

[[row]]
name = "words"
objective = "clip"
model.text.tokenizer = "words"
)";

class ExportedCells : public ::testing::Test {
 protected:
  ExportedCells() { std::ofstream(root_ / "exported.toml") << kExperiment; }

  testing::CommandResult silc(const std::string& arguments) { return testing::silc_in(root_, arguments); }

  // Retrieval by weights and metric, of a row of an experiment.
  std::map<std::string, double> metrics(const fs::path& row) {
    std::map<std::string, double> found;
    for (const auto& entry : fs::recursive_directory_iterator(root_ / "runs" / row)) {
      if (entry.path().filename() != "metrics.json") continue;
      const auto contents = nlohmann::json::parse(read_file(entry.path()));
      for (const auto& metric : contents["metrics"])
        found[metric["weights"].get<std::string>() + " " + metric["name"].get<std::string>()] = metric["value"];
    }
    return found;
  }

  std::map<std::string, double> metrics_of(const fs::path& row, const std::string& weights) {
    std::map<std::string, double> found;
    for (const auto& [name, value] : metrics(row))
      if (name.starts_with(weights + " ")) found[name.substr(weights.size() + 1)] = value;
    return found;
  }

  TemporaryFolder temporary_;
  fs::path root_ = temporary_.path();
};

TEST_F(ExportedCells, AreEvaluatedToTheSameFigures) {
  ASSERT_EQ(silc("run exported.toml --rows SILC -q").exit_code, 0);
  for (const std::string format : {"open_clip", "huggingface", "safetensors"}) {
    const auto exported = silc("checkpoint export exported/SILC/0 --format " + format + " --output " + format);
    EXPECT_EQ(exported.exit_code, 0) << exported.output;
  }
  const auto teacher = silc("checkpoint export exported/SILC/0 --weights teacher --output teacher --json -q");
  EXPECT_EQ(teacher.exit_code, 0) << teacher.output;
  EXPECT_EQ(nlohmann::json::parse(teacher.output)["files"], nlohmann::json::array({"model.safetensors"}));
  const auto evaluated = silc(
      "eval open_clip huggingface safetensors teacher --with retrieval --data shapes --option examples=32 "
      "--option size=32 --set 'model.text.tokenizer=\"bytes\"' -q");
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.output;
  for (const std::string format : {"open-clip", "huggingface", "safetensors"})
    EXPECT_EQ(metrics_of("eval/" + format, "student"), metrics_of("exported/silc", "student")) << format;
  EXPECT_EQ(metrics_of("eval/teacher", "student"), metrics_of("exported/silc", "teacher"));
  EXPECT_FALSE(metrics_of("exported/silc", "teacher").empty());
}

TEST_F(ExportedCells, SayWhatHasNoPlace) {
  ASSERT_EQ(silc("run exported.toml --rows words -q").exit_code, 0);
  const auto refused = silc("checkpoint export exported/words/0 --format open_clip --output model");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, AllOf(HasSubstr("model.text.tokenizer = \"words\""), HasSubstr("--without-tokenizer")));
  EXPECT_FALSE(fs::exists(root_ / "model"));
  EXPECT_EQ(silc("checkpoint export exported/words/0 --format open_clip --without-tokenizer --output model").exit_code,
            0);
  EXPECT_THAT(silc("checkpoint export exported/words/0 --weights teacher --output teacher").output,
              HasSubstr("has no teacher"));
  EXPECT_THAT(silc("checkpoint export exported/silk/0 --output other").output, HasSubstr("exported/silk/0"));
  EXPECT_THAT(silc("checkpoint export exported/words/0 --format onnx --output other").output,
              HasSubstr("choose open_clip, huggingface or safetensors"));
}

// Its vocabulary is learnt from captions: the export says which.
TEST_F(ExportedCells, KeepWhatAVocabularyWasLearntFrom) {
  ASSERT_EQ(silc("run exported.toml --rows words -q").exit_code, 0);
  ASSERT_EQ(silc("checkpoint export exported/words/0 --output words").exit_code, 0);
  const auto evaluated = silc("eval words --with retrieval --data shapes --option examples=32 --option size=32 -q");
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.output;
  EXPECT_EQ(metrics_of("eval/words", "student"), metrics_of("exported/words", "student"));
}

}  // namespace
}  // namespace silc
