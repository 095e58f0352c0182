// Rows that are tuned before they are trained, killed on the way and run again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "files/run_folder.h"
#include "nlohmann/json.hpp"
#include "silc_runs.h"
#include "tests/end_to_end/tiny_model.h"

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

const std::string kTuned = testing::kPair + R"([row.search]
space = { "objective.initial_bias" = { range = [-10, 0] } }

[search]
trials = 3
budget = 0.5
metric = "zero_shot_classification/acc1"
space = { "optimizer.lr" = { log = [1e-4, 1e-2] } }
)";

class SearchEndToEnd : public testing::SilcRuns {
 protected:
  SearchEndToEnd() : SilcRuns(kTuned) {}

  void replace(const std::string& before, const std::string& after) {
    std::string text = read_file(root_ / "pair.toml");
    ASSERT_NE(text.find(before), std::string::npos);
    text.replace(text.find(before), before.size(), after);
    std::ofstream(root_ / "pair.toml") << text;
  }

  // cell.toml of each trial, or of each other cell.
  std::vector<std::string> cells(const std::string& name, bool trials) {
    std::vector<std::string> texts;
    for (const RunFolder& folder : folders(name))
      if (folder.path.filename().string().starts_with("trial-") == trials) texts.push_back(read_file(folder.cell()));
    return texts;
  }
};

TEST_F(SearchEndToEnd, TrainsTrialsOnValidationDataAndThenEachRowWithWhatIsChosen) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_THAT(cells("runs", true),
              AllOf(SizeIs(6), Each(AllOf(HasSubstr("split = \"validation\""), Not(HasSubstr("split = \"test\"")),
                                          HasSubstr("seed = 1000000")))));
  EXPECT_THAT(cells("runs", false), AllOf(SizeIs(2), Each(HasSubstr("split = \"test\""))));
  EXPECT_THAT(output("runs"), AllOf(HasSubstr("CLIP: chosen is trial "), HasSubstr("SigLIP: chosen is trial ")));
  EXPECT_THAT(report_of("pair"), HasSubstr("3 trials for each row"));
  EXPECT_THAT(report_of("pair --format csv"), HasSubstr("search/flops"));
  EXPECT_EQ(nlohmann::json::parse(report_of("pair --search --json")).at("rows").size(), 2U);
  EXPECT_THAT(printed_by("status"), AllOf(HasSubstr("3 finished"), HasSubstr("trial ")));
  const std::string plan = testing::silc_in(root_, "plan pair.toml --no-measure --runs runs").output;
  EXPECT_THAT(plan, HasSubstr("nothing left to do"));
  const auto before = result("runs");
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_TRUE(result("runs") == before);
  EXPECT_EQ(events("runs", "started").size(), 8U);
}

TEST_F(SearchEndToEnd, KilledInAnyPhaseItComesToTheSameChoiceAndBytes) {
  ASSERT_EQ(run("whole"), 0) << output("whole");
  for (const size_t steps : {2U, 15U, 33U, 44U}) {  // 36 of trials, 24 of rows
    const std::string name = "killed-" + std::to_string(steps);
    run_killed_after(steps, name);
    EXPECT_TRUE(result(name) == result("whole")) << "killed after " << steps << " steps";
  }
}

TEST_F(SearchEndToEnd, MoreTrialsLeaveThoseThatThereAre) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  const size_t before = events("runs", "started").size();
  replace("trials = 3", "trials = 4");
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_THAT(cells("runs", true), SizeIs(8));
  EXPECT_GE(events("runs", "started").size(), before + 2);
  EXPECT_LE(events("runs", "started").size(), before + 4) << "new trials, and the rows if another one is chosen";
}

TEST_F(SearchEndToEnd, SearchOnlyTrainsNoRow) {
  EXPECT_EQ(testing::silc_in(root_, "run pair.toml --search-only --threads 1 --runs runs").exit_code, 0);
  EXPECT_THAT(cells("runs", true), SizeIs(6));
  EXPECT_THAT(cells("runs", false), SizeIs(0));
}

