// docs/reference/registry.md says what is so: its queries run, and it names every table and column.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "files/durable_file.h"
#include "registry/export.h"
#include "tests/files/python.h"
#include "tests/registry/fake_runs.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const std::string kPage = SILC_SOURCE_DIR "/docs/reference/registry.md";

// The blocks of SQL, by the headings above them.
std::map<std::string, std::string> documented_queries() {
  std::map<std::string, std::string> queries;
  const std::string page = read_file(kPage);
  const std::string fence = "```sql\n";
  for (std::size_t at = page.find(fence); at != std::string::npos; at = page.find(fence, at + 1)) {
    const std::size_t heading = page.rfind("\n### ", at) + 5;
    const std::size_t begin = at + fence.size();
    queries[page.substr(heading, page.find('\n', heading) - heading)] =
        page.substr(begin, page.find("```", begin) - begin);
  }
  return queries;
}

// CLIP and SILC with three seeds, of which one of SILC failed, and SILC's first seed starts from a phase.
class DocumentedRegistry : public ::testing::Test {
 protected:
  DocumentedRegistry() {
    PlannedExperiment experiment = FakeRuns::experiment("ablation", {"CLIP", "SILC"}, {0, 1, 2});
    const PlannedCell phase = FakeRuns::cell("ablation", "warm-up", 0, "bbbbbbbbbbb1");
    Registry registry = runs_.open();
    registry.plan(experiment);
    runs_.finish("ablation", phase, 0.2);
    registry.ingest(runs_.folder(phase).path);
    for (const PlannedCell& cell : experiment.cells) {
      const double seed = static_cast<double>(cell.seed);
      if (cell.row == "CLIP") runs_.finish("ablation", cell, 0.50 + 0.01 * seed);
      if (cell.row == "SILC" && cell.seed < 2)
        runs_.finish("ablation", cell, 0.55 + 0.03 * seed, "student",
                     cell.seed == 0 ? "warm-up/seed-0-bbbbbbbbbbb1" : "");
      if (cell.row == "SILC" && cell.seed == 2) fail(cell);
      registry.ingest(runs_.folder(cell).path);
    }
    export_registry(registry, {.experiments = {}, .folder = folder_ / "tables"});
  }

  void fail(const PlannedCell& cell) {
    runs_.write_cell("ablation", cell);
    runs_.event(cell, "started", 100, {{"step", 0}, {"total_steps", 20}, {"pid", 1}});
    runs_.step(cell, 10, 101, 2.5);
    runs_.warning(cell, 10, "teacher_entropy_zero");
    runs_.event(cell, "failed", 102, {{"message", "loss is not finite"}, {"plugin", "objective \"silc\""}});
    runs_.attempt(cell, 99, 103, "exit_code", 1);
  }

  // "a | b" a line, numbers with four digits.
  std::vector<std::string> lines_of(const std::string& heading) {
    const auto queries = documented_queries();
    if (!queries.contains(heading)) return {"there is no query \"" + heading + "\""};
    SQLite::Database database(runs_.registry_file().string(), SQLite::OPEN_READONLY);
    SQLite::Statement query(database, queries.at(heading));
    std::vector<std::string> lines;
    while (query.executeStep()) {
      std::string line;
      for (int i = 0; i < query.getColumnCount(); ++i) {
        const SQLite::Column column = query.getColumn(i);
        char number[32];
        std::snprintf(number, sizeof(number), "%.4g", column.getDouble());
        line += (i == 0 ? "" : " | ") + (column.isFloat() ? std::string(number) : column.getString());
      }
      lines.push_back(line);
    }
    return lines;
  }

  // Of a script in docs/examples/python, run in a folder of its own.
  std::optional<testing::CommandResult> run_example(const std::string& command, const std::string& package,
                                                    std::string& missing) {
    const std::string code =
        "import importlib.util, runpy, sys; "
        "all(importlib.util.find_spec(each) for each in \"" +
        package +
        "\".split()) or sys.exit(3); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name=\"__main__\")";
    for (const std::string& python : testing::pythons()) {
      auto result = testing::run_command("cd '" + folder_.path().string() + "' && SILC_REGISTRY='" +
                                         runs_.registry_file().string() + "' WANDB_SILENT=true '" + python + "' -c '" +
                                         code + "' " SILC_SOURCE_DIR "/docs/examples/python/" + command + " 2>&1");
      if (result.exit_code != testing::kMissingPackage && result.exit_code != 127) return result;
      missing += python + " has not all of: " + package + "\n";
    }
    return std::nullopt;
  }

