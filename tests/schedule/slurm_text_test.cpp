#include "schedule/slurm_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Recorded from Slurm 22.05.
constexpr const char* kQueue =
    "5_1|PENDING|Dependency||1|1|N/A|silc-dep\n"
    "4_0|RUNNING|None|n1|1|1|1795912843|silc-a\n"
    "6|PENDING|ReqNodeNotAvail, UnavailableNodes:n[1-2]||1|1|N/A|silc-b\n"
    "7|CANCELLED|None|n2|1|1|1795912864|silc-c\n";

TEST(SlurmText, ReadsAQueue) {
  const auto jobs = parse_squeue(kQueue);
  ASSERT_EQ(jobs.size(), 4U);
  EXPECT_EQ(jobs[0].id, "5_1");
  EXPECT_EQ(jobs[0].state, JobState::pending);
  EXPECT_EQ(jobs[0].reason, "Dependency");
  EXPECT_EQ(jobs[0].nodes, "");
  EXPECT_EQ(jobs[1].state, JobState::running);
  EXPECT_EQ(jobs[1].reason, "");
  EXPECT_EQ(jobs[1].nodes, "n1");
  EXPECT_EQ(jobs[2].reason, "ReqNodeNotAvail, UnavailableNodes:n[1-2]");
  EXPECT_EQ(jobs[3].state, JobState::cancelled);
}

TEST(SlurmText, PassesOverWhatIsNoLineOfAQueue) {
  EXPECT_THAT(parse_squeue(""), IsEmpty());
  EXPECT_THAT(parse_squeue("\n  \nslurm_load_jobs error: something\n5|RUNNING\n5.batch|RUNNING|None|n1|1|1|0|x\n"
                           "5_[2-9]|PENDING|None||1|1|N/A|not told apart\n|||||||\n"),
              IsEmpty());
}

TEST(SlurmText, TakesANameWithBarsWhole) {
  const auto jobs = parse_squeue("5|A_STATE_OF_THE_FUTURE|None||1|1|N/A|a|b|c\n");
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].name, "a|b|c");
  EXPECT_EQ(jobs[0].state, JobState::unknown);
  EXPECT_FALSE(is_over(jobs[0].state));
}

