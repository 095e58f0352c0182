#include "registry/export.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <map>

#include "files/durable_file.h"
#include "silc/error.h"
#include "tests/files/python.h"
#include "tests/registry/fake_runs.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// An experiment with a finished cell of two phases, a failed one, one that is not there yet, and one of an earlier
// version.
class Exports : public ::testing::Test {
 protected:
  Exports() {
    runs_.finish("ablation", earlier_version_, 0.1);
    registry_.ingest(runs_.folder(earlier_version_).path);
    experiment_.cells.pop_back();
    registry_.plan(experiment_);
    runs_.finish("ablation", phase_, 0.3);
    registry_.ingest(runs_.folder(phase_).path);

    runs_.finish("ablation", finished_, 0.5, "student", "warm-up/seed-0-bbbbbbbbbbb1");
    set(finished_, "[optimizer]\nlr = 0.001\nname = \"adamw\"\nbetas = [0.9, 0.98]\nnesterov = true\n");
    runs_.warning(finished_, 20, "teacher_entropy_zero");
    runs_.along(finished_, 10, 0.5, 0.25);
    registry_.ingest(runs_.folder(finished_).path);

    runs_.write_cell("ablation", failed_);
    runs_.event(failed_, "started", 200, {{"step", 0}, {"total_steps", 20}, {"pid", 2}});
    runs_.step(failed_, 10, 201, 2);
    runs_.event(failed_, "failed", 202, {{"message", "loss is not finite"}, {"plugin", "objective \"silc\""}});
    runs_.attempt(failed_, 199, 203, "exit_code", 1);
    registry_.ingest(runs_.folder(failed_).path);
  }

  // Adds tables to what a cell was set to.
  void set(const PlannedCell& cell, const std::string& toml) {
    const std::string before = read_file(runs_.folder(cell).cell());
    const std::size_t start = before.find("[evaluation]");
    FakeRuns::write(runs_.folder(cell).cell(), before.substr(0, start) + toml + before.substr(start));
  }

  ExportedCounts export_to(ExportTarget target, const std::string& name = "out", bool all = false) {
    return export_registry(registry_, {.experiments = {}, .target = target, .folder = folder_ / name, .all = all});
  }

  [[nodiscard]] std::map<std::string, std::string> files(const std::string& name = "out") const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / name))
      if (entry.is_regular_file())
        found[entry.path().lexically_relative(folder_ / name).generic_string()] = read_file(entry.path());
    return found;
  }

  // What tests/reference/read_registry_export.py makes of the export; nothing where no Python has the package.
  std::optional<json> read_by(const std::string& package, std::string& missing) {
    const auto read = testing::run_python(
        SILC_SOURCE_DIR "/tests/reference/read_registry_export.py " + package + " '" + (folder_ / "out").string() + "'",
        missing);
    if (!read) return std::nullopt;
    EXPECT_EQ(read->exit_code, 0) << read->output;
    const std::size_t line = read->output.find_last_of('\n', read->output.size() - 2);
    return json::parse(read->output.substr(line == std::string::npos ? 0 : line + 1), nullptr, false);
  }

  FakeRuns runs_;
  TemporaryFolder folder_;
  PlannedExperiment experiment_ = FakeRuns::experiment("ablation", {"CLIP, then \"more\"", "SILC"}, {0, 1});
  PlannedCell finished_ = experiment_.cells[0], failed_ = experiment_.cells[1], planned_ = experiment_.cells[2];
  PlannedCell earlier_version_ = experiment_.cells[3];
  PlannedCell phase_ = FakeRuns::cell("ablation", "warm-up", 0, "bbbbbbbbbbb1");
  Registry registry_ = runs_.open();
};

