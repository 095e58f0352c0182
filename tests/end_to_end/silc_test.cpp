// `silc run` as people use it, killed with its engines and run again.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "files/run_folder.h"
#include "files/safetensors.h"
#include "nlohmann/json.hpp"
#include "silc_runs.h"
#include "tests/end_to_end/tiny_model.h"

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class SilcEndToEnd : public testing::SilcRuns {
 protected:
  SilcEndToEnd() : SilcRuns(testing::kPair) {}
};

TEST_F(SilcEndToEnd, TrainsEveryRowOnceAndNothingTheSecondTime) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_EQ(events("runs", "finished").size(), 2U);
  const auto before = result("runs");
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_EQ(events("runs", "started").size(), 2U);
  EXPECT_TRUE(result("runs") == before);
}

TEST_F(SilcEndToEnd, KilledTogetherWithItsEngineItGoesOnToTheSameBytes) {
  ASSERT_EQ(run("whole"), 0) << output("whole");
  for (const size_t steps : {2U, 9U, 15U}) {
    const std::string name = "killed-" + std::to_string(steps);
    run_killed_after(steps, name);
    EXPECT_TRUE(result(name) == result("whole")) << "killed after " << steps << " steps";
  }
}

TEST_F(SilcEndToEnd, SaysWhereAnExperimentIsWrongAndStartsNothing) {
  std::ofstream(root_ / "pair.toml", std::ios::app) << "\n[optimiser]\nlr = 1\n";
  EXPECT_EQ(run("runs"), 2);
  EXPECT_THAT(output("runs"), HasSubstr("pair.toml:"));
  EXPECT_TRUE(folders("runs").empty());
}

// A teacher that is so sharp, and a learning rate that is so high, that the representation collapses.
class SickEndToEnd : public SilcEndToEnd {
 protected:
  SickEndToEnd() {
    std::string text = testing::kPair;
    const auto replace = [&](const std::string& before, const std::string& after) {
      text.replace(text.find(before), before.size(), after);
    };
    replace("examples = 96", "examples = 3200");
    replace("batch = 8", "batch = 32\nlr = 0.05");
    replace("log_every = 1", "log_every = 20");
    replace("checkpoint_seconds = 0", "checkpoint_seconds = 1");
    text = text.substr(0, text.find("[[row]]"));
    std::ofstream(root_ / "pair.toml") << text << R"(
[[row]]
name = "sick"
objective = { name = "silc", teacher_temperature = 0.001, teacher_temperature_start = 0.001, teacher_momentum = 0.0, center_momentum = 1.0, prototypes = 64, hidden = 32, bottleneck = 16, weight = 10, local_size = 16 }
)";
  }
};

TEST_F(SickEndToEnd, ASickRunIsSeenWhenItHappensAndUnderItsTable) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  const std::set<std::string> expected = {"contrastive_at_chance", "gradient_vanished", "prototypes_collapsed",
                                          "teacher_entropy_zero"};
  std::set<std::string> checks;
  for (const Event& event : events("runs", "warning")) checks.insert(event["check"].get<std::string>());
  EXPECT_EQ(checks, expected);
  EXPECT_THAT(output("runs"), AllOf(HasSubstr("silc: warning: sick, seed 0, step "),
                                    HasSubstr("the teacher gives all of a view's probability to one prototype"),
                                    HasSubstr("1 of 1 cell has warnings")));
  EXPECT_THAT(printed_by("status"), HasSubstr("warning: sick, seed 0, step 100: loss/contrastive 3.466 (above 3.396"));
  EXPECT_THAT(report_of("pair"),
              HasSubstr("Warning: \"sick\" (seed 0 at step 100): loss/contrastive 3.466 (above 3.396"));
  EXPECT_THAT(report_of("pair --format csv"), HasSubstr("loss/contrastive 3.466 (above 3.396"));
  const auto report = nlohmann::json::parse(report_of("pair --json"));
  EXPECT_EQ(report.at("tables").at(0).at("rows").at(0).at("warnings").size(), expected.size());
}

