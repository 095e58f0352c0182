#include "spec/cell.h"

#include <gmock/gmock.h>

#include <set>

#include "spec_testing.h"

namespace silc {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class CellTest : public SpecTest {
 protected:
  ResolvedCell cell() { return read(kFull).cells.back(); }

  ResolvedCell read_back(const std::string& text) { return read_cell(write(text), fake_catalogue()); }

  std::string id_of(const std::string& text, ExperimentRequest request = {}) {
    return cell_id(read(text, std::move(request)).cells.front());
  }

  std::string refusal(const std::string& text) {
    try {
      read_back(text);
    } catch (const SpecError& error) {
      return error.diagnostics().at(0).message;
    }
    return "";
  }
};

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST_F(CellTest, EveryCellIsReadBackAsItWasWritten) {
  for (const ResolvedCell& cell : read(kFull).cells) EXPECT_EQ(read_back(write_cell(cell)), cell);
}

TEST_F(CellTest, HowPicturesAreTransformedIsReadBack) {
  ResolvedCell cell = this->cell();
  cell.image.resize_mode = "shortest";
  cell.image.interpolation = "bicubic";
  cell.image.mean = {0.48145466, 0.4578275, 0.40821073};
  cell.image.std = {0.26862954, 0.26130258, 0.27577711};
  cell.train.on_error = "skip";
  cell.evaluations[0].data.skip_limit = 7;
  EXPECT_EQ(read_back(write_cell(cell)), cell);
}

TEST_F(CellTest, HowPicturesAreTransformedIsPartOfTheIdentityUnlessItIsAsUsual) {
  const std::string usual = id_of(kOneRow);
  EXPECT_EQ(id_of(kOneRow, {.sets = {"model.image.resize_mode=\"squash\"", "model.image.mean=[0.5,0.5,0.5]"}}), usual);
  for (const std::string set : {"model.image.resize_mode=\"shortest\"", "model.image.interpolation=\"bicubic\"",
                                "model.image.mean=[0.5,0.5,0.4]", "model.image.std=[0.5,0.5,1]"})
    EXPECT_NE(id_of(kOneRow, {.sets = {set}}), usual) << set;
}

// Two sources, the first with twice the share of the second.
const std::string kMixture =
    replaced(kOneRow, "train = \"fashion_scenes\"",
             "train = [{ dataset = \"fashion_scenes\", weight = 2 }, { dataset = \"fashion_scenes\", pictures = 7 }]");

TEST_F(CellTest, AMixtureIsReadBack) {
  ResolvedCell cell = read(kMixture).cells.front();
  ASSERT_EQ(cell.train.parts.size(), 2U);
  EXPECT_EQ(cell.train.weights, (std::vector<double>{2, 1}));
  cell.train.parts[1].fingerprint = "4567";
  EXPECT_EQ(read_back(write_cell(cell)), cell);
}

TEST_F(CellTest, SharesOfAMixtureArePartOfTheIdentity) {
  EXPECT_NE(id_of(kMixture), id_of(kOneRow));
  EXPECT_NE(id_of(kMixture), id_of(replaced(kMixture, "weight = 2", "weight = 3")));
  EXPECT_EQ(id_of(kMixture), id_of(replaced(kMixture, "weight = 2", "weight = 2, skip_limit = 5")));
}

TEST_F(CellTest, AMixtureIsCheckedPartByPart) {
  EXPECT_THAT(faults(replaced(kMixture, "weight = 2", "weight = 0")),
              HasSubstr("data.train.weight must be a number above 0"));
  EXPECT_THAT(faults(replaced(kMixture, "pictures", "picturs")), HasSubstr("did you mean \"pictures\"?"));
  EXPECT_THAT(faults(replaced(kMixture, "weight = 2", "on_error = \"skip\"")),
              HasSubstr("on_error must be the same in all parts of a mixture"));
}

TEST_F(CellTest, WhatBecomesOfBadSamplesIsNoPartOfTheIdentity) {
  EXPECT_EQ(id_of(kOneRow, {.sets = {"data.train.on_error=\"skip\"", "data.train.skip_limit=5"}}), id_of(kOneRow));
}

TEST_F(CellTest, FingerprintsAreReadBack) {
  ResolvedCell cell = this->cell();
  cell.train.fingerprint = "0123abcd";
  cell.evaluations[1].data.fingerprint = "4567";
  EXPECT_EQ(read_back(write_cell(cell)), cell);
}

TEST_F(CellTest, NumbersThatHaveNoShortFormAreReadBackExactly) {
  ResolvedCell cell = this->cell();
  cell.optimizer.lr = 1.0 / 3;
  cell.optimizer.epsilon = 5e-324;
  cell.optimizer.weight_decay = 1.7976931348623157e308;
  cell.budget = {BudgetUnit::flops, 123456789012345678.0};
  EXPECT_EQ(read_back(write_cell(cell)), cell);
}

TEST_F(CellTest, TextsWithEveryAsciiCharacterAreReadBack) {
  ResolvedCell cell = read(kHead + "[[row]]\nname = \"a\"\nobjective = \"silc\"\n").cells[0];
  std::string text;
  for (char c = 1; c < 127; ++c) text += c;
  auto values = cell.objective.options.values();
  values["note"] = text + "\x7f ä 😀";
  cell.objective.options = Options(values);
  EXPECT_EQ(read_back(write_cell(cell)), cell);
}

TEST_F(CellTest, TheFileBeginsWithWhatTheCellIs) {
  const ResolvedCell cell = this->cell();
  EXPECT_THAT(write_cell(cell), testing::StartsWith("[cell]\nexperiment = \"ablation\"\nrow = \"SILC "
                                                    "[optimizer.lr=0.0003]\"\nseed = 2\nid = \"" +
                                                    cell_id(cell) + "\"\n"));
}

TEST_F(CellTest, AnEditedFileIsRefused) {
  EXPECT_THAT(refusal(replaced(write_cell(cell()), "lr = 0.0003\n", "lr = 0.0004\n")),
              HasSubstr("does not belong to these settings"));
}

TEST_F(CellTest, ACellOfAnotherPluginVersionIsRefused) {
  EXPECT_EQ(refusal(replaced(write_cell(cell()), "silc = 3\n", "silc = 2\n")),
            "this cell was planned with version 2 of objective \"silc\", which is at version 3 now; start silc run "
            "again");
}

TEST_F(CellTest, ACutFileIsRefused) {
  const std::string text = write_cell(cell());
  EXPECT_NE(refusal(text.substr(0, text.find("[optimizer]"))), "");
}

TEST_F(CellTest, TheIdHasTwelveHexDigits) { EXPECT_THAT(cell_id(cell()), MatchesRegex("[0-9a-f]{12}")); }

TEST_F(CellTest, TheIdIsStable) {
  // Computed once. A change of it makes every finished cell run again: raise kEngineVersion if that is meant.
  EXPECT_EQ(id_of(kOneRow), "c7815b763147");
}

TEST_F(CellTest, TheIdOfEverySeedAndRowDiffers) {
  std::set<std::string> ids;
  for (const ResolvedCell& cell : read(kFull).cells) ids.insert(cell_id(cell));
  EXPECT_EQ(ids.size(), 18u);
}

TEST_F(CellTest, WhatDecidesTheResultChangesTheId) {
  const std::string id = id_of(kFull);
  for (const char* set :
       {"optimizer.lr=0.7", "optimizer.batch=32", "optimizer.warmup=0.2", "optimizer.beta2=0.9",
        "budget.examples=50000", "budget.flops=40000", "data.train.pictures=501", "data.train.split=\"test\"",
        "model.embed_dim=64", "model.image.width=96", "model.image.image_size=32", "model.text.context_length=8",
        "model.text.tokenizer=\"words\"", "objective={name=\"clip\", temperature=0.1}", "engine.precision=\"fp32\"",
        "evaluation.weights=[\"teacher\", \"student\"]", "experiment.seeds=[9]", "optimizer.accumulate=2",
        "evaluate=[{evaluator=\"zero_shot_classification\", dataset=\"fashion_scenes\"}]"}) {
    ExperimentRequest request{.sets = {"table=[]", set}};
    EXPECT_NE(id_of(kFull, request), id) << set;
  }
}

TEST_F(CellTest, WhatDoesNotDecideTheResultLeavesTheId) {
  const std::string id = id_of(kFull);
  for (const char* set :
       {"experiment.name=\"other\"", "experiment.title=\"other\"", "engine.device=\"cpu\"", "engine.threads=3",
        "engine.data_threads=3", "engine.checkpoint_seconds=5", "engine.log_every=77", "engine.chunk=64",
        "engine.evaluate_every=0.1", "engine.evaluate_samples=7", "engine.recompute=\"blocks\"",
        "engine.deterministic=false", "table=[]", "optimizer.lr=0.001"})
    EXPECT_EQ(id_of(kFull, {.sets = {set}}), id) << set;
  EXPECT_EQ(id_of(kFull + "# a comment\n"), id);
  EXPECT_EQ(id_of(replaced(kFull, "1e-3, 3e-4", "0.0010, 5e-4")), id);
}

TEST_F(CellTest, ADefaultThatIsWrittenOutLeavesTheId) {
  EXPECT_EQ(id_of(kOneRow + "optimizer.beta1 = 0.9\nmodel.image.patch = 8\n"), id_of(kOneRow));
}

TEST_F(CellTest, FingerprintsAndPluginVersionsChangeTheId) {
  const ResolvedCell cell = this->cell();
  ResolvedCell other = cell;
  other.train.fingerprint = "other";
  EXPECT_NE(cell_id(other), cell_id(cell));
  other = cell;
  other.evaluations[0].data.fingerprint = "other";
  EXPECT_NE(cell_id(other), cell_id(cell));
  other = cell;
  other.text.tokenizer.version = 2;
  EXPECT_NE(cell_id(other), cell_id(cell));
}

class CellWithAFile : public CellTest {
 protected:
  CellWithAFile() { save("loss.pt", "a"); }

