// `silc plan --detect` against tests/reference/detect.py.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "files/durable_file.h"
#include "tests/cli/installed_silc.h"
#include "tests/files/command.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Detection : public testing::InstalledSilc {
 protected:
  Detection() {
    std::string experiment = read_file(work_ / "two_rows.toml");
    const std::size_t table = experiment.find("[[table]]");
    experiment.insert(table, "[[row]]\nname = \"SigLIP\"\nobjective = { name = \"silc\", weight = 0.5 }\n\n");
    experiment.replace(experiment.find("[0, 1]"), 6, "[0, 1, 2, 3]");
    std::ofstream(work_ / "three_rows.toml") << experiment;
    EXPECT_EQ(silc("run three_rows.toml -q").exit_code, 0);
    for (const auto& [row, scores] : expected_["scores"].items())
      for (int64_t seed = 0; seed < 4; ++seed) settle(row, seed);
    EXPECT_EQ(silc("registry rebuild -q").exit_code, 0);
  }

  testing::CommandResult silc(const std::string& arguments) {
    return testing::run_command("cd '" + work_.string() + "' && silc " + arguments);
  }

  // Gives a finished cell its score and time; one that has none was never run.
  void settle(const std::string& row, int64_t seed) {
    const fs::path folder = folder_of(row, seed);
    const json& scores = expected_["scores"][row];
    if (seed >= static_cast<int64_t>(scores.size())) {
      fs::remove_all(folder);
      return;
    }
    json metrics = json::parse(read_file(folder / "metrics.json"));
    metrics["metrics"][0]["value"] = scores[seed];
    std::ofstream(folder / "metrics.json") << metrics;
    json attempt = json::parse(read_file(folder / "attempts.jsonl"));
    attempt["end"] = attempt["start"].get<double>() + expected_["seconds"][row][seed].get<double>();
    std::ofstream(folder / "attempts.jsonl") << attempt << "\n";
  }

  fs::path folder_of(const std::string& row, int64_t seed) {
    for (const auto& entry : fs::recursive_directory_iterator(work_ / "runs/tiny")) {
      if (entry.path().filename() != "cell.toml") continue;
      const std::string cell = read_file(entry.path());
      if (cell.find("row = '" + row + "'") != std::string::npos ||
          cell.find("row = \"" + row + "\"") != std::string::npos)
        if (cell.find("seed = " + std::to_string(seed) + "\n") != std::string::npos) return entry.path().parent_path();
    }
    ADD_FAILURE() << "no cell of " << row << ", seed " << seed;
    return {};
  }

  json expected_ = json::parse(read_file(SILC_SOURCE_DIR "/tests/data/detect.json"));
};

TEST_F(Detection, CountsSeedsCellsAndTimeAsScipyAndStatsmodelsDo) {
  for (const json& one : expected_["cases"]) {
    const auto planned = silc("plan three_rows.toml --no-measure --jobs " + expected_["jobs"].dump() + " --detect " +
                              one["points"].dump() + " --json");
    ASSERT_EQ(planned.exit_code, 0) << planned.output;
    const json found = json::parse(planned.output)["detect"]["columns"];
    ASSERT_EQ(found.size(), 1) << found;
    EXPECT_EQ(found[0]["column"], "zero_shot_classification/acc1");
    EXPECT_NEAR(found[0]["spread"], expected_["spread"], 1e-9);
    EXPECT_EQ(found[0]["seeds_measured"], expected_["seeds_measured"]);
    EXPECT_EQ(found[0]["comparisons"], expected_["comparisons"]);
    EXPECT_EQ(found[0]["seeds"], one["seeds"]) << one;
    EXPECT_EQ(found[0]["cells"], one["cells"]) << one;
    if (one["seconds"].is_null()) {
      EXPECT_TRUE(found[0]["seconds"].is_null()) << one;
    } else {
      EXPECT_NEAR(found[0]["seconds"], one["seconds"], 1e-3) << one;
    }
  }
}

}  // namespace
}  // namespace silc
