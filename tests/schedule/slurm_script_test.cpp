#include "schedule/slurm_script.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "files/durable_file.h"
#include "tests/files/command.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

SlurmSubmission three_cells() {
  SlurmSubmission submission;
  submission.name = "silc-ablation-0123456789ab";
  submission.folders = {"/home/me/runs/ablation/clip/seed-0-a", "/home/me/runs/ablation/it's/seed-0-b",
                        "/home/me/runs/ablation/silc/seed-0-c"};
  submission.indices = {0, 1, 4};
  submission.most_at_once = 2;
  submission.dependency = "aftercorr:12";
  submission.ranks = 8;
  submission.threads = 6;
  submission.silc = "/opt/silc/bin/silc";
  submission.outputs = "/home/me/runs/100%/slurm";
  submission.script = "/home/me/runs/100%/slurm/silc-ablation-0123456789ab.sh";
  submission.working_folder = "/home/me/my work";
  submission.plugin_paths = {"/home/me/plugins"};
  submission.environment = {{"SILC_ENGINE", "/opt/silc/bin/silc-engine"}, {"SILC_DATA", "/data/a b"}};
  return submission;
}

SlurmSettings on_gpus() {
  SlurmSettings settings;
  settings.partition = "gpu";
  settings.account = "vision";
  settings.gres = "gpu:4";
  settings.time = "2-00:00:00";
  settings.mem = "64G";
  settings.ntasks_per_node = 4;
  settings.signal_seconds = 300;
  settings.setup = {"module load cuda/12.4", "source ~/env/bin/activate"};
  settings.extra = {"--exclude=n7", "--comment=an ablation", "-x n8"};
  return settings;
}

TEST(SlurmScript, IsAsItIsWritten) {
  const std::string expected = SILC_SOURCE_DIR "/tests/data/slurm/array.sh";
  const std::string script = render_script(three_cells(), on_gpus());
  if (std::getenv("SILC_WRITE_EXPECTED") != nullptr) write_file_durably(expected, script);
  EXPECT_EQ(script, read_file(expected)) << "SILC_WRITE_EXPECTED=1 writes it anew";
}

TEST(SlurmScript, IsSoundShell) {
  const TemporaryFolder folder;
  for (const SlurmSettings& settings : {SlurmSettings{}, on_gpus()}) {
    write_file_durably(folder / "job.sh", render_script(three_cells(), settings));
    EXPECT_EQ(testing::run_command("bash -n '" + (folder / "job.sh").string() + "' 2>&1").output, "");
  }
}

TEST(SlurmScript, AsksForNothingThatNobodyAskedFor) {
  SlurmSubmission submission;
  submission.name = "silc-a";
  submission.outputs = "/runs/a/slurm";
  submission.working_folder = "/home/me";
  EXPECT_THAT(
      sbatch_options(submission, {}),
      ElementsAre("--job-name=silc-a", "--nodes=1", "--ntasks=1", "--signal=B:USR1@120", "--requeue",
                  "--open-mode=append", "--export=NONE", "--chdir=/home/me", "--output=/runs/a/slurm/silc-a.out"));
}

TEST(SlurmScript, LaysRanksOutOverNodes) {
  SlurmSettings settings;
  EXPECT_EQ(layout_of(8, settings).nodes, 1);
  settings.nodes = 2;
  EXPECT_EQ(layout_of(8, settings).nodes, 2);
  EXPECT_EQ(layout_of(1, settings).nodes, 1);
  settings.ntasks_per_node = 4;
  EXPECT_EQ(layout_of(8, settings).nodes, 2);
  EXPECT_EQ(layout_of(3, settings).nodes, 1);
  EXPECT_EQ(layout_of(3, settings).tasks_per_node, 3);
  settings.nodes = 0;
  EXPECT_EQ(layout_of(9, settings).nodes, 3);
}

TEST(SlurmScript, ARawOptionIsOneArgumentOrTwo) {
  EXPECT_THAT(arguments_of("--exclude=n7"), ElementsAre("--exclude=n7"));
  EXPECT_THAT(arguments_of("--comment=an ablation"), ElementsAre("--comment=an ablation"));
  EXPECT_THAT(arguments_of("-x n8"), ElementsAre("-x", "n8"));
  EXPECT_THAT(arguments_of("--exclusive"), ElementsAre("--exclusive"));
}

TEST(SlurmGroups, CellsThatAreAlikeAreOneArray) {
  const SlurmGroup group = next_group({{1, 2}, {1, 2}, {4, 2}, {1, 2}}, 100);
  EXPECT_THAT(group.members, ElementsAre(0, 1, 3));
  EXPECT_THAT(group.indices, ElementsAre(0, 1, 2));
  EXPECT_EQ(group.dependency, "");
}

TEST(SlurmGroups, OneCellIsNoArray) { EXPECT_THAT(next_group({{1, 2}, {4, 2}}, 100).indices, IsEmpty()); }

TEST(SlurmGroups, AnArrayIsNoLargerThanTheClusterAllows) {
  EXPECT_THAT(next_group({{1, 2}, {1, 2}, {1, 2}}, 2).members, ElementsAre(0, 1));
}

TEST(SlurmGroups, CellsThatStartFromTheSameOneWaitForIt) {
  const SlurmGroup group = next_group({{1, 2, "7"}, {1, 2}, {1, 2, "7"}}, 100);
  EXPECT_THAT(group.members, ElementsAre(0, 2));
  EXPECT_EQ(group.dependency, "afterok:7");
}

TEST(SlurmGroups, PhasesOfSeveralSeedsWaitEachForItsOwn) {
  const SlurmGroup group = next_group({{1, 2, "7_3"}, {1, 2, "7_1"}, {1, 2, "8_0"}}, 100);
  EXPECT_THAT(group.members, ElementsAre(0, 1));
  EXPECT_THAT(group.indices, ElementsAre(3, 1));
  EXPECT_EQ(group.dependency, "aftercorr:7");
}

TEST(SlurmGroups, OneAloneWaitsForOneTask) {
  const SlurmGroup group = next_group({{1, 2, "7_3"}, {1, 2, "8_0"}}, 100);
  EXPECT_THAT(group.members, ElementsAre(0));
  EXPECT_THAT(group.indices, IsEmpty());
  EXPECT_EQ(group.dependency, "afterok:7_3");
}

}  // namespace
}  // namespace silc
