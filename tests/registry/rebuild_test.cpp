#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "registry/registry.h"
#include "tests/registry/fake_runs.h"

namespace silc {
namespace {

class Rebuild : public testing::Test {
 protected:
  // Everything in the registry, in names: the numbers of rows and the time of taking in are not content.
  std::string dump() {
    SQLite::Database database(fakes_.registry_file().string());
    std::string text;
    for (
        const char* query : {
            "SELECT name, title, source, rows, seeds, tables, planned FROM experiment ORDER BY name",
            R"sql(SELECT name, row, seed, id, folder, position, state, message, plugin, weights, previous, total_steps, last_event,
                          last_event_time, state_time, events_head, events_offset
                   FROM cell JOIN experiment USING (experiment_id) ORDER BY folder)sql",
            R"sql(SELECT folder, number, start, end, exit_code, signal, core_seconds, peak_memory, threads, host
                   FROM attempt JOIN cell USING (cell_id) ORDER BY folder, number)sql",
            R"sql(SELECT folder, evaluator, dataset, metric.weights, name, value, n
                   FROM metric JOIN cell USING (cell_id) ORDER BY folder, evaluator, dataset, metric.weights, name)sql",
            R"sql(SELECT folder, evaluator, dataset, not_applicable.weights, reason
                   FROM not_applicable JOIN cell USING (cell_id) ORDER BY folder, evaluator)sql",
            R"sql(SELECT folder, step, name, value FROM step_metric JOIN cell USING (cell_id)
                   ORDER BY folder, step, name)sql",
            R"sql(SELECT folder, name, step, metric, value, warning.message FROM warning JOIN cell USING (cell_id)
                   ORDER BY folder, name)sql",
            "SELECT folder, path, bytes FROM artifact JOIN cell USING (cell_id) ORDER BY folder, path",
        }) {
      SQLite::Statement statement(database, query);
      while (statement.executeStep()) {
        for (int i = 0; i < statement.getColumnCount(); ++i)
          text += (statement.getColumn(i).isNull() ? "null" : statement.getColumn(i).getString()) + "|";
        text += "\n";
      }
      text += "\n";
    }
    return text;
  }

  // Two experiments: finished, failed, killed, planned, and cells of an earlier version.
  void fill(Registry& registry) {
    const PlannedExperiment earlier = FakeRuns::experiment("ablation", {"CLIP"}, {0}, 90);
    registry.plan(earlier);
    fakes_.finish("ablation", earlier.cells[0], 0.4);
    registry.ingest(earlier.cells[0].folder);

    const PlannedExperiment experiment = FakeRuns::experiment("ablation", {"CLIP", "SILC"}, {0, 1});
    registry.plan(experiment);
    fakes_.finish("ablation", experiment.cells[0], 0.5);
    fakes_.finish("ablation", experiment.cells[1], 0.6, "teacher");
    fakes_.write_cell("ablation", experiment.cells[2]);
    fakes_.event(experiment.cells[2], "started", 100, {{"step", 0}, {"total_steps", nullptr}});
    fakes_.step(experiment.cells[2], 10, 101);
    fakes_.warning(experiment.cells[2], 10, "gradient_vanished");
    fakes_.event(experiment.cells[2], "failed", 102, {{"message", "out of order"}, {"plugin", "clip"}});
    fakes_.attempt(experiment.cells[2], 99, 103, "exit_code", 1);
    fakes_.metrics(experiment.cells[1], nlohmann::json::array({FakeRuns::metric("teacher", "acc1", 0.6)}),
                   {{"flops", 1e12}}, nlohmann::json::array({FakeRuns::not_applicable("teacher", "captioning")}));
    for (int i = 0; i < 3; ++i) registry.ingest(experiment.cells[i].folder);

    const PlannedExperiment scaling = FakeRuns::experiment("scaling", {"CLIP"}, {0}, 70);
    registry.plan(scaling);
    fakes_.write_cell("scaling", scaling.cells[0]);
    fakes_.event(scaling.cells[0], "started", 100, {{"step", 0}, {"total_steps", 40}});
    fakes_.attempt(scaling.cells[0], 99, 103, "signal", SIGKILL);
    registry.ingest(scaling.cells[0].folder);
  }

  FakeRuns fakes_;
};

TEST_F(Rebuild, GivesTheSameRegistryFromTheRunFoldersAlone) {
  {
    Registry registry = fakes_.open();
    fill(registry);
  }
  const std::string before = dump();
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(fakes_.registry_file().string() + suffix);
  EXPECT_EQ(fakes_.open().rebuild(), 6);
  EXPECT_EQ(dump(), before);
  EXPECT_THAT(fakes_.open().experiments(), testing::ElementsAre("scaling", "ablation"));
}

TEST_F(Rebuild, ReplacesWhatTheRunFoldersDoNotHold) {
  Registry registry = fakes_.open();
  fill(registry);
  const std::string before = dump();
  SQLite::Database(fakes_.registry_file().string(), SQLite::OPEN_READWRITE)
      .exec(
          "DELETE FROM metric; UPDATE cell SET state = 'planned', seed = 12; INSERT INTO step_metric VALUES (1, 99, "
          "'x', 1)");
  ASSERT_NE(dump(), before);
  registry.rebuild();
  EXPECT_EQ(dump(), before);
}

TEST_F(Rebuild, IsSeenByThoseWhoHaveTheRegistryOpen) {
  Registry registry = fakes_.open();
  fill(registry);
  const Registry reader = Registry::open_existing(fakes_.registry_file(), fakes_.runs());
  ASSERT_EQ(reader.cells("scaling").size(), 1);
  std::filesystem::remove_all(fakes_.runs() / "scaling");
  registry.rebuild();
  EXPECT_TRUE(reader.cells("scaling").empty());
  EXPECT_TRUE(reader.check().empty());
}

TEST_F(Rebuild, MendsADamagedFile) {
  std::string before;
  std::vector<std::size_t> roots;  // pages, from 1, where tables and indices begin: the schema stays readable
  {
    Registry registry = fakes_.open();
    fill(registry);
    before = dump();
    SQLite::Database database(fakes_.registry_file().string());
    SQLite::Statement query(database, "SELECT rootpage FROM sqlite_schema WHERE rootpage > 0");
    while (query.executeStep()) roots.push_back(static_cast<std::size_t>(query.getColumn(0).getInt64()));
  }
  std::string bytes = read_file(fakes_.registry_file());
  for (const std::size_t page : roots) bytes.replace((page - 1) * 4096, 64, std::string(64, '\x5a'));
  FakeRuns::write(fakes_.registry_file(), bytes);

  Registry registry = fakes_.open();
  ASSERT_FALSE(registry.check().empty());
  registry.rebuild();
  EXPECT_TRUE(registry.check().empty());
  EXPECT_EQ(dump(), before);
}

TEST_F(Rebuild, TellsWhatItPassedOver) {
  Registry registry = fakes_.open();
  fill(registry);
  FakeRuns::write(fakes_.runs() / "scaling/experiment.json", "{");
  const PlannedCell cell = FakeRuns::cell("ablation", "CLIP", 0, "aaaaaaaaaaa1");
  FakeRuns::write(fakes_.folder(cell).cell(), "[cell");
  std::vector<std::string> faults;
  registry.rebuild(&faults);
  EXPECT_THAT(faults,
              testing::ElementsAre(testing::HasSubstr("scaling/experiment.json"), testing::HasSubstr("cell.toml:1:")));
}

}  // namespace
}  // namespace silc