TEST_F(SilcEndToEnd, APictureThatIsItsOwnNegativeIsSeen) {
  std::string text = read_file(root_ / "pair.toml");
  const std::string before = "split = \"train\"";
  text.replace(text.find(before), before.size(), before + ", examples = 4");
  std::ofstream(root_ / "pair.toml") << text;
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_EQ(events("runs", "step").at(0)["values"]["duplicate_pictures"], 0.5);
  EXPECT_THAT(report_of("pair"), HasSubstr("Warning: \"CLIP\" (seed 0 at step 5): duplicate_pictures 0.5"));
}

TEST_F(SilcEndToEnd, OfAHealthyRunNothingIsSaid) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_TRUE(events("runs", "warning").empty());
  EXPECT_THAT(output("runs"), ::testing::Not(HasSubstr("warning")));
}

// CLIP, and rows that go on from it or from a phase of their own.
class PhasesEndToEnd : public SilcEndToEnd {
 protected:
  PhasesEndToEnd() {
    std::ofstream(root_ / "pair.toml") << without_rows() << R"(
[[row]]
name = "CLIP"
objective = "clip"

[[row]]
name = "CLIP on"
objective = "clip"
[[row.phase]]
row = "CLIP"
[[row.phase]]
data.train = { dataset = "shapes", split = "validation" }

[[row]]
name = "LiT"
base = "CLIP on"
[[row.phase]]
row = "CLIP"
[[row.phase]]
objective = "lit"

[[row]]
name = "PACL"
[[row.phase]]
row = "CLIP"
[[row.phase]]
objective = "pacl"

[[row]]
name = "SILC*"
objective = { name = "silc", prototypes = 32, hidden = 16, bottleneck = 8, local_views = 1, local_size = 16 }
evaluation.weights = ["student", "teacher"]
[[row.phase]]
[[row.phase]]
optimizer.lr = 1e-4

[[row]]
name = "CLIPSelf"
[[row.phase]]
row = "LiT"
[[row.phase]]
objective = { name = "clipself", max_split = 2 }
)";
  }

  static std::string without_rows() {
    const std::string text = testing::kPair;
    return text.substr(0, text.find("[[row]]"));
  }

  // That the last phase of a row in "runs" was trained on.
  int64_t examples_of(const std::string& row) {
    return nlohmann::json::parse(read_file(folder("runs", row).metrics()))["cost"]["examples"].get<int64_t>();
  }

  RunFolder folder(const std::string& runs, const std::string& row) {
    for (const RunFolder& each : folders(runs))
      if (each.path.parent_path().filename() == row) return each;
    return {};
  }

  // Tensors of the last checkpoint of a row, by name, as bytes.
  std::map<std::string, std::string> tensors(const std::string& row) {
    std::map<std::string, std::string> content;
    for (const auto& entry : std::filesystem::directory_iterator(folder("runs", row).checkpoints())) {
      const SafetensorsFile file(entry.path());
      for (const auto& [name, view] : file.tensors())
        content[name] = {reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size()};
    }
    return content;
  }
};

TEST_F(PhasesEndToEnd, EachPhaseIsTrainedOnceAndGoesOnFromTheOneBefore) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_EQ(events("runs", "finished").size(), 7U) << "six rows, and a phase that is none";
  const auto clip = tensors("clip");
  const auto lit = tensors("lit");
  EXPECT_EQ(lit.at("model.image.projection"), clip.at("model.image.projection")) << "frozen in LiT";
  EXPECT_NE(lit.at("model.text.projection"), clip.at("model.text.projection"));
  // What CLIPSelf freezes it has from LiT, and its teacher is the model that it began with.
  const auto clipself = tensors("clipself");
  EXPECT_EQ(clipself.at("model.text.projection"), lit.at("model.text.projection"));
  const std::string prefix = "objective.teacher.";
  std::size_t compared = 0;
  for (const auto& [name, bytes] : clipself) {
    if (!name.starts_with(prefix)) continue;
    ++compared;
    EXPECT_EQ(bytes, lit.at("model." + name.substr(prefix.size()))) << name;
  }
  EXPECT_GT(compared, 10U);
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_THAT(output("runs"), HasSubstr("nothing to do"));
}