  void save(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }

  const std::string with_file_ = kHead + R"(
[[row]]
name = "scripted"
objective = { name = "scripted", file = "loss.pt" }
)";
};

TEST_F(CellWithAFile, APathStartsFromTheExperimentsFolder) {
  const ResolvedCell cell = read(with_file_).cells[0];
  EXPECT_EQ(std::get<std::string>(cell.objective.options.values().at("file")), (folder_ / "loss.pt").string());
}

TEST_F(CellWithAFile, APathOfTheCommandLineStartsFromTheWorkingDirectory) {
  const auto file = std::filesystem::relative(folder_ / "loss.pt").string();
  EXPECT_EQ(read(with_file_, {.sets = {"objective.file=\"" + file + "\""}}).cells, read(with_file_).cells);
}

TEST_F(CellWithAFile, ItIsReadBackAsItWasWritten) {
  const ResolvedCell cell = read(with_file_).cells[0];
  EXPECT_THAT(write_cell(cell), HasSubstr("[files]\n\"" + (folder_ / "loss.pt").string() + "\" = \""));
  EXPECT_EQ(read_back(write_cell(cell)), cell);
}

TEST_F(CellWithAFile, TheContentDecidesTheIdAndThePathDoesNot) {
  const std::string id = id_of(with_file_);
  save("elsewhere/loss.pt", "a");
  EXPECT_EQ(id_of(replaced(with_file_, "loss.pt", "elsewhere/loss.pt")), id);
  save("loss.pt", "b");
  EXPECT_NE(id_of(with_file_), id);
}

