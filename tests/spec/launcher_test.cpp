#include "spec/launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spec/toml_document.h"

namespace silc {
namespace {

using ::testing::ElementsAre;

// What is wrong with it, a line a fault.
std::vector<std::string> faults_of(const std::string& text) {
  Faults faults;
  const auto document = parse_toml(text, "x.toml", faults);
  const Entry* entry = document->find("launcher");
  read_launcher(entry == nullptr ? nullptr : &entry->value, faults);
  std::vector<std::string> lines;
  try {
    faults.throw_if_any();
  } catch (const SpecError& error) {
    for (const Diagnostic& each : error.diagnostics())
      lines.push_back(std::to_string(each.line) + ":" + std::to_string(each.column) + ": " + each.message);
  }
  return lines;
}

LauncherSettings read(const std::string& text) {
  Faults faults;
  const auto document = parse_toml(text, "x.toml", faults);
  const Entry* entry = document->find("launcher");
  LauncherSettings settings = read_launcher(entry == nullptr ? nullptr : &entry->value, faults);
  faults.throw_if_any();
  return settings;
}

TEST(Launcher, IsThisMachineUnlessTheFileSaysOtherwise) {
  EXPECT_EQ(read("").kind, LauncherKind::local);
  EXPECT_EQ(read("[launcher.slurm]\npartition = \"gpu\"\n").kind, LauncherKind::local);
  EXPECT_EQ(read("launcher = \"slurm\"\n").kind, LauncherKind::slurm);
  EXPECT_EQ(read("[launcher]\nname = \"slurm\"\n").kind, LauncherKind::slurm);
}

TEST(Launcher, ReadsWhatAClusterIsAskedFor) {
  const SlurmSettings slurm = read(R"([launcher.slurm]
partition = "gpu,gpu-long"
gres = "gpu:a100:4"
time = 90
mem = "64G"
nodes = 2
ntasks_per_node = 4
setup = ["module load cuda/12.4"]
environment = ["HF_HOME"]
extra = ["--exclude=n[1-2]"]
)")
                                  .slurm;
  EXPECT_EQ(slurm.time, "90");
  EXPECT_EQ(slurm.room(), 8);
  EXPECT_EQ(slurm.signal_seconds, 120);
  EXPECT_EQ(slurm.tasks_place.line, 7U);
  EXPECT_THAT(slurm.setup, ElementsAre("module load cuda/12.4"));
}

TEST(Launcher, SaysEveryFaultWithItsPlace) {
  EXPECT_THAT(
      faults_of(R"([launcher]
name = "slrum"
[launcher.slurm]
partitoin = "gpu"
time = "1:00:00:00"
mem = "lots"
nodes = 0
gres = "gpu: 4"
extra = ["--array=0-3"]
environment = ["HF-HOME"]
)"),
      ElementsAre("2:8: launcher.name must be \"local\" or \"slurm\", not \"slrum\"; did you mean \"slurm\"?",
                  "4:1: unknown key \"launcher.slurm.partitoin\"; did you mean \"launcher.slurm.partition\"?",
                  "5:8: launcher.slurm.time must be a time limit as sbatch takes it, \"90\" (minutes), "
                  "\"12:00:00\" or \"2-00:00:00\", not \"1:00:00:00\"",
                  "6:7: launcher.slurm.mem must be an amount of memory as sbatch takes it, \"64G\", not \"lots\"",
                  "7:9: launcher.slurm.nodes must be an integer from 1 to 1000000, not 0",
                  "8:8: launcher.slurm.gres must be one word, as sbatch takes it, not \"gpu: 4\"",
                  "9:9: launcher.slurm.extra must not hold --array, which silc itself decides",
                  "10:15: launcher.slurm.environment must be a list of names of variables, not \"HF-HOME\""));
}

TEST(Launcher, AWarningMustComeBeforeTheEnd) {
  EXPECT_THAT(
      faults_of("[launcher.slurm]\ntime = 2\n"),
      ElementsAre("2:8: launcher.slurm.time leaves nothing to train in: the warning comes 120 s before the time "
                  "limit (launcher.slurm.signal_seconds), which is 120 s"));
}

TEST(Launcher, AnOptionWithAKeyOfItsOwnHasOnePlace) {
  EXPECT_THAT(faults_of("[launcher.slurm]\nextra = [\"--partition=gpu\", \"exclusive\"]\n"),
              ElementsAre("2:9: launcher.slurm.extra must not hold --partition; launcher.slurm.partition says it",
                          "2:9: launcher.slurm.extra must be a list of options of sbatch, as \"--exclude=n7\", not "
                          "\"exclusive\""));
}

TEST(Launcher, ReadsTimeLimitsAsSbatchDoes) {
  EXPECT_EQ(slurm_seconds("90"), 5400);
  EXPECT_EQ(slurm_seconds("1:30"), 90);
  EXPECT_EQ(slurm_seconds("12:00:00"), 43200);
  EXPECT_EQ(slurm_seconds("2-00"), 172800);
  EXPECT_EQ(slurm_seconds("1-12:30"), 131400);
  EXPECT_EQ(slurm_seconds("1-00:00:01"), 86401);
  EXPECT_EQ(slurm_seconds("UNLIMITED"), 0);
  for (const char* wrong : {"", "soon", "1:", ":1", "1:2:3:4", "1-", "-1", "1-2-3", "1 hour", "1:00-2"})
    EXPECT_LT(slurm_seconds(wrong), 0) << wrong;
}

}  // namespace
}  // namespace silc
