// Rows that start from files of weights: what becomes of their settings, and of the weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "files/durable_file.h"
#include "spec/experiment.h"
#include "tests/end_to_end/silc_runs.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Small random models that others' Python wrote (tests/reference/foreign_models.py).
std::string foreign(const std::string& name) { return SILC_SOURCE_DIR "/tests/data/foreign/" + name; }

const std::string kHead = R"([experiment]
name = "weights"
seeds = [3, 4]

[budget]
examples = 64

[data]
train = { dataset = "shapes", examples = 64, size = 32 }

[model]
image = { width = 32, layers = 1, heads = 2, patch = 8, image_size = 32 }
text = { width = 32, layers = 1, heads = 2, context_length = 16, tokenizer = "bytes" }
embed_dim = 16

[optimizer]
batch = 8

[[evaluate]]
evaluator = "retrieval"
dataset = { dataset = "shapes", examples = 32, size = 32 }
)";

// One that says all that its file does not.
std::string open_clip_row(const std::string& more = "") {
  return "\n[[row]]\nname = \"released\"\ncheckpoint = \"" + foreign("open_clip_quick_gelu/model.safetensors") + R"("
model.image = { mlp = "quick_gelu", heads = 2 }
model.text = { mlp = "quick_gelu", heads = 3, tokenizer = "bytes" }
)" + more;
}

// Trains a text tower to the same file's image tower, from where its first phase says.
const std::string kLit = R"(
[[row]]
name = "LiT"
objective = "lit"
model.image = { mlp = "quick_gelu", heads = 2 }
model.text = { mlp = "quick_gelu", heads = 3, tokenizer = "bytes" }
)";

class CheckpointRows : public ::testing::Test {
 protected:
  Experiment read(const std::string& text) {
    std::ofstream(root_ / "weights.toml") << text;
    static const std::vector<fs::path> folders = {fs::path(SILC_BINARY_DIR) / "plugins"};
    return read_experiment({.file = root_ / "weights.toml"}, Catalogue::scan(folders));
  }

  std::string faults(const std::string& text) {
    try {
      read(text);
    } catch (const SpecError& error) {
      return error.what();
    }
    return "";
  }

  testing::CommandResult silc(const std::string& arguments) { return testing::silc_in(root_, arguments); }

  // Of the one cell below a folder of the runs.
  nlohmann::json results(const fs::path& row) {
    for (const auto& entry : fs::recursive_directory_iterator(root_ / "runs" / row))
      if (entry.path().filename() == "metrics.json") return nlohmann::json::parse(read_file(entry.path()));
    return nullptr;
  }

  static std::map<std::string, double> values(const nlohmann::json& results) {
    std::map<std::string, double> found;
    for (const auto& metric : results["metrics"]) found[metric["name"].get<std::string>()] = metric["value"];
    return found;
  }

  TemporaryFolder temporary_;
  fs::path root_ = temporary_.path();
};

TEST_F(CheckpointRows, HaveTheModelOfTheFileAndWhatTheRowSaysOfIt) {
  const ResolvedCell cell = read(kHead + open_clip_row("objective = \"clip\"\nmodel.embed_dim = 99\n")).cells.at(0);
  const auto& image = cell.image.backbone.options.values();
  EXPECT_EQ(image.at("layers"), OptionValue(int64_t{2}));
  EXPECT_EQ(image.at("mlp"), OptionValue(std::string("quick_gelu")));
  EXPECT_EQ(cell.image.image_size, 16);
  EXPECT_EQ(cell.image.resize_mode, "shortest");  // as CLIP prepares pictures
  EXPECT_EQ(cell.embed_dim, 99);
  ASSERT_THAT(cell.start.files, SizeIs(1));
  EXPECT_EQ(cell.start.files[0].path, foreign("open_clip_quick_gelu/model.safetensors"));
}