  FakeRuns runs_;
  TemporaryFolder folder_;
};

TEST_F(DocumentedRegistry, AnswersTheTenQueries) {
  EXPECT_THAT(documented_queries(), SizeIs(10));
  EXPECT_THAT(lines_of("Where everything stands"), ElementsAre("ablation | failed | 1", "ablation | finished | 5"));
  EXPECT_THAT(lines_of("Means and spreads over seeds"),
              ElementsAre("SILC | 2 | 0.565 | 0.02121", "CLIP | 3 | 0.51 | 0.01"));
  EXPECT_THAT(lines_of("Differences to a baseline, seed by seed"), ElementsAre("SILC | 0 | 0.05", "SILC | 1 | 0.07"));
  EXPECT_THAT(lines_of("The best cell of each experiment"), ElementsAre("ablation | SILC | 1 | aaaaaaaaaaa4 | 0.59"));
  EXPECT_THAT(lines_of("A score against its cost"),
              ElementsAre("CLIP | 0.51 | 1.5e+12 | 0.02333", "SILC | 0.565 | 1.5e+12 | 0.02333"));
  EXPECT_THAT(lines_of("Learning curves, mean over seeds"),
              ElementsAre("CLIP | 10 | 1 | 3", "CLIP | 20 | 1 | 3", "SILC | 10 | 1.5 | 3", "SILC | 20 | 1 | 2"));
  EXPECT_THAT(
      lines_of("What failed, and why"),
      ElementsAre("ablation | SILC | 2 | loss is not finite | objective \"silc\" | ablation/SILC/seed-2-aaaaaaaaaaa6"));
  EXPECT_THAT(lines_of("Which rows trained badly"),
              ElementsAre(HasSubstr("SILC | teacher_entropy_zero | 1 | 10 | teacher_entropy 0.5")));
  EXPECT_THAT(lines_of("What interruptions cost"), ElementsAre("bench | 7 | 0 | 0.002917 | 1"));
  EXPECT_THAT(lines_of("What a row cost with all its phases"),
              ElementsAre("CLIP | 0 | 1 | 1.5e+12", "CLIP | 1 | 1 | 1.5e+12", "CLIP | 2 | 1 | 1.5e+12",
                          "SILC | 0 | 2 | 3e+12", "SILC | 1 | 1 | 1.5e+12"));
}

TEST_F(DocumentedRegistry, HasNoTableOrColumnThatIsNotNamed) {
  const std::string page = read_file(kPage);
  SQLite::Database database(runs_.registry_file().string(), SQLite::OPEN_READONLY);
  SQLite::Statement query(database, R"sql(
    SELECT each.name, column.name FROM sqlite_schema AS each, pragma_table_info(each.name) AS column
    WHERE each.type IN ('table', 'view') AND each.name NOT LIKE 'sqlite_%')sql");
  while (query.executeStep()) {
    const std::string table = query.getColumn(0).getString();
    const std::string column = query.getColumn(1).getString();
    EXPECT_THAT(page, HasSubstr("`" + table + "`"));
    EXPECT_THAT(page, HasSubstr("`" + column + "`")) << "of table " << table;
  }
}

TEST_F(DocumentedRegistry, IsReadByTheNotebook) {
  std::string missing;
  const auto ran = run_example("registry_notebook.py", "pandas", missing);
  if (!ran) GTEST_SKIP() << "no Python here has pandas:\n" << missing;
  EXPECT_EQ(ran->exit_code, 0) << ran->output;
  // Of SILC and CLIP over their two common seeds.
  EXPECT_THAT(ran->output, HasSubstr("0.06"));
  const bool parquet = fs::exists(folder_ / "results.parquet");
  EXPECT_TRUE(parquet || ran->output.find("pip install pyarrow") != std::string::npos) << ran->output;
}

TEST_F(DocumentedRegistry, GoesToWandb) {
  std::string missing;
  const auto ran =
      run_example("registry_to_wandb.py '" + (folder_ / "tables").string() + "' demo", "pandas wandb", missing);
  if (!ran) GTEST_SKIP() << "no Python here has wandb:\n" << missing;
  EXPECT_EQ(ran->exit_code, 0) << ran->output;
  int64_t runs = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "wandb"))
    runs += entry.path().filename().string().starts_with("offline-run-") ? 1 : 0;
  EXPECT_EQ(runs, 7);
}

}  // namespace
}  // namespace silc
