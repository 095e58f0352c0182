// silc run --launcher slurm with a real Slurm of two nodes on this machine.
#include <gmock/gmock.h>

#include "tests/end_to_end/tiny_model.h"
#include "tests/slurm/slurm_cluster.h"

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::run_command;

const std::string kOnSlurm = R"(
[launcher.slurm]
partition = "main"
time = 10
poll_seconds = 0.5
environment = ["FAKE_ENGINE"]
)";

// A row that starts from another, and one beside them.
const std::string kStudy = R"(
[experiment]
name = "study"

[budget]
examples = 320
)" + std::string(testing::kTinyModel) +
                           R"(
[optimizer]
batch = 8

[engine]
device = "cpu"
threads = 1
log_every = 1

[[evaluate]]
evaluator = "zero_shot_classification"
dataset = { dataset = "shapes", examples = 64 }

[[row]]
name = "CLIP"
objective = "clip"

[[row]]
name = "SigLIP"
objective = "siglip"

[[row]]
name = "CLIP, then SigLIP"
[[row.phase]]
row = "CLIP"
[[row.phase]]
objective = "siglip"
budget.examples = 160

[[table]]
name = "objectives"
baseline = "CLIP"
columns = ["zero_shot_classification/acc1", "cost/flops"]
)" + kOnSlurm;

class RealEngines : public testing::SlurmRuns {
 protected:
  RealEngines() : SlurmRuns(kStudy) {}
};

TEST_F(RealEngines, EndWithTheTableThatThisMachineMakes) {
  ASSERT_EQ(run("runs"), 0) << output();
  ASSERT_EQ(run("local", ""), 0) << output("local");
  EXPECT_TRUE(result("runs") == result("local"));
  EXPECT_EQ(silc("report --runs runs --format csv").output, silc("report --runs local --format csv").output);
  EXPECT_THAT(output(), AllOf(HasSubstr("submitted 2 cells as job"), HasSubstr("submitted 1 cell as job")));
  const auto attempts = testing::SlurmRuns::lines(folder("clip").attempts());
  ASSERT_EQ(attempts.size(), 1U);
  EXPECT_EQ(attempts[0]["job_state"], "COMPLETED");
  EXPECT_GT(attempts[0]["core_seconds"].get<double>(), 0.1);
  EXPECT_GE(attempts[0]["allocated_core_seconds"].get<double>(), 1);
}

TEST_F(RealEngines, ThatAreWarnedWriteACheckpointAndEndWithTheSameBitsAfterARequeue) {
  const pid_t silc = start("runs", "--launcher slurm --rows CLIP");
  ASSERT_TRUE(trains("clip"));
  run_command("scancel --signal=USR1 --batch " + job_of(folder("clip")));
  EXPECT_EQ(wait_for(silc), 0) << output();
  EXPECT_EQ(count(folder("clip"), "started"), 2U);
  EXPECT_EQ(count(folder("clip"), "interrupted"), 1U);
  const auto attempts = testing::SlurmRuns::lines(folder("clip").attempts());
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[0]["exit_code"], 130);
  EXPECT_EQ(attempts[0]["job"], attempts[1]["job"]);
  ASSERT_EQ(run("local", "--rows CLIP"), 0) << output("local");
  EXPECT_TRUE(result("runs") == result("local"));
}

TEST_F(RealEngines, OnTwoNodesMeet) {
  const std::string wishes = "--rows CLIP --ranks 2";
  ASSERT_EQ(
      run("runs", "--launcher slurm --set launcher.slurm.nodes=2 --set launcher.slurm.ntasks_per_node=1 " + wishes), 0)
      << output() << read_file(folder("clip").log());
  const auto attempts = testing::SlurmRuns::lines(folder("clip").attempts());
  ASSERT_EQ(attempts.size(), 1U);
  EXPECT_EQ(attempts[0]["nodes"], "n[1-2]");
  EXPECT_EQ(attempts[0]["ranks"], 2);
  ASSERT_EQ(run("local", wishes), 0) << output("local");
  EXPECT_TRUE(result("runs") == result("local"));
}

class PretendedEngines : public testing::SlurmRuns {
 protected:
  PretendedEngines() : SlurmRuns(testing::kPair + kOnSlurm) {}
};