TEST_F(PhasesEndToEnd, TheSameObjectiveGoesOnWithItsState) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  const std::string log = read_file(folder("runs", "silc-star").log());
  EXPECT_THAT(log, HasSubstr("going on with the model and the objective's state of the phase before"));
  EXPECT_THAT(read_file(folder("runs", "pacl").log()), HasSubstr("going on with the model of the phase before"));
}

TEST_F(PhasesEndToEnd, AReportCountsTheCostOfEveryPhase) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  const int64_t costs = examples_of("clip");
  const auto report = nlohmann::json::parse(report_of("pair --json"));
  std::map<std::string, double> examples;
  const auto& table = report.at("tables").at(0);
  for (const auto& row : table.at("rows"))
    for (const auto& entry : row.at("entries"))
      if (entry.at("column") == "cost/examples") examples[row.at("name")] = entry.at("mean");
  EXPECT_EQ(examples.at("CLIP"), costs);
  EXPECT_EQ(examples.at("LiT"), 2 * costs);
  EXPECT_EQ(examples.at("CLIPSelf"), 3 * costs);
}

TEST_F(PhasesEndToEnd, ARowOfAnotherExperimentIsTrainedOnceForBoth) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  std::filesystem::rename(root_ / "pair.toml", root_ / "pretraining.toml");
  std::string head = without_rows();
  head.replace(head.find("pair"), 4, "tuning");
  std::ofstream(root_ / "pair.toml") << head << R"(
[[row]]
name = "PACL on LiT"
[[row.phase]]
experiment = "pretraining.toml"
row = "LiT"
[[row.phase]]
objective = "pacl"
)";
  ASSERT_EQ(run("runs"), 0) << output("runs");
  EXPECT_EQ(events("runs", "finished").size(), 8U) << "one more than the other experiment has";
  const auto report = nlohmann::json::parse(report_of("tuning --json --metric cost/examples"));
  EXPECT_EQ(report.at("tables").at(0).at("rows").at(0).at("entries").at(0).at("mean"), 3 * examples_of("clip"));

  ASSERT_EQ(run("alone"), 0) << output("alone");
  EXPECT_THAT(output("alone"), HasSubstr("LiT of pair, seed 0"));
  EXPECT_EQ(events("alone", "finished").size(), 3U) << "CLIP and LiT are trained where nobody has";
  const auto whole = result("runs");
  for (const auto& [file, content] : result("alone")) EXPECT_TRUE(whole.at(file) == content) << file;
}

TEST_F(PhasesEndToEnd, AReportOfTheFileKnowsThatNothingHasChanged) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  const std::string file = std::string("'") + (root_ / "pair.toml").string() + "' 2>&1";
  EXPECT_THAT(report_of(file), ::testing::Not(HasSubstr("has changed since the last silc run")));
  std::string text = read_file(root_ / "pair.toml");
  text.replace(text.find("batch = 8"), 9, "batch = 4");
  std::ofstream(root_ / "pair.toml") << text;
  EXPECT_THAT(report_of(file), HasSubstr("\"CLIPSelf\""));
}

TEST_F(PhasesEndToEnd, KilledInALaterPhaseItGoesOnToTheSameBytes) {
  ASSERT_EQ(run("whole"), 0) << output("whole");
  const pid_t silc = start("killed");
  while (events("killed", "finished").size() < 2 && waitpid(silc, nullptr, WNOHANG) == 0)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto engine = events("killed", "started").back()["pid"].get<pid_t>();
  kill(silc, SIGKILL);
  kill(engine, SIGKILL);
  EXPECT_EQ(wait_for(silc), -SIGKILL);
  ASSERT_EQ(run("killed"), 0) << output("killed");
  EXPECT_TRUE(result("killed") == result("whole"));
}

}  // namespace
}  // namespace silc