TEST_F(Exports, AreTablesOfCsv) {
  const ExportedCounts counts = export_to(ExportTarget::csv);
  EXPECT_EQ(counts.experiments, 1);
  EXPECT_EQ(counts.cells, 4);
  EXPECT_EQ(counts.step_metrics, 5 * 5);
  EXPECT_THAT(counts.remarks, ElementsAre());
  const auto found = files();
  EXPECT_EQ(
      found.at("cells.csv"),
      "cell,experiment,row,seed,id,baseline,current,state,message,plugin,start,end,folder,phase_before\r\n"
      "1,ablation,\"CLIP, then \"\"more\"\"\",0,aaaaaaaaaaa1,true,true,finished,,,99,104,"
      "\"ablation/CLIP, then \"\"more\"\"/seed-0-aaaaaaaaaaa1\","
      "ablation/warm-up/seed-0-bbbbbbbbbbb1\r\n"
      "2,ablation,SILC,0,aaaaaaaaaaa2,false,true,failed,loss is not finite,\"objective \"\"silc\"\"\",199,203,"
      "ablation/SILC/seed-0-aaaaaaaaaaa2,\r\n"
      "3,ablation,\"CLIP, then \"\"more\"\"\",1,aaaaaaaaaaa3,true,true,planned,,,,,"
      "\"ablation/CLIP, then \"\"more\"\"/seed-1-aaaaaaaaaaa3\",\r\n"
      "4,ablation,warm-up,0,bbbbbbbbbbb1,false,false,finished,,,99,104,ablation/warm-up/seed-0-bbbbbbbbbbb1,\r\n");
  EXPECT_THAT(
      found.at("settings.csv"),
      AllOf(HasSubstr("\r\n1,optimizer.lr,0.001\r\n"), HasSubstr("\r\n1,optimizer.name,adamw\r\n"),
            HasSubstr("\r\n1,optimizer.nesterov,true\r\n"), HasSubstr("\r\n1,optimizer.betas,\"[0.9, 0.98]\"\r\n")));
  EXPECT_THAT(found.at("metrics.csv"),
              AllOf(HasSubstr("\r\n1,zero_shot_classification,scenes,student,acc1,0.5,1000,true\r\n"),
                    HasSubstr("\r\n1,zero_shot_classification,scenes,teacher,acc1,0.51,1000,false\r\n"),
                    HasSubstr("\r\n1,cost,,,flops,1500000000000,1,true\r\n")));
  EXPECT_THAT(found.at("step_metrics.csv"),
              AllOf(HasSubstr("cell,step,time,metric,value\r\n1,10,101,examples,320\r\n"),
                    HasSubstr("\r\n1,20,102,teacher_entropy,2.5\r\n"), HasSubstr("\r\n2,10,201,loss,2\r\n"),
                    HasSubstr("\r\n4,10,101,loss,1\r\n")));
  EXPECT_EQ(
      found.at("metrics_along.csv"),
      "cell,step,fraction,examples,flops,core_seconds,seconds,evaluator,dataset,weights,metric,value,n,primary\r\n"
      "1,10,0.5,320,10000000000,1,0.5,zero_shot_classification,scenes,student,acc1,0.25,1000,true\r\n");
  EXPECT_EQ(found.at("attempts.csv"),
            "cell,attempt,start,end,exit_code,signal,core_seconds,peak_memory,threads,host,job,nodes,job_state,"
            "allocated_core_seconds,allocated_gpu_seconds\r\n"
            "1,1,99,104,0,,1.5,1000000000,2,bench,,,,0,0\r\n2,1,199,203,1,,1.5,1000000000,2,bench,,,,0,0\r\n"
            "4,1,99,104,0,,1.5,1000000000,2,bench,,,,0,0\r\n");
  EXPECT_EQ(found.at("warnings.csv"),
            "cell,step,check,metric,value,message\r\n"
            "1,20,teacher_entropy_zero,teacher_entropy,0.5,teacher_entropy 0.5 (below 1 for 30 steps): raise it\r\n");
}

TEST_F(Exports, GiveTheSameBytesAgain) {
  for (const ExportTarget target : {ExportTarget::csv, ExportTarget::tensorboard, ExportTarget::mlflow}) {
    export_to(target, "one");
    export_to(target, "two");
    EXPECT_EQ(files("one"), files("two"));
    fs::remove_all(folder_ / "one");
    fs::remove_all(folder_ / "two");
  }
}

TEST_F(Exports, HoldEarlierVersionsWhereAskedFor) {
  EXPECT_EQ(export_to(ExportTarget::csv, "out", /*all=*/true).cells, 5);
  EXPECT_THAT(files().at("cells.csv"), HasSubstr(earlier_version_.folder.generic_string()));
}