TEST_F(PretendedEngines, OfAJobThatIsCancelledAreInterruptedAndOthersGoOn) {
  pretend("/clip/=hang");
  const pid_t silc = start("runs");
  ASSERT_TRUE(trains("clip"));
  run_command("scancel " + job_of(folder("clip")));
  EXPECT_EQ(wait_for(silc), 130) << output();
  EXPECT_EQ(count(folder("siglip"), "finished"), 1U);
  EXPECT_EQ(count(folder("clip"), "interrupted"), 1U);
  EXPECT_EQ(lines(folder("clip").attempts()).back()["job_state"], "CANCELLED");
  pretend("");
  EXPECT_EQ(run("runs"), 0) << output();
}

TEST_F(PretendedEngines, OfAFailedCellFailItAlone) {
  pretend("/clip/=fail");
  EXPECT_EQ(run("runs"), 1);
  EXPECT_THAT(output(), HasSubstr("CLIP, seed 0 failed: the loss is not a number at step 2"));
  EXPECT_EQ(count(folder("siglip"), "finished"), 1U);
}

TEST_F(PretendedEngines, ThatArePreemptedGoOnWhenTheirJobIsStartedAgain) {
  pretend("/clip/=once");
  const pid_t silc = start("runs", "--launcher slurm --rows CLIP");
  ASSERT_TRUE(trains("clip"));
  run_command("cd '" + root_.string() + "' && sbatch --partition=urgent --nodes=2 --exclusive --wrap='sleep 1' 2>&1");
  EXPECT_EQ(wait_for(silc), 0) << output();
  const auto attempts = lines(folder("clip").attempts());
  ASSERT_EQ(attempts.size(), 2U) << output();
  EXPECT_EQ(attempts[0]["interrupted"], true);
  EXPECT_EQ(attempts[1]["restart"], 1);
  EXPECT_EQ(read_submission(SlurmFolder(folder("clip")))->number, 1);
}

TEST_F(PretendedEngines, AtTheTimeLimitAreWarnedAndRequeued) {
  pretend("/clip/=once");
  // The controller looks at time limits twice a minute.
  EXPECT_EQ(
      run("runs", "--launcher slurm --rows CLIP --set launcher.slurm.time=1 --set launcher.slurm.signal_seconds=55"), 0)
      << output();
  const RunFolder cell = folder("clip");
  EXPECT_EQ(lines(cell.attempts()).size(), 2U);
  EXPECT_THAT(read_file(read_submission(SlurmFolder(cell))->output), HasSubstr("silc: warned of the time limit"));
}

TEST_F(PretendedEngines, OfANodeThatFailsAreStartedOnAnother) {
  pretend("/clip/=once");
  const pid_t silc = start("runs", "--launcher slurm --rows CLIP");
  ASSERT_TRUE(trains("clip"));
  const std::string node =
      nlohmann::json::parse(read_file(SlurmFolder(folder("clip")).start(job_of(folder("clip")), 0, 0)))["host"];
  cluster_.fail_node(node);
  EXPECT_EQ(wait_for(silc), 0) << output();
  const auto attempts = lines(folder("clip").attempts());
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[0]["nodes"], node);
  EXPECT_NE(attempts[1]["nodes"], node);
}

TEST_F(PretendedEngines, OutliveSilcAndAreFoundAgain) {
  pretend("/clip/=once");
  pid_t silc = start("runs", "--launcher slurm --rows CLIP");
  ASSERT_TRUE(trains("clip"));
  kill(silc, SIGKILL);
  EXPECT_EQ(wait_for(silc), -SIGKILL);
  const std::string job = job_of(folder("clip"));
  EXPECT_EQ(state_of(job), "RUNNING");
  EXPECT_THAT(this->silc("status --runs runs").output, HasSubstr("running, job " + job + " on n"));
  silc = start("runs", "--launcher slurm --rows CLIP");
  ASSERT_TRUE(comes([&] { return output().find("goes on, last seen at step 1, job " + job) != std::string::npos; }));
  run_command("scancel --signal=USR1 --batch " + job);
  EXPECT_EQ(wait_for(silc), 0) << output();
  EXPECT_EQ(job_of(folder("clip")), job);
  EXPECT_EQ(run_command("squeue --noheader --states=all | wc -l").output, "1\n");
}