TEST_F(CellWithAFile, WhoseContentHasChangedIsRefused) {
  const std::string planned = write_cell(read(with_file_).cells[0]);
  save("loss.pt", "b");
  EXPECT_EQ(refusal(planned),
            (folder_ / "loss.pt").string() + " has changed since this cell was planned; start silc run again");
}

TEST_F(CellWithAFile, AMissingFileIsAFaultAtItsPlace) {
  const std::string file = (folder_ / "none.pt").string();
  EXPECT_EQ(faults(replaced(with_file_, "loss.pt", "none.pt")),
            "objective \"scripted\": file cannot be used: cannot read " + file + ": No such file or directory");
}

TEST_F(CellWithAFile, AFileThatMustBeNamedIsAskedFor) {
  EXPECT_EQ(faults(kHead + "[[row]]\nname = \"a\"\nobjective = \"scripted\"\n"),
            "objective \"scripted\": file must name a file");
}

TEST_F(CellWithAFile, AFileThatNeedNotBeNamedMayBeMissing) {
  const ResolvedCell cell = read(kOneRow + "model.image = \"convnet\"\n").cells[0];
  EXPECT_EQ(std::get<std::string>(cell.image.backbone.options.values().at("weights")), "");
  EXPECT_TRUE(cell.image.backbone.files.empty());
}

TEST_F(CellTest, TheRunFolderIsMadeOfNamesSeedAndId) {
  const ResolvedCell cell = this->cell();
  EXPECT_EQ(run_folder(cell).string(), "ablation/silc-optimizer-lr-0-0003/seed-2-" + cell_id(cell));
}

TEST(PathName, KeepsLettersAndDigitsOnly) {
  EXPECT_EQ(path_name("+ additional views"), "additional-views");
  EXPECT_EQ(path_name("../../etc/passwd"), "etc-passwd");
  EXPECT_EQ(path_name("  CLIP (2021)  "), "clip-2021");
  EXPECT_EQ(path_name("日本"), "");
}

TEST(PathName, LongNamesStayDifferent) {
  const std::string name(300, 'a');
  EXPECT_EQ(path_name(name + "b").size(), 100u);
  EXPECT_NE(path_name(name + "b"), path_name(name + "c"));
}

}  // namespace
}  // namespace silc
