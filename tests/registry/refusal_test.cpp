#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "registry/registry.h"
#include "silc/error.h"
#include "tests/registry/fake_runs.h"

namespace silc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

namespace fs = std::filesystem;

class RegistryFile : public testing::Test {
 protected:
  // Both ways of opening refuse the file, say why, and leave every byte of it as it was.
  void expect_refused(const std::string& fault) {
    const std::string before = read_file(file_);
    const auto message = AllOf(HasSubstr(file_.string()), HasSubstr(fault));
    EXPECT_THAT([&] { Registry(file_, fakes_.runs()); }, ThrowsMessage<Error>(message));
    EXPECT_THAT([&] { Registry::open_existing(file_, fakes_.runs()); }, ThrowsMessage<Error>(message));
    EXPECT_EQ(read_file(file_), before);
    EXPECT_FALSE(fs::exists(file_.string() + "-wal"));
  }

  FakeRuns fakes_;
  fs::path file_ = fakes_.registry_file();
};

TEST_F(RegistryFile, IsRefusedWhenItIsText) {
  FakeRuns::write(file_, "[experiment]\nname = \"not a registry\"\n");
  expect_refused("is not a registry");
}

TEST_F(RegistryFile, IsRefusedWhenItBelongsToAnotherProgram) {
  SQLite::Database(file_.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec("CREATE TABLE bookmark (url TEXT)");
  expect_refused("is a SQLite file of another program");
}

TEST_F(RegistryFile, IsRefusedWhenANewerSilcWroteIt) {
  { const Registry registry = fakes_.open(); }
  SQLite::Database(file_.string(), SQLite::OPEN_READWRITE)
      .exec("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99");
  expect_refused("was written by a newer silc (registry version 99");
}

TEST_F(RegistryFile, IsRefusedWhenItIsAFolder) {
  fs::create_directories(file_);
  EXPECT_THAT([&] { Registry(file_, fakes_.runs()); },
              ThrowsMessage<Error>(AllOf(HasSubstr(file_.string()), HasSubstr("is a folder"))));
}

TEST_F(RegistryFile, IsRefusedWhenItCannotBeWritten) {
  if (::geteuid() == 0) GTEST_SKIP() << "permissions do not bind the superuser";
  { const Registry registry = fakes_.open(); }
  fs::permissions(file_, fs::perms::owner_read);
  EXPECT_THAT([&] { Registry(file_, fakes_.runs()); },
              ThrowsMessage<Error>(AllOf(HasSubstr(file_.string()), HasSubstr("check its permissions"))));
}

TEST_F(RegistryFile, IsNotCreatedForReaders) {
  EXPECT_THAT([&] { Registry::open_existing(file_, fakes_.runs()); },
              ThrowsMessage<Error>(AllOf(HasSubstr(file_.string()), HasSubstr("silc run"))));
  EXPECT_FALSE(fs::exists(file_));
}

TEST_F(RegistryFile, IsCompletedWhenItsCreationWasCutShort) {
  FakeRuns::write(file_, "");
  EXPECT_TRUE(fakes_.open().experiments().empty());
  fs::remove(file_);
  SQLite::Database(file_.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec("PRAGMA journal_mode = WAL");
  EXPECT_TRUE(fakes_.open().experiments().empty());
}

TEST_F(RegistryFile, IsCreatedWithItsFolders) {
  const fs::path file = fakes_.runs() / "deep/registry.sqlite";
  EXPECT_TRUE(Registry(file, fakes_.runs()).check().empty());
}

TEST_F(RegistryFile, CannotBeChangedByReaders) {
  { const Registry registry = fakes_.open(); }
  Registry reader = Registry::open_existing(file_, fakes_.runs());
  EXPECT_THROW(reader.plan(FakeRuns::experiment("ablation", {"CLIP"}, {0})), Error);
}

TEST_F(RegistryFile, OfAnEarlierVersionIsBroughtUpToDateWithWhatIsInIt) {
  const PlannedExperiment experiment = FakeRuns::experiment("ablation", {"CLIP"}, {0});
  fakes_.open().plan(experiment);
  SQLite::Database(file_.string(), SQLite::OPEN_READWRITE)
      .exec(
          "DROP VIEW result_along; DROP TABLE metric_along; DROP TABLE warning; DROP TABLE not_applicable; ALTER TABLE "
          "cell DROP COLUMN previous; ALTER TABLE cell DROP COLUMN trial; ALTER TABLE experiment DROP COLUMN search; "
          "ALTER TABLE attempt DROP COLUMN job; ALTER TABLE attempt DROP COLUMN nodes; ALTER TABLE attempt DROP COLUMN "
          "job_state; ALTER TABLE attempt DROP COLUMN allocated_core_seconds; ALTER TABLE attempt DROP COLUMN "
          "allocated_gpu_seconds; PRAGMA user_version = 1");
  EXPECT_THROW(Registry::open_existing(file_, fakes_.runs()), Error) << "readers change nothing";
  const std::vector<CellRecord> cells = fakes_.open().cells("ablation");
  ASSERT_EQ(cells.size(), 1U);
  EXPECT_EQ(cells[0].cell.id, experiment.cells[0].id);
  EXPECT_EQ(cells[0].start, "");
}

TEST_F(RegistryFile, OfASilcThatDidNotWarnTakesWarningsFromNowOn) {
  const PlannedExperiment experiment = FakeRuns::experiment("ablation", {"CLIP"}, {0});
  const PlannedCell& cell = experiment.cells[0];
  {
    Registry registry = fakes_.open();
    registry.plan(experiment);
    fakes_.write_cell("ablation", cell);
    fakes_.event(cell, "started", 100, {{"step", 0}, {"total_steps", 40}, {"pid", 1}});
    registry.ingest(cell.folder);
  }
  SQLite::Database(file_.string(), SQLite::OPEN_READWRITE)
      .exec(
          "DROP VIEW result_along; DROP TABLE metric_along; DROP TABLE warning; DROP TABLE not_applicable; ALTER TABLE "
          "cell DROP COLUMN trial; ALTER TABLE experiment DROP COLUMN search; ALTER TABLE attempt DROP COLUMN job; "
          "ALTER TABLE attempt DROP COLUMN nodes; ALTER TABLE attempt DROP COLUMN job_state; ALTER TABLE attempt DROP "
          "COLUMN allocated_core_seconds; ALTER TABLE attempt DROP COLUMN allocated_gpu_seconds; PRAGMA user_version = "
          "2");
  Registry registry = fakes_.open();
  EXPECT_TRUE(registry.warnings("ablation").empty());
  fakes_.warning(cell, 10, "gradient_vanished");
  registry.ingest(cell.folder);
  EXPECT_EQ(registry.warnings("ablation").size(), 1U);
}

TEST_F(RegistryFile, SaysWhatItIsToOtherPrograms) {
  { const Registry registry = fakes_.open(); }
  SQLite::Database database(file_.string());
  EXPECT_EQ(database.execAndGet("PRAGMA journal_mode").getString(), "wal");
  EXPECT_EQ(database.execAndGet("PRAGMA application_id").getInt(), 0x73696c63);
  EXPECT_EQ(database.execAndGet("PRAGMA user_version").getInt(), 7);
}

}  // namespace
}  // namespace silc