TEST_F(SearchEndToEnd, HalvingKilledOnItsWayComesToTheSameChoiceAndBytes) {
  replace("trials = 3", "trials = 6\nmethod = \"halving\"\nreduction = 2\nrungs = 2");
  ASSERT_EQ(run("whole"), 0) << output("whole");
  EXPECT_EQ(events("whole", "paused").size(), 12U);
  for (const size_t steps : {5U, 20U, 40U}) {
    const std::string name = "killed-" + std::to_string(steps);
    run_killed_after(steps, name);
    EXPECT_TRUE(result(name) == result("whole")) << "killed after " << steps << " steps";
  }
}

TEST_F(SearchEndToEnd, ATrialWhoseLossIsNotFiniteCountsAsEffortIsShownAndIsNeverChosen) {
  replace("\"optimizer.lr\" = { log = [1e-4, 1e-2] }",
          "\"optimizer.lr\" = { choice = [1e-3, 1e30] }, \"optimizer.clip_grad_norm\" = { choice = [0.0] }");
  replace("range = [-10, 0]", "choice = [-10.0]");
  replace("trials = 3", "method = \"grid\"");
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_THAT(output("runs"), AllOf(HasSubstr("2 of 4 trials failed, which counts as effort and is never chosen"),
                                    HasSubstr("CLIP: chosen is trial 0: optimizer.lr = 0.001")));
  const auto json = nlohmann::json::parse(report_of("pair --search --json"));
  EXPECT_EQ(json["rows"][0]["trials"][1]["state"], "failed");
  EXPECT_EQ(json["rows"][0]["trials"][1]["score"], nullptr);
  EXPECT_GT(json["rows"][0]["trials"][1]["flops"], 0);
  EXPECT_THAT(report_of("pair"), HasSubstr("1 of them failed"));
}

// A row that starts from another one and has two phases of its own.
const std::string kStarting = R"(
[[row]]
name = "late"
objective = "siglip"
[[row.phase]]
row = "CLIP"
[[row.phase]]
name = "first"
budget.examples = 64
[[row.phase]]
budget.examples = 32
)";

TEST_F(SearchEndToEnd, ARowThatStartsFromATunedOneIsSearchedFromItsChosenTrialAndKilledComesToTheSame) {
  const std::string all = read_file(root_ / "pair.toml");
  const std::size_t siglip = all.find("[[row]]\nname = \"SigLIP\"");
  const std::size_t search = all.find("[search]");
  std::ofstream(root_ / "pair.toml") << all.substr(0, siglip) << kStarting << all.substr(search);
  replace("trials = 3", "trials = 4\nmethod = \"halving\"\nreduction = 2\nrungs = 2");
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_THAT(cells("runs", true), Each(AllOf(Not(HasSubstr("split = \"test\"")), HasSubstr("seed = 1000000"))));
  const std::size_t chosen = output("runs").find("CLIP: chosen is trial ");
  ASSERT_NE(chosen, std::string::npos);
  EXPECT_LT(chosen, output("runs").find("late (first), trial 0"));
  EXPECT_THAT(output("runs"), HasSubstr("late (first), trial 0: compared after 75% of its budget"));
  const auto json = nlohmann::json::parse(report_of("pair --search --json"));
  const auto& late = json["rows"][1];
  EXPECT_EQ(late["after"], "CLIP");
  for (const auto& trial : late["trials"]) {
    const bool whole = trial["state"] == "finished";
    EXPECT_EQ(trial["fraction"], whole ? 1 : 0.5);
    EXPECT_EQ(trial["rungs"][1].is_null(), !whole);
  }
  EXPECT_THAT(report_of("pair"), HasSubstr("Trials of \"late\" go on from the trial that was chosen for \"CLIP\""));
  for (const size_t steps : {10U, 36U, 50U}) {
    const std::string name = "killed-" + std::to_string(steps);
    run_killed_after(steps, name);
    EXPECT_TRUE(result(name) == result("runs")) << "killed after " << steps << " steps";
  }
}