TEST_F(Exports, SayWhatIsNotThereOfFoldersThatAreGone) {
  fs::remove_all(runs_.folder(finished_).path);
  fs::remove_all(runs_.folder(failed_).path);
  const ExportedCounts counts = export_to(ExportTarget::csv);
  EXPECT_THAT(counts.remarks, ElementsAre(AllOf(HasSubstr("settings"), HasSubstr("(and 1 more)"))));
  EXPECT_THAT(files().at("step_metrics.csv"), HasSubstr("\r\n1,10,,loss,1\r\n"));
}

TEST_F(Exports, ReplaceNothingButThemselvesOnRequest) {
  RegistryExport request{.experiments = {}, .target = ExportTarget::csv, .folder = folder_ / "out"};
  fs::create_directories(folder_ / "out");
  FakeRuns::write(folder_ / "out" / "thesis.tex", "years of work");
  request.replace = true;
  EXPECT_THAT([&] { export_registry(registry_, request); }, ThrowsMessage<Error>(HasSubstr("something else")));
  EXPECT_EQ(read_file(folder_ / "out" / "thesis.tex"), "years of work");
  fs::remove(folder_ / "out" / "thesis.tex");
  request.replace = false;
  export_registry(registry_, request);
  EXPECT_THAT([&] { export_registry(registry_, request); }, ThrowsMessage<Error>(HasSubstr("--force")));
  request = {.experiments = {}, .target = ExportTarget::tensorboard, .folder = folder_ / "out", .replace = true};
  export_registry(registry_, request);
  EXPECT_FALSE(fs::exists(folder_ / "out" / "cells.csv"));
}

