#include "registry/plan.h"

#include <SQLiteCpp/VariadicBind.h>

#include <algorithm>
#include <chrono>

#include "files/durable_file.h"
#include "silc/error.h"

namespace silc {

namespace {

using Json = nlohmann::json;

std::string dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const std::vector<PlannedTable>& tables) {
  Json array = Json::array();
  for (const PlannedTable& table : tables)
    array.push_back({{"name", table.name},
                     {"title", table.title},
                     {"baseline", table.baseline},
                     {"columns", table.columns},
                     {"rows", table.rows}});
  return array;
}

std::vector<PlannedTable> tables_from(const Json& array) {
  std::vector<PlannedTable> tables;
  for (const Json& table : array)
    tables.push_back({.name = table.at("name"),
                      .title = table.at("title"),
                      .baseline = table.at("baseline"),
                      .columns = table.at("columns"),
                      .rows = table.at("rows")});
  return tables;
}

// An experiment that is known from run folders only consists of what they hold.
void derive_rows_and_seeds(PlannedExperiment& experiment) {
  for (const PlannedCell& cell : experiment.cells) {
    if (std::ranges::find(experiment.rows, cell.row) == experiment.rows.end()) experiment.rows.push_back(cell.row);
    if (std::ranges::find(experiment.seeds, cell.seed) == experiment.seeds.end()) experiment.seeds.push_back(cell.seed);
  }
}

int64_t upsert_experiment(SQLite::Database& database, const DatedPlan& plan) {
  SQLite::Statement statement(database, R"sql(
    INSERT INTO experiment (name, title, source, rows, seeds, tables, planned, search)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET title = excluded.title, source = excluded.source, rows = excluded.rows,
                                     seeds = excluded.seeds, tables = excluded.tables, planned = excluded.planned,
                                     search = excluded.search
    RETURNING experiment_id)sql");
  const PlannedExperiment& experiment = plan.experiment;
  SQLite::bind(statement, experiment.name, experiment.title, experiment.source, dump(experiment.rows),
               dump(experiment.seeds), dump(to_json(experiment.tables)), plan.planned,
               experiment.search ? dump(to_json(*experiment.search)) : std::string());
  statement.executeStep();
  return statement.getColumn(0).getInt64();
}

}  // namespace

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

void write_plan(const std::filesystem::path& file, const DatedPlan& plan) {
  const PlannedExperiment& experiment = plan.experiment;
  Json cells = Json::array();
  for (const PlannedCell& cell : experiment.cells)
    cells.push_back(
        {{"row", cell.row}, {"seed", cell.seed}, {"id", cell.id}, {"folder", cell.folder.generic_string()}});
  Json json = {{"name", experiment.name},     {"title", experiment.title},
               {"source", experiment.source}, {"rows", experiment.rows},
               {"seeds", experiment.seeds},   {"tables", to_json(experiment.tables)},
               {"planned", plan.planned},     {"cells", cells}};
  if (experiment.search) json["search"] = to_json(*experiment.search);
  write_file_durably(file, dump(json, 2) + "\n");
}

DatedPlan read_plan(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  try {
    const Json json = Json::parse(text);
    DatedPlan plan;
    plan.planned = json.at("planned");
    plan.experiment = {.name = json.at("name"),
                       .title = json.at("title"),
                       .source = json.at("source"),
                       .rows = json.at("rows"),
                       .seeds = json.at("seeds"),
                       .tables = tables_from(json.at("tables")),
                       .cells = {}};
    for (const Json& cell : json.at("cells"))
      plan.experiment.cells.push_back({.row = cell.at("row"),
                                       .seed = cell.at("seed"),
                                       .id = cell.at("id"),
                                       .folder = cell.at("folder").get<std::string>()});
    if (json.contains("search")) plan.experiment.search = search_from(json["search"]);
    return plan;
  } catch (const Json::exception& error) {
    throw Error(file.string() + " is damaged (" + error.what() +
                "); `silc run` of its experiment file writes it again");
  }
}

void record_plan(SQLite::Database& database, const DatedPlan& plan) {
  const int64_t experiment = upsert_experiment(database, plan);

  SQLite::Statement clear(database, "UPDATE cell SET position = NULL WHERE experiment_id = ?");
  clear.bind(1, experiment);
  clear.exec();

  SQLite::Statement insert(database, R"sql(
    INSERT INTO cell (experiment_id, row, seed, id, folder, position) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (folder) DO UPDATE SET experiment_id = excluded.experiment_id, row = excluded.row,
                                       seed = excluded.seed, id = excluded.id, position = excluded.position)sql");
  int64_t position = 0;
  for (const PlannedCell& cell : plan.experiment.cells) {
    SQLite::bind(insert, experiment, cell.row, cell.seed, cell.id, cell.folder.generic_string(), position++);
    insert.exec();
    insert.reset();
  }

  // Planned once, never started, and not wanted any more.
  SQLite::Statement forget(database,
                           "DELETE FROM cell WHERE experiment_id = ? AND position IS NULL AND ingested IS NULL");
  forget.bind(1, experiment);
  forget.exec();
}

std::optional<PlannedExperiment> load_plan(const SQLite::Database& database, const std::string& name) {
  SQLite::Statement query(
      database,
      "SELECT experiment_id, title, source, rows, seeds, tables, planned, search FROM experiment WHERE name = ?");
  query.bind(1, name);
  if (!query.executeStep()) return std::nullopt;

  PlannedExperiment experiment{.name = name,
                               .title = query.getColumn(1).getString(),
                               .source = query.getColumn(2).getString(),
                               .rows = Json::parse(query.getColumn(3).getString()),
                               .seeds = Json::parse(query.getColumn(4).getString()),
                               .tables = tables_from(Json::parse(query.getColumn(5).getString())),
                               .cells = {}};
  SQLite::Statement cells(database, R"sql(
    SELECT row, seed, id, folder FROM cell WHERE experiment_id = ? AND position IS NOT NULL
    ORDER BY position, cell_id)sql");
  cells.bind(1, query.getColumn(0).getInt64());
  while (cells.executeStep())
    experiment.cells.push_back({.row = cells.getColumn(0).getString(),
                                .seed = cells.getColumn(1).getInt64(),
                                .id = cells.getColumn(2).getString(),
                                .folder = cells.getColumn(3).getString()});
  if (const std::string search = query.getColumn(7).getString(); !search.empty())
    experiment.search = search_from(Json::parse(search));
  if (query.getColumn(6).isNull()) derive_rows_and_seeds(experiment);
  return experiment;
}

}  // namespace silc
