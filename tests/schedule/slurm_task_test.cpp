#include "schedule/slurm_task.h"

#include <gmock/gmock.h>

#include <csignal>
#include <map>

#include "fixture.h"
#include "schedule/slurm_folder.h"
#include "silc/error.h"

namespace silc {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Pair;

std::function<const char*(const char*)> variables(const std::map<std::string, std::string>& values) {
  return [values](const char* name) -> const char* {
    static std::string kept;
    const auto found = values.find(name);
    if (found == values.end()) return nullptr;
    kept = found->second;
    return kept.c_str();
  };
}

TEST(SlurmTask, GivesAnEngineTheEnvironmentOfTorchrun) {
  const SlurmPlace place = slurm_place(variables({{"SLURM_JOB_ID", "40"},
                                                  {"SLURM_ARRAY_JOB_ID", "38"},
                                                  {"SLURM_ARRAY_TASK_ID", "2"},
                                                  {"SLURM_RESTART_COUNT", "1"},
                                                  {"SLURM_PROCID", "5"},
                                                  {"SLURM_NTASKS", "8"},
                                                  {"SLURM_LOCALID", "1"},
                                                  {"SLURM_JOB_NUM_NODES", "2"},
                                                  {"SLURM_JOB_CPUS_PER_NODE", "16(x2)"},
                                                  {"SLURM_GPUS_ON_NODE", "4"},
                                                  {"MASTER_ADDR", "10.0.0.7"},
                                                  {"MASTER_PORT", "20040"}}));
  EXPECT_EQ(place.job, "38_2");
  EXPECT_EQ(place.restart, 1);
  EXPECT_EQ(place.cpus, 32);
  EXPECT_EQ(place.gpus, 8);
  EXPECT_THAT(rank_variables(place), ElementsAre(Pair("WORLD_SIZE", "8"), Pair("RANK", "5"), Pair("LOCAL_RANK", "1"),
                                                 Pair("MASTER_ADDR", "10.0.0.7"), Pair("MASTER_PORT", "20040")));
}

TEST(SlurmTask, OneRankAloneMeetsNobody) {
  EXPECT_THAT(rank_variables(slurm_place(variables({{"SLURM_JOB_ID", "40"}, {"SLURM_PROCID", "0"}}))),
              ElementsAre(Pair("WORLD_SIZE", "1")));
}

TEST(SlurmTask, IsNothingOutsideOfAJob) {
  EXPECT_THROW(slurm_place(variables({})), Error);
  EXPECT_THROW(slurm_place(variables({{"SLURM_JOB_ID", "40"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}})), Error);
}

class SlurmTaskRun : public ::testing::Test {
 protected:
  SlurmTaskRun() {
    std::filesystem::create_directories(slurm_.path);
    write_submission(slurm_, {.name = "silc-x", .job = "40"});
  }

  int run() { return run_slurm_task({fake_engine(), folder_.path, 2}, place_); }
  Event record() { return Event::parse(read_file(slurm_.start("40", 0, 0))); }

  TemporaryFolder temporary_;
  RunFolder folder_{temporary_ / "clip"};
  SlurmFolder slurm_{folder_};
  SlurmPlace place_{.job = "40", .nodes = "n1", .node = "n1", .cpus = 2};
};

TEST_F(SlurmTaskRun, WritesWhatBecameOfTheEngineAndWhatItCost) {
  EXPECT_EQ(run(), 0);
  const Event record = this->record();
  EXPECT_EQ(record["exit_code"], 0);
  EXPECT_EQ(record["host"], "n1");
  EXPECT_EQ(record["cpus"], 2);
  EXPECT_GT(record["peak_memory"].get<int64_t>(), 0);
  EXPECT_GE(record["end"].get<double>(), record["start"].get<double>());
}

TEST_F(SlurmTaskRun, ACrashedEngineIsASignalInTheRecordAndAnExitCodeForSlurm) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=segv");
  EXPECT_EQ(run(), 128 + SIGSEGV);
  EXPECT_EQ(record()["signal"], SIGSEGV);
}

TEST_F(SlurmTaskRun, AnEngineThatPausesWhereItWasAskedToHasDoneItsPart) {
  write_submission(slurm_, {.name = "silc-x", .job = "40", .until = 0.5});
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(record()["exit_code"], 3);
}