TEST_F(CheckpointRows, LeaveTheFilesModelToOtherRows) {
  const Experiment experiment =
      read(kHead + open_clip_row("objective = \"clip\"\n") + "\n[[row]]\nname = \"CLIP\"\nobjective = \"clip\"\n");
  EXPECT_EQ(experiment.cells.at(1).embed_dim, 16);
  EXPECT_THAT(experiment.cells.at(1).start.files, IsEmpty());
}

TEST_F(CheckpointRows, AreKnownByTheContentOfTheFileAndNotByItsPlace) {
  const std::string row = open_clip_row("objective = \"clip\"\n");
  const std::string id = cell_id(read(kHead + row).cells.at(0));
  fs::copy_file(foreign("open_clip_quick_gelu/model.safetensors"), root_ / "moved.safetensors");
  std::string moved = row;
  moved.replace(moved.find(foreign("")), foreign("open_clip_quick_gelu/model.safetensors").size(), "moved.safetensors");
  EXPECT_EQ(cell_id(read(kHead + moved).cells.at(0)), id);
  std::string other = row;
  other.replace(other.find("open_clip_quick_gelu"), std::string("open_clip_quick_gelu").size(), "open_clip_gelu");
  EXPECT_NE(cell_id(read(kHead + other).cells.at(0)), id);
}

TEST_F(CheckpointRows, WithABudgetOfNothingAreOneCellWhateverTheSeedsAndTheTraining) {
  const std::string row = open_clip_row("budget.examples = 0\n");
  const Experiment experiment = read(kHead + row);
  ASSERT_THAT(experiment.cells, SizeIs(1));
  EXPECT_TRUE(is_evaluated_only(experiment.cells[0]));
  EXPECT_EQ(experiment.cells[0].objective.name, "clip");
  EXPECT_FALSE(is_there(experiment.cells[0].train));
  std::string trained_otherwise = kHead;
  trained_otherwise.replace(trained_otherwise.find("batch = 8"), 9, "batch = 4");
  EXPECT_EQ(cell_id(read(trained_otherwise + row).cells[0]), cell_id(experiment.cells[0]));
}

TEST_F(CheckpointRows, AreRefusedWhereTheFileDoesNotSayWhatTheModelIs) {
  const std::string row = "\n[[row]]\nname = \"released\"\nbudget.examples = 0\ncheckpoint = \"" +
                          foreign("open_clip_quick_gelu/model.safetensors") + "\"\n";
  EXPECT_THAT(faults(kHead + row), AllOf(HasSubstr("weights.toml:"), HasSubstr("does not say model.image.mlp"),
                                         HasSubstr("does not say model.text.tokenizer")));
}

TEST_F(CheckpointRows, AreRefusedWhereTheFileIsNoneOrNotThere) {
  std::ofstream(root_ / "notes.txt") << "nothing";
  const auto row = [](const std::string& file) {
    return "\n[[row]]\nname = \"released\"\nbudget.examples = 0\ncheckpoint = " + file + "\n";
  };
  EXPECT_THAT(faults(kHead + row("\"notes.txt\"")), HasSubstr("no file of weights"));
  EXPECT_THAT(faults(kHead + row("\"missing.safetensors\"")), HasSubstr("there is no file or folder"));
  EXPECT_THAT(faults(kHead + row("7")), HasSubstr("must be a file or folder"));
  EXPECT_THAT(faults(kHead + row("{ file = \"notes.txt\", share = 1 }")), HasSubstr("unknown key"));
}

TEST_F(CheckpointRows, ABudgetOfNothingNeedsWeights) {
  EXPECT_THAT(faults(kHead + "\n[[row]]\nname = \"CLIP\"\nobjective = \"clip\"\nbudget.examples = 0\n"),
              HasSubstr("has a budget of 0"));
}