TEST_F(Exports, OfExperimentsThatAreNotThereAreRefused) {
  EXPECT_THAT([&] { export_registry(registry_, {.experiments = {"abaltion"}, .folder = folder_ / "out"}); },
              ThrowsMessage<Error>(HasSubstr("there are: ablation")));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(Exports, LeaveNothingWhereTheDiskIsFull) {
  const FileSystemCalls before = file_system_calls();
  file_system_calls().write = [](int, const void*, unsigned long) -> long {
    errno = ENOSPC;
    return -1;
  };
  for (const ExportTarget target : {ExportTarget::csv, ExportTarget::tensorboard, ExportTarget::mlflow})
    EXPECT_THAT([&] { export_to(target); }, ThrowsMessage<Error>(HasSubstr("No space left on device")));
  file_system_calls() = before;
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  EXPECT_FALSE(fs::exists(folder_ / "out.tmp"));
}

TEST(ExportTargets, SayWhereOtherFormatsAreHad) {
  EXPECT_EQ(parse_export_target("mlflow"), ExportTarget::mlflow);
  EXPECT_THAT([] { parse_export_target("parquet"); }, ThrowsMessage<Error>(HasSubstr("pandas writes it")));
  EXPECT_THAT([] { parse_export_target("wandb"); }, ThrowsMessage<Error>(HasSubstr("takes csv")));
  EXPECT_THAT([] { parse_export_target("xml"); }, ThrowsMessage<Error>(HasSubstr("choose csv, tensorboard or mlflow")));
}

// As tensorboard.summary.writer.record_writer wrote it.
TEST_F(Exports, FrameEventsAsTensorboardDoes) {
  export_to(ExportTarget::tensorboard);
  const std::string file = files().at(finished_.folder.generic_string() + "/events.out.tfevents.0000000099.silc");
  std::string digits;
  for (const char c : file.substr(0, 40)) digits += fmt::format("{:02x}", static_cast<unsigned char>(c));
  EXPECT_EQ(digits, "1800000000000000a37f4b22090000000000c058401a0d627261696e2e4576656e743a32c9e66716");
}

TEST_F(Exports, AreReadByTensorboard) {
  export_to(ExportTarget::tensorboard);
  std::string missing;
  const auto read = read_by("tensorboard", missing);
  if (!read) GTEST_SKIP() << "no Python here has tensorboard:\n" << missing;
  ASSERT_EQ(read->size(), 3);  // none of the cell that was never started
  const json& finished = (*read)[finished_.folder.generic_string()];
  EXPECT_EQ(finished["scalars"]["train/loss"], json::parse("[[10, 101.0, 1.0], [20, 102.0, 1.0]]"));
  EXPECT_EQ(finished["scalars"]["zero_shot_classification/scenes/acc1"], json::parse("[[20, 104.0, 0.5]]"));
  EXPECT_EQ(finished["scalars"]["along/zero_shot_classification/scenes/acc1"], json::parse("[[10, 101.0, 0.25]]"));
  EXPECT_NEAR(finished["scalars"]["zero_shot_classification/scenes/acc1@teacher"][0][2], 0.51, 1e-6);
  EXPECT_EQ(finished["scalars"]["cost/core_seconds"], json::parse("[[20, 104.0, 84.0]]"));
  EXPECT_EQ(finished["status"], "STATUS_SUCCESS");
  EXPECT_EQ(finished["group"], "ablation/CLIP, then \"more\"");
  EXPECT_EQ(finished["start"], 99.0);
  EXPECT_EQ(finished["settings"]["optimizer.lr"], 0.001);
  EXPECT_EQ(finished["settings"]["optimizer.name"], "adamw");
  EXPECT_EQ(finished["settings"]["optimizer.nesterov"], true);
  EXPECT_THAT(finished["texts"]["state"][0].get<std::string>(),
              AllOf(HasSubstr("**finished**"), HasSubstr("step 20: teacher_entropy 0.5")));
  const json& failed = (*read)[failed_.folder.generic_string()];
  EXPECT_EQ(failed["status"], "STATUS_FAILURE");
  EXPECT_EQ(failed["texts"]["state"], json::parse(R"(["**failed**: loss is not finite"])"));
  EXPECT_EQ(failed["scalars"]["train/loss"], json::parse("[[10, 201.0, 2.0]]"));
}

TEST_F(Exports, AreReadByMlflow) {
  export_to(ExportTarget::mlflow);
  std::string missing;
  const auto read = read_by("mlflow", missing);
  if (!read) GTEST_SKIP() << "no Python here has mlflow:\n" << missing;
  ASSERT_EQ(read->size(), 4) << *read;
  const json& finished = (*read)["ablation/CLIP, then \"more\", seed 0"];
  EXPECT_EQ(finished["status"], "FINISHED");
  EXPECT_EQ(finished["settings"]["optimizer.lr"], "0.001");
  EXPECT_EQ(finished["settings"]["optimizer.betas"], "[0.9, 0.98]");
  EXPECT_EQ(finished["metrics"]["zero_shot_classification/scenes/acc1"], 0.5);
  EXPECT_EQ(finished["metrics"]["zero_shot_classification/scenes/acc1_at_teacher"], 0.51);
  EXPECT_EQ(finished["metrics"]["cost/flops"], 1.5e12);
  EXPECT_EQ(finished["history"]["along/zero_shot_classification/scenes/acc1"], json::parse("[[10, 101000, 0.25]]"));
  EXPECT_EQ(finished["history"]["train/loss"], json::parse("[[10, 101000, 1.0], [20, 102000, 1.0]]"));
  EXPECT_THAT(finished["tags"]["mlflow.note.content"].get<std::string>(), HasSubstr("step 20: teacher_entropy"));
  const json& failed = (*read)["ablation/SILC, seed 0"];
  EXPECT_EQ(failed["status"], "FAILED");
  EXPECT_EQ(failed["start"], 199'000);
  EXPECT_EQ(failed["end"], 203'000);
  EXPECT_EQ(failed["tags"]["mlflow.note.content"], "loss is not finite");
  EXPECT_EQ(failed["tags"]["silc.row"], "SILC");
  EXPECT_EQ(failed["history"]["train/loss"], json::parse("[[10, 201000, 2.0]]"));
  EXPECT_EQ((*read)["ablation/CLIP, then \"more\", seed 1"]["status"], "SCHEDULED");
}

TEST_F(Exports, AreReadByPandas) {
  export_to(ExportTarget::csv);
  std::string missing;
  const auto read = read_by("pandas", missing);
  if (!read) GTEST_SKIP() << "no Python here has pandas:\n" << missing;
  EXPECT_EQ((*read)["step_metrics"]["lines"], 25);
  EXPECT_EQ((*read)["step_metrics"]["kinds"]["value"], "float64");
  EXPECT_EQ((*read)["cells"]["lines"], 4);
  EXPECT_EQ((*read)["cells"]["kinds"]["baseline"], "bool");
}

}  // namespace
}  // namespace silc