TEST_F(SearchEndToEnd, DrawnPicturesAreToldByWhatTheyShow) {
  const auto pictures_of = [&](const std::string& split, int examples) {
    std::ofstream(root_ / "question.json") << nlohmann::json::array(
        {{{"dataset", "shapes"}, {"split", split}, {"options", {{"examples", examples}}}, {"pictures", 100}}});
    const std::string asked = "cd '" + root_.string() +
                              "' && '" SILC_BINARY_DIR
                              "/bin/silc-engine' fingerprint < "
                              "question.json";
    const auto answer = nlohmann::json::parse(testing::run_command(asked).output).at(0);
    EXPECT_EQ(answer.at("size"), examples);
    return answer.at("pictures").get<std::set<std::string>>();
  };
  const auto validation = pictures_of("validation", 64);
  EXPECT_THAT(validation, SizeIs(64));
  const auto more = pictures_of("validation", 96);
  EXPECT_TRUE(std::includes(more.begin(), more.end(), validation.begin(), validation.end()));
  for (const std::string& picture : pictures_of("test", 64)) EXPECT_FALSE(more.contains(picture));
}

TEST_F(SearchEndToEnd, ValidationPicturesThatAreTestPicturesAreRefusedUnderWhateverName) {
  std::map<std::string, std::string> pictures;
  for (const auto& entry : std::filesystem::directory_iterator(SILC_SOURCE_DIR "/docs/examples/pictures"))
    if (entry.path().extension() == ".png") pictures[entry.path().stem()] = read_file(entry.path());
  const auto add = [&](const std::string& split, const std::string& name, const std::string& content) {
    const auto file = root_ / "folder" / split / name.substr(name.find('-') + 1) / (name + ".png");
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content;
  };
  for (const auto& [name, content] : pictures) {
    add("test", name, content);
    add("val", "renamed-" + name, content);
  }
  replace("dataset = { dataset = \"shapes\", examples = 64 }",
          "dataset = { dataset = \"image_folder\", folder = \"" + (root_ / "folder").string() + "\" }");
  EXPECT_EQ(run("runs"), 2) << output("runs");
  EXPECT_THAT(output("runs"),
              HasSubstr("search.split: all of the pictures of split \"validation\" of dataset \"image_folder\" are in "
                        "split \"test\" of dataset \"image_folder\", too, which evaluation "
                        "\"zero_shot_classification\" measures the chosen settings on"));
  EXPECT_THAT(folders("runs"), SizeIs(0));
}

TEST_F(SearchEndToEnd, AMetricThatNoEvaluationGivesIsRefusedBeforeTraining) {
  replace("zero_shot_classification/acc1", "zero_shot_classification/acc2");
  EXPECT_EQ(run("runs"), 2) << output("runs");
  EXPECT_THAT(output("runs"), HasSubstr("zero_shot_classification gives no \"acc2\""));
}

TEST_F(SearchEndToEnd, ASplitThatTheDataDoNotHaveIsRefusedWhereItIsNamed) {
  replace("trials = 3", "trials = 3\nsplit = \"holdout\"");
  EXPECT_EQ(run("runs"), 2) << output("runs");
  EXPECT_THAT(output("runs"), HasSubstr(":41:9: search.split: dataset \"shapes\" has no split \"holdout\""));
}

TEST_F(SearchEndToEnd, WhereEveryTrialFailsNothingIsChosenNorSearchedFromIt) {
  std::ofstream(root_ / "pair.toml", std::ios::app) << kStarting;
  replace("checkpoint_seconds = 0", "checkpoint_seconds = 0\nmemory_limit = 0.01");
  EXPECT_EQ(run("runs"), 1) << output("runs");
  EXPECT_THAT(output("runs"),
              AllOf(HasSubstr("CLIP: none of its trials has a value of zero_shot_classification/acc1, so that there is "
                              "nothing to choose"),
                    HasSubstr("late: its trials go on from what the search of CLIP chooses, which is nothing")));
  EXPECT_THAT(cells("runs", false), SizeIs(0));
}

}  // namespace
}  // namespace silc