TEST_F(CheckpointRows, MixesHaveSharesThatAddUpToOneAndModelsThatAreAlike) {
  const std::string one = foreign("open_clip_quick_gelu/model.safetensors"), two = foreign("open_clip_no_pre_norm");
  const auto row = [&](const std::string& files, const std::string& mix) {
    return "\n[[row]]\nname = \"mix\"\nbudget.examples = 0\ncheckpoint = { files = " + files + ", mix = " + mix +
           " }\n";
  };
  EXPECT_THAT(faults(kHead + row("[\"" + one + "\", \"" + one + "\"]", "[0.5, 0.6]")), HasSubstr("add up to 1"));
  EXPECT_THAT(faults(kHead + row("[\"" + one + "\"]", "[0.5, 0.5]")), HasSubstr("one for each file"));
  EXPECT_THAT(faults(kHead + row("[\"" + one + "\", \"" + two + "\"]", "[0.5, 0.5]")), HasSubstr("another model"));
}

TEST_F(CheckpointRows, TheFirstPhaseStartsFromTheFileAndTheOthersFromIt) {
  const ResolvedCell cell = read(kHead + open_clip_row(R"(objective = "clip"
[[row.phase]]
name = "text alone"
objective = "lit"
[[row.phase]]
budget.examples = 32
)"))
                                .cells.at(0);
  ASSERT_THAT(cell.earlier, SizeIs(1));
  EXPECT_THAT(cell.earlier[0].start.files, SizeIs(1));
  EXPECT_THAT(cell.start.files, IsEmpty());
  EXPECT_EQ(cell.image, cell.earlier[0].image);
}

TEST_F(CheckpointRows, APhaseThatNamesACheckpointAloneIsWhereTheNextOneStarts) {
  const ResolvedCell cell = read(kHead + kLit + R"([[row.phase]]
checkpoint = ")" + foreign("open_clip_quick_gelu/model.safetensors") +
                                 R"("
[[row.phase]]
budget.examples = 32
)")
                                .cells.at(0);
  EXPECT_THAT(cell.earlier, IsEmpty());
  EXPECT_THAT(cell.start.files, SizeIs(1));
  EXPECT_EQ(cell.budget.amount, 32);
}

TEST_F(CheckpointRows, ARowThatStartsFromOneWhichIsOnlyEvaluatedStartsFromItsFile) {
  const Experiment experiment = read(kHead + open_clip_row("budget.examples = 0\n") + kLit + R"([[row.phase]]
row = "released"
[[row.phase]]
budget.examples = 32
)");
  ASSERT_THAT(experiment.cells, SizeIs(3));  // LiT with each seed
  const ResolvedCell& lit = experiment.cells.at(1);
  EXPECT_EQ(lit.row, "LiT");
  EXPECT_THAT(lit.earlier, IsEmpty());
  EXPECT_EQ(lit.start.files, experiment.cells.at(0).start.files);
}

TEST_F(CheckpointRows, ALaterPhaseCannotNameACheckpoint) {
  EXPECT_THAT(faults(kHead + open_clip_row("objective = \"clip\"\n[[row.phase]]\n[[row.phase]]\ncheckpoint = \"" +
                                           foreign("open_clip_gelu/model.safetensors") + "\"\n")),
              HasSubstr("only the first can name a checkpoint"));
}

TEST_F(CheckpointRows, APictureModelGivesTheImageTowerAlone) {
  const ResolvedCell cell = read(kHead + "\n[[row]]\nname = \"LiT\"\nobjective = \"lit\"\ncheckpoint = \"" +
                                 foreign("hf_dinov2/model") + "\"\n")
                                .cells.at(0);
  EXPECT_EQ(cell.text.context_length, 16);
  EXPECT_EQ(cell.embed_dim, 16);
  EXPECT_EQ(cell.image.backbone.options.values().at("patch_bias"), OptionValue(true));
  EXPECT_THAT(faults(kHead + "\n[[row]]\nname = \"alone\"\nbudget.examples = 0\ncheckpoint = \"" +
                     foreign("hf_dinov2/model") + "\"\n"),
              HasSubstr("no text tower"));
}

TEST_F(CheckpointRows, RunsOfSilcAreEvaluatedToTheFiguresThatTheyHadAndMixedBetweenTheirEnds) {
  std::ofstream(root_ / "weights.toml") << kHead + R"(
[[row]]
name = "SILC"
objective = { name = "silc", prototypes = 32, hidden = 32, bottleneck = 16, local_views = 2, teacher_momentum = 0.5 }
evaluation.weights = ["student"]
)";
  ASSERT_EQ(silc("run weights.toml -q").exit_code, 0);
  std::vector<std::string> runs;
  for (const auto& entry : fs::directory_iterator(root_ / "runs/weights/silc")) runs.push_back(entry.path().string());
  ASSERT_THAT(runs, SizeIs(2));
  const std::string data = " --with retrieval --data shapes --option examples=32 --option size=32 -q ";
  const auto mixed = silc("eval " + runs[0] + " " + runs[1] + data + "--weights 0,0.5,1 --name first,middle,second");
  ASSERT_EQ(mixed.exit_code, 0) << mixed.output;
  const auto trained = [&](const std::string& run) {
    return values(nlohmann::json::parse(read_file(fs::path(run) / "metrics.json")));
  };
  EXPECT_EQ(values(results("eval/first")), trained(runs[0]));
  EXPECT_EQ(values(results("eval/second")), trained(runs[1]));
  ASSERT_EQ(silc("eval " + runs[0] + data + "--weights teacher --name teacher").exit_code, 0);
  EXPECT_THAT(values(results("eval/teacher")), Not(IsEmpty()));
  // What training cost is not known, which is not nothing.
  EXPECT_FALSE(results("eval/first")["cost"].contains("flops"));
  // Rows of earlier calls stay in the table.
  const auto table = silc("report eval");
  EXPECT_THAT(table.output, AllOf(HasSubstr("first"), HasSubstr("middle"), HasSubstr("second"), HasSubstr("teacher")));
  EXPECT_THAT(table.output, AllOf(HasSubstr("what training cost is not known"), Not(HasSubstr("Rows differ"))));
  const auto shown = silc("show eval/first/0");
  EXPECT_THAT(shown.output, AllOf(HasSubstr(runs[0]), HasSubstr("hash")));
  // A tokenizer that has nothing from the captions of training needs none of those data.
  EXPECT_THAT(shown.output, Not(HasSubstr("[start.captions]")));
}