TEST_F(PretendedEngines, FinishWhoeverWatches) {
  pretend("/clip/=once");
  const pid_t silc = start("runs", "--launcher slurm --rows CLIP");
  ASSERT_TRUE(trains("clip"));
  kill(silc, SIGTERM);
  EXPECT_EQ(wait_for(silc), 130) << output();
  EXPECT_THAT(output(), HasSubstr("1 job goes on in Slurm without silc"));
  const std::string job = job_of(folder("clip"));
  run_command("scancel --signal=USR1 --batch " + job);
  ASSERT_TRUE(comes([&] { return state_of(job) == "COMPLETED"; }));
  EXPECT_EQ(run("runs", "--launcher slurm --rows CLIP"), 0) << output();
  EXPECT_EQ(lines(folder("clip").attempts()).size(), 2U);
}

TEST_F(PretendedEngines, OfThisRunAloneAreCancelledByTheSecondInterrupt) {
  pretend("/clip/=hang");
  run_command("cd '" + root_.string() + "' && sbatch --job-name=somebody-elses --wrap='sleep 60'");
  const pid_t silc = start("runs", "--launcher slurm --rows CLIP");
  ASSERT_TRUE(trains("clip"));
  kill(silc, SIGINT);
  ASSERT_TRUE(comes([&] { return output().find("once more (Ctrl-C) within 5 s") != std::string::npos; }));
  kill(silc, SIGINT);
  EXPECT_EQ(wait_for(silc), 130) << output();
  EXPECT_EQ(state_of(job_of(folder("clip"))), "CANCELLED");
  EXPECT_EQ(run_command("squeue --noheader --name=somebody-elses --format=%T").output, "RUNNING\n");
}

TEST_F(PretendedEngines, AreNotLostWhileTheControllerIsSilent) {
  pretend("/clip/=once");
  const pid_t silc = start("runs", "--launcher slurm --rows CLIP");
  ASSERT_TRUE(trains("clip"));
  cluster_.silence();
  ASSERT_TRUE(comes([&] { return output().find("Slurm does not answer") != std::string::npos; }));
  cluster_.speak();
  ASSERT_TRUE(comes([&] { return output().find("Slurm answers again") != std::string::npos; }));
  // Until its nodes have told it what they run.
  ASSERT_TRUE(comes(
      [&] { return run_command("scancel --signal=USR1 --batch " + job_of(folder("clip")) + " 2>&1").exit_code == 0; }));
  EXPECT_EQ(wait_for(silc), 0) << output();
}

TEST_F(PretendedEngines, AreNotStartedWhereSlurmWouldRefuse) {
  pretend("");
  const auto refused = [&](const std::string& arguments) {
    const testing::CommandResult result = silc("run study.toml --launcher slurm " + arguments);
    EXPECT_EQ(result.exit_code, 2) << result.output;
    EXPECT_FALSE(std::filesystem::exists(root_ / "runs"));
    return result.output;
  };
  EXPECT_THAT(refused("--set 'launcher.slurm.partition=\"man\"'"),
              HasSubstr("launcher.slurm.partition: the cluster has no partition \"man\"; did you mean \"main\"?"));
  EXPECT_THAT(
      refused("--set launcher.slurm.nodes=5 --ranks 8 --set optimizer.batch=8"),
      AllOf(HasSubstr("sbatch refuses a job of 8 ranks with these settings: "), HasSubstr("launcher.slurm.nodes")));
  EXPECT_THAT(refused("--set 'launcher.slurm.gres=\"gpu:1\"'"), AllOf(HasSubstr("sbatch refuses"), HasSubstr("gres")));
  EXPECT_THAT(refused("--ranks 4 --set launcher.slurm.nodes=1 --set launcher.slurm.ntasks_per_node=2"),
              HasSubstr("row \"CLIP\" is to be trained by 4 ranks (engine.ranks), and 1 node with 2 tasks each"));
  EXPECT_THAT(refused("--set 'launcher.slurm.time=\"soon\"'"), HasSubstr("launcher.slurm.time must be a time limit"));
}

}  // namespace
}  // namespace silc