TEST_F(SlurmTaskRun, AnEngineThatHangsIsEnded) {
  const ScopedVariable behaviour("FAKE_ENGINE", "=stubborn");
  const ScopedVariable plugin("FAKE_ENGINE_PLUGIN", "objective \"clip\"");
  write_submission(slurm_, {.name = "silc-x", .job = "40", .hang_seconds = 1});
  EXPECT_EQ(run(), 128 + SIGKILL);
  EXPECT_EQ(record()["plugin"], "objective \"clip\"");
  EXPECT_TRUE(record()["stopped"].get<std::string>().starts_with("stopped by silc: no sign of life for 1 s"));
}

TEST(SlurmFolderTest, TheRankThatFailedFirstSpeaksForAllAndCostsAreThoseOfAll) {
  const TemporaryFolder temporary;
  const RunFolder folder{temporary / "clip"};
  const SlurmFolder slurm(folder);
  std::filesystem::create_directories(slurm.path);
  const auto rank = [&](int64_t number, const Event& end) {
    Event record = {
        {"job", "40"}, {"restart", 0}, {"rank", number}, {"ranks", 2},   {"nodes", "n[1-2]"},
        {"cpus", 4},   {"gpus", 0},    {"start", 10.0},  {"threads", 2}, {"host", "n" + std::to_string(number + 1)}};
    record.update(end);
    write_file_durably(slurm.start("40", 0, number), record.dump());
  };
  rank(0, {{"end", 30.0}, {"exit_code", 1}, {"core_seconds", 30.0}, {"peak_memory", 100}});
  rank(1, {{"end", 20.0}, {"signal", 11}, {"core_seconds", 15.0}, {"peak_memory", 50}});
  const auto attempts = new_attempts(folder, {.name = "silc-x", .job = "40"}, {}, true);
  ASSERT_EQ(attempts.size(), 1U);
  EXPECT_EQ(attempts[0]["rank"], 1);
  EXPECT_EQ(attempts[0]["signal"], 11);
  EXPECT_EQ(attempts[0]["host"], "n2");
  EXPECT_EQ(attempts[0]["ranks"], 2);
  EXPECT_EQ(attempts[0]["core_seconds"], 45.0);
  EXPECT_EQ(attempts[0]["peak_memory"], 150);
  EXPECT_EQ(attempts[0]["allocated_core_seconds"], 80.0);
}

TEST(SlurmFolderTest, AStartThatNobodySawTheEndOfCountsAsItsCoresUntilItsLastSign) {
  const TemporaryFolder temporary;
  const RunFolder folder{temporary / "clip"};
  const SlurmFolder slurm(folder);
  std::filesystem::create_directories(slurm.path);
  write_file_durably(
      slurm.start("40", 0, 0),
      R"({"job":"40","restart":0,"rank":0,"ranks":1,"cpus":4,"gpus":2,"start":10,"threads":2,"host":"n1"})");
  append(folder.events(), R"({"event":"step","time":60})");
  EXPECT_TRUE(new_attempts(folder, {.name = "silc-x", .job = "40"}, {}, false).empty());
  const auto attempts = new_attempts(folder, {.name = "silc-x", .job = "40"}, {}, true);
  ASSERT_EQ(attempts.size(), 1U);
  EXPECT_EQ(attempts[0]["end"], 60.0);
  EXPECT_EQ(attempts[0]["core_seconds"], 200.0);
  EXPECT_EQ(attempts[0]["allocated_gpu_seconds"], 100.0);
  append(folder.attempts(), attempts[0].dump());
  EXPECT_TRUE(new_attempts(folder, {.name = "silc-x", .job = "40"}, {}, true).empty());
}

TEST(SlurmFolderTest, ASubmissionIsReadAsItWasWritten) {
  const TemporaryFolder temporary;
  const SlurmFolder slurm(RunFolder{temporary / "clip"});
  std::filesystem::create_directories(slurm.path);
  EXPECT_FALSE(read_submission(slurm));
  const Submission submission{.name = "silc-a",
                              .index = 3,
                              .number = 2,
                              .job = "40_3",
                              .time = 5,
                              .until = 0.25,
                              .fruitless = 1,
                              .step = 7,
                              .output = "x.out",
                              .hang_seconds = 9,
                              .memory_limit = 2,
                              .over = true};
  write_submission(slurm, submission);
  EXPECT_EQ(read_submission(slurm), submission);
  write_file_durably(slurm.submission(), "{\"name\": 5");
  EXPECT_FALSE(read_submission(slurm));
}

}  // namespace
}  // namespace silc