TEST_F(CheckpointRows, ThatAreOnlyEvaluatedArePlannedAsWorkWithoutSteps) {
  std::ofstream(root_ / "weights.toml") << kHead + "\n[[row]]\nname = \"CLIP\"\nobjective = \"clip\"\n";
  ASSERT_EQ(silc("run weights.toml --seeds 3 -q").exit_code, 0);
  const std::string run = fs::directory_iterator(root_ / "runs/weights/clip")->path().string();
  std::ofstream(root_ / "weights.toml") << kHead + "\n[[row]]\nname = \"again\"\nbudget.examples = 0\ncheckpoint = \"" +
                                               run + "\"\n";
  const auto planned = silc("plan weights.toml --json");
  ASSERT_EQ(planned.exit_code, 0) << planned.output;
  EXPECT_THAT(planned.output, Not(HasSubstr("could not be measured")));
}

TEST_F(CheckpointRows, AWrongRequestOfEvalLeavesTheExperimentAsItWas) {
  const auto refused =
      silc("eval " + foreign("open_clip_quick_gelu/model.safetensors") + " --with retrieval --data shapes");
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output,
              AllOf(HasSubstr("does not say model.image.mlp"), HasSubstr("--set"), Not(HasSubstr(".new"))));
  EXPECT_FALSE(fs::exists(root_ / "runs/eval/eval.toml"));
  EXPECT_EQ(silc("eval missing.pt --with retrieval --data shapes").exit_code, 2);
  EXPECT_EQ(silc("eval " + foreign("open_clip_gelu") + " --with retrieval --data shapes --weights 0,1").exit_code, 2);
}

}  // namespace
}  // namespace silc