TEST(SlurmText, KnowsTheStatesOfJobs) {
  for (const char* word : {"PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
    EXPECT_EQ(job_state(word), JobState::pending) << word;
  for (const char* word : {"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STAGE_OUT"})
    EXPECT_EQ(job_state(word), JobState::running) << word;
  EXPECT_EQ(job_state("CANCELLED by 1000"), JobState::cancelled);
  EXPECT_EQ(job_state("CANCELLED+"), JobState::cancelled);
  EXPECT_EQ(job_state("OUT_OF_MEMORY"), JobState::out_of_memory);
  EXPECT_EQ(job_state("BOOT_FAIL"), JobState::node_fail);
  EXPECT_EQ(job_state(""), JobState::unknown);
}

constexpr const char* kJob =
    "JobId=8 ArrayJobId=4 ArrayTaskId=0 JobName=silc-a UserId=root(0) GroupId=root(0) MCS_label=N/A "
    "Priority=4294901756 "
    "Nice=0 Account=(null) QOS=(null) JobState=TIMEOUT Reason=TimeLimit Dependency=(null) Requeue=1 Restarts=2 "
    "BatchFlag=1 Reboot=0 ExitCode=0:15 RunTime=1-00:01:10 TimeLimit=00:01:00 TimeMin=N/A SubmitTime=1795912722 "
    "EligibleTime=1795912843 AccrueTime=1795912843 StartTime=1795912843 EndTime=1795912913 Deadline=N/A "
    "Partition=main AllocNode:Sid=localhost:13546 ReqNodeList=(null) ExcNodeList=(null) NodeList=n[1-2] BatchHost=n1 "
    "NumNodes=2 NumCPUs=16 NumTasks=2 CPUs/Task=8 TRES=cpu=16,node=2,billing=16,gres/gpu=4 NtasksPerN:B:S:C=0:0:*:* "
    "Command=/tmp/a folder/JobState=RUNNING WorkDir=/tmp StdErr=/tmp/out-0.txt\n";

TEST(SlurmText, ReadsWhatTheControllerRemembersOfAJob) {
  const auto job = parse_scontrol_job(kJob);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->state, JobState::timeout);
  EXPECT_EQ(job->signal, 15);
  EXPECT_EQ(job->restarts, 2);
  EXPECT_EQ(job->cpus, 16);
  EXPECT_EQ(job->gpus, 4);
  EXPECT_EQ(job->nodes, "n[1-2]");
  EXPECT_EQ(job->start, 1795912843);
  EXPECT_EQ(job->end, 1795912913);
  EXPECT_EQ(job->elapsed, 86470);
  EXPECT_EQ(job->core_seconds(), 16 * 86470.0);
  EXPECT_EQ(job->gpu_seconds(), 4 * 86470.0);
}

TEST(SlurmText, AJobThatIsForgottenIsNone) {
  EXPECT_FALSE(parse_scontrol_job("slurm_load_jobs error: Invalid job id specified\n"));
  EXPECT_FALSE(parse_scontrol_job(""));
  EXPECT_FALSE(parse_scontrol_job("JobId=8 something else altogether"));
}

TEST(SlurmText, AJobThatRunsHasNoEndYet) {
  const auto job = parse_scontrol_job("JobId=8 JobState=RUNNING StartTime=100 EndTime=3700 NumCPUs=1 NodeList=n1\n");
  ASSERT_TRUE(job);
  EXPECT_EQ(job->end, 0);
}

TEST(SlurmText, ReadsAllStartsOfAJobFromTheAccounting) {
  const auto starts = parse_sacct(
      "12_3|PREEMPTED|0:0|1795912000|1795912600|600|8|billing=8,cpu=8,gres/gpu:a100=2,gres/gpu=2,mem=64G,node=1|n7\n"
      "12_30|FAILED|1:0|1795912000|1795912600|600|8||n7\n"
      "12_3|CANCELLED by 1000|0:0|1795913000|Unknown|60|8|cpu=8|n[8-9]\n"
      "some warning\n",
      "12_3");
  ASSERT_EQ(starts.size(), 2U);
  EXPECT_EQ(starts[0].state, JobState::preempted);
  EXPECT_EQ(starts[0].gpus, 2);
  EXPECT_EQ(starts[0].restarts, 0);
  EXPECT_EQ(starts[0].core_seconds(), 4800);
  EXPECT_EQ(starts[1].state, JobState::cancelled);
  EXPECT_EQ(starts[1].state_word, "CANCELLED");
  EXPECT_EQ(starts[1].end, 0);
  EXPECT_EQ(starts[1].restarts, 1);
  EXPECT_THAT(parse_sacct("Slurm accounting storage is disabled\n", "12"), IsEmpty());
}

TEST(SlurmText, AStartThatWasRequeuedIsOneOfTheAccounting) {
  // Recorded from slurmdbd 22.05.
  const auto starts = parse_sacct(
      "2_0|REQUEUED|0:0|1795918964|1795918965|1|1|billing=1,cpu=1,node=1|n1\n"
      "2_0|COMPLETED|0:0|1795918971|1795918975|4|1|billing=1,cpu=1,node=1|n1\n",
      "2_0");
  ASSERT_EQ(starts.size(), 2U);
  EXPECT_EQ(starts[0].core_seconds(), 1);
  EXPECT_EQ(starts[1].state, JobState::completed);
  EXPECT_EQ(starts[1].core_seconds(), 4);
}

TEST(SlurmText, ReadsTheNumberOfASubmittedJob) {
  EXPECT_EQ(parse_sbatch("12\n"), "12");
  EXPECT_EQ(parse_sbatch("12;cluster\n"), "12");
  EXPECT_EQ(parse_sbatch("sbatch: a word of the administrator's\n12\n"), "12");
  EXPECT_EQ(parse_sbatch(""), "");
}

TEST(SlurmText, ReadsTheClustersSettings) {
  const ClusterFacts facts = parse_config(
      "Configuration data as of 2026-11-29T00:42:46\nAccountingStorageType   = accounting_storage/none\n"
      "MaxArraySize            = 501\nSLURM_VERSION           = 22.05.8\nnonsense\n");
  EXPECT_EQ(facts.version, "22.05.8");
  EXPECT_EQ(facts.most_in_array, 501);
  EXPECT_FALSE(facts.accounts);
  EXPECT_TRUE(parse_config("AccountingStorageType = accounting_storage/slurmdbd").accounts);
  EXPECT_EQ(parse_config("").most_in_array, 1001);
}

TEST(SlurmText, ReadsPartitionsOnceEach) {
  EXPECT_THAT(parse_partitions("main*\nurgent\nmain*\nsinfo: error: something\n"), ElementsAre("main", "urgent"));
}

TEST(SlurmText, TellsRefusalsApart) {
  EXPECT_EQ(refusal_of("squeue: error: slurm_load_jobs: Unable to contact slurm controller (connect failure)"),
            SlurmRefusal::unreachable);
  EXPECT_EQ(refusal_of("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"),
            SlurmRefusal::unreachable);
  EXPECT_EQ(refusal_of("sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job "
                       "violates accounting/QOS policy (job submit limit, user's size and/or time limits)"),
            SlurmRefusal::limit);
  EXPECT_EQ(refusal_of("sbatch: error: Batch job submission failed: Invalid account or account/partition combination"),
            SlurmRefusal::wrong);
}

TEST(SlurmText, AComplaintIsQuotedWithoutWhatSaidIt) {
  EXPECT_EQ(
      first_complaint("sbatch: error: invalid partition specified: nope\nsbatch: error: Batch job submission failed: "
                      "Invalid partition name specified\n"),
      "invalid partition specified: nope (Invalid partition name specified)");
  EXPECT_EQ(first_complaint("allocation failure: Requested node configuration is not available"),
            "Requested node configuration is not available");
  EXPECT_EQ(first_complaint(""), "");
}

TEST(SlurmText, CountsWhatIsAllocated) {
  EXPECT_EQ(gpus_of_tres("cpu=4,mem=8G,gres/gpu=2,gres/gpu:a100=2"), 2);
  EXPECT_EQ(gpus_of_tres("cpu=4,gres/gpu:a100=3,gres/gpu:v100=1"), 4);
  EXPECT_EQ(gpus_of_tres(""), 0);
  EXPECT_EQ(cpus_of_nodes("72(x2),36"), 180);
  EXPECT_EQ(cpus_of_nodes("1"), 1);
  EXPECT_EQ(cpus_of_nodes(""), 0);
}

}  // namespace
}  // namespace silc
