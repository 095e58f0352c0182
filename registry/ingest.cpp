#include "registry/ingest.h"

#include <SQLiteCpp/VariadicBind.h>
#include <toml++/toml.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "files/run_folder.h"
#include "registry/plan.h"
#include "silc/error.h"

namespace silc {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct CellIdentity {
  std::string experiment;
  std::string row;
  int64_t seed = 0;
  std::string id;
  std::string weights;
  std::string start;  // folder, from the experiment's; empty: starts from nothing
  std::optional<int64_t> trial;
};

// The columns of table cell that come from the run folder.
struct CellRow {
  int64_t cell_id = 0;
  std::string state;
  std::string message;
  std::string plugin;
  std::optional<int64_t> total_steps;
  std::string last_event;
  double last_event_time = 0;
  double state_time = 0;
  std::string events_head;
  int64_t events_offset = 0;

  friend bool operator==(const CellRow&, const CellRow&) = default;
};

void bind_value(SQLite::Statement& statement, int index, const std::optional<int64_t>& value) {
  if (value) statement.bind(index, *value);
}

template <class Value>
void bind_value(SQLite::Statement& statement, int index, const Value& value) {
  statement.bind(index, value);
}

void get_value(const SQLite::Column& column, std::string& value) { value = column.getString(); }
void get_value(const SQLite::Column& column, int64_t& value) { value = column.getInt64(); }
void get_value(const SQLite::Column& column, double& value) { value = column.getDouble(); }
void get_value(const SQLite::Column& column, std::optional<int64_t>& value) {
  if (!column.isNull()) value = column.getInt64();
}

// Makes a cell's rows of one table equal to `wanted`; writes nothing if they are.
template <class... Fields>
void replace_rows(SQLite::Database& database, int64_t cell, const std::string& table, const std::string& columns,
                  std::vector<std::tuple<Fields...>> wanted) {
  std::ranges::sort(wanted);
  std::vector<std::tuple<Fields...>> present;
  SQLite::Statement query(database, "SELECT " + columns + " FROM " + table + " WHERE cell_id = ? ORDER BY " + columns);
  query.bind(1, cell);
  while (query.executeStep()) {
    int index = 0;
    std::apply([&](auto&... fields) { (get_value(query.getColumn(index++), fields), ...); }, present.emplace_back());
  }
  if (present == wanted) return;

  SQLite::Statement clear(database, "DELETE FROM " + table + " WHERE cell_id = ?");
  clear.bind(1, cell);
  clear.exec();
  std::string places = "?";
  for (std::size_t i = 0; i < sizeof...(Fields); ++i) places += ", ?";
  SQLite::Statement insert(database,
                           "INSERT OR REPLACE INTO " + table + " (cell_id, " + columns + ") VALUES (" + places + ")");
  for (const auto& row : wanted) {
    int index = 1;
    insert.bind(index++, cell);
    std::apply([&](const auto&... fields) { (bind_value(insert, index++, fields), ...); }, row);
    insert.exec();
    insert.reset();
    insert.clearBindings();
  }
}

// Says that a file does not hold what it should. `read` may throw the faults of the JSON library.
template <class Read>
auto naming_the_file(const fs::path& file, const Read& read) {
  try {
    return read();
  } catch (const Json::exception&) {
    throw Error(file.string() + " is damaged: it is not the JSON that belongs there; run the cell again with --fresh");
  }
}

CellIdentity read_identity(const fs::path& file) {
  if (!fs::exists(file)) throw Error(file.string() + " is missing: its folder is not the run folder of a cell");
  try {
    const toml::table table = toml::parse_file(file.string());
    const auto cell = table["cell"];
    const auto experiment = cell["experiment"].value<std::string>();
    const auto row = cell["row"].value<std::string>();
    const auto seed = cell["seed"].value<int64_t>();
    const auto id = cell["id"].value<std::string>();
    if (!experiment || !row || !seed || !id)
      throw Error(file.string() +
                  ": table [cell] needs experiment, row, seed and id; the file is damaged, and running "
                  "the experiment again writes it anew");
    return {.experiment = *experiment,
            .row = *row,
            .seed = *seed,
            .id = *id,
            .weights = table["evaluation"]["weights"][0].value_or<std::string>("student"),
            .start = table["start"]["folder"].value_or<std::string>(""),
            .trial = cell["trial"].value<int64_t>()};
  } catch (const toml::parse_error& error) {
    throw Error(file.string() + ":" + std::to_string(error.source().begin.line) + ":" +
                std::to_string(error.source().begin.column) + ": " + std::string(error.description()));
  }
}

// Takes the cell's identity in. A cell whose experiment was never planned here is part of it, unless it is a trial; of
// a planned one, only what the plan lists.
void record_identity(SQLite::Database& database, const fs::path& folder, const CellIdentity& identity) {
  SQLite::Statement experiment(database, R"sql(
    INSERT INTO experiment (name, title, source, rows, seeds, tables) VALUES (?, '', '', '[]', '[]', '[]')
    ON CONFLICT (name) DO NOTHING)sql");
  experiment.bind(1, identity.experiment);
  experiment.exec();

  SQLite::Statement cell(database, R"sql(
    INSERT INTO cell (experiment_id, row, seed, id, folder, weights, previous, trial, position)
      SELECT experiment_id, ?1, ?2, ?3, ?4, ?5, ?7, ?8,
             CASE WHEN planned IS NULL AND ?8 IS NULL THEN (SELECT count(*) FROM cell AS other
                                             WHERE other.experiment_id = experiment.experiment_id) END
      FROM experiment WHERE name = ?6
    ON CONFLICT (folder) DO UPDATE SET weights = excluded.weights, previous = excluded.previous,
                                       trial = excluded.trial)sql");
  const std::string start =
      identity.start.empty() ? "" : (*folder.begin() / identity.start).lexically_normal().generic_string();
  SQLite::bind(cell, identity.row, identity.seed, identity.id, folder.generic_string(), identity.weights,
               identity.experiment, start);
  bind_value(cell, 8, identity.trial);
  cell.exec();
}

std::optional<CellRow> find_row(SQLite::Database& database, const fs::path& folder) {
  SQLite::Statement query(database, R"sql(
    SELECT cell_id, state, message, plugin, total_steps, last_event, coalesce(last_event_time, 0),
           coalesce(state_time, 0), events_head, events_offset
    FROM cell WHERE folder = ? AND ingested IS NOT NULL)sql");
  query.bind(1, folder.generic_string());
  if (!query.executeStep()) return std::nullopt;
  CellRow row;
  get_value(query.getColumn(0), row.cell_id);
  get_value(query.getColumn(1), row.state);
  get_value(query.getColumn(2), row.message);
  get_value(query.getColumn(3), row.plugin);
  get_value(query.getColumn(4), row.total_steps);
  get_value(query.getColumn(5), row.last_event);
  get_value(query.getColumn(6), row.last_event_time);
  get_value(query.getColumn(7), row.state_time);
  get_value(query.getColumn(8), row.events_head);
  get_value(query.getColumn(9), row.events_offset);
  return row;
}

void save_row(SQLite::Database& database, const CellRow& row) {
  SQLite::Statement update(database, R"sql(
    UPDATE cell SET state = ?2, message = ?3, plugin = ?4, total_steps = ?5, last_event = ?6,
                    last_event_time = nullif(?7, 0.0), state_time = nullif(?8, 0.0), events_head = ?9,
                    events_offset = ?10, ingested = ?11
    WHERE cell_id = ?1)sql");
  SQLite::bind(update, row.cell_id, row.state, row.message, row.plugin);
  bind_value(update, 5, row.total_steps);
  update.bind(6, row.last_event);
  update.bind(7, row.last_event_time);
  update.bind(8, row.state_time);
  update.bind(9, row.events_head);
  update.bind(10, row.events_offset);
  update.bind(11, now());
  update.exec();
}

// Nothing if there is no whole line yet.
std::string first_line(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string line;
  return std::getline(stream, line) && !stream.eof() ? line : "";
}

class EventReader {
 public:
  EventReader(SQLite::Database& database, CellRow& cell)
      : database_(database),
        cell_(cell),
        insert_(database, "INSERT OR REPLACE INTO step_metric (cell_id, step, name, value) VALUES (?, ?, ?, ?)"),
        insert_warning_(database,
                        "INSERT OR REPLACE INTO warning (cell_id, name, step, metric, value, message) "
                        "VALUES (?, ?, ?, ?, ?, ?)"),
        insert_along_(database,
                      "INSERT OR REPLACE INTO metric_along (cell_id, step, fraction, examples, flops, core_seconds, "
                      "seconds, evaluator, dataset, weights, name, value, n) "
                      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)") {}

  void read(const fs::path& file) {
    const std::string head = first_line(file);
    std::error_code no_file;
    const uintmax_t size = fs::file_size(file, no_file);
    if (cell_.events_offset > 0 &&
        (head != cell_.events_head || no_file || size < static_cast<uintmax_t>(cell_.events_offset)))
      start_over();
    auto offset = static_cast<uint64_t>(cell_.events_offset);
    const std::vector<Event> events = read_events(file, offset);
    for (const Event& event : events) take(event);
    cell_.events_head = head;
    cell_.events_offset = static_cast<int64_t>(offset);
  }

 private:
  // The log was replaced: the cell has been run afresh.
  void start_over() {
    remove_after(-1);
    CellRow fresh;
    fresh.cell_id = cell_.cell_id;
    cell_ = fresh;
  }

  void take(const Event& event) {
    const std::string kind = event.at("event");
    const double time = event.at("time");
    cell_.last_event_time = time;
    if (kind == "step") {
      take_step(event);
    } else if (kind == "warning") {
      take_warning(warning_of(event));
    } else if (kind == "evaluated_along") {
      take_along(event);
    } else if (kind == "paused") {  // as one that was interrupted: more of it is to be done
      set_last_event("interrupted", time);
    } else if (kind == "started" || kind == "finished" || kind == "failed" || kind == "interrupted") {
      set_last_event(kind, time);
    }
    if (kind == "started") {
      remove_after(event.at("step"));
      cell_.total_steps.reset();
      if (const auto total = event.find("total_steps"); total != event.end() && !total->is_null())
        cell_.total_steps = total->get<int64_t>();
    } else if (kind == "failed") {
      cell_.message = event.at("message");
      if (const auto plugin = event.find("plugin"); plugin != event.end() && plugin->is_string())
        cell_.plugin = *plugin;
    }
  }

  void set_last_event(const std::string& kind, double time) {
    cell_.last_event = kind;
    cell_.state_time = time;
    cell_.message.clear();
    cell_.plugin.clear();
  }

  void take_step(const Event& event) {
    const int64_t step = event.at("step");
    if (const auto values = event.find("values"); values != event.end())
      for (const auto& [name, value] : values->items()) insert_number(step, name, value);
    for (const auto& [name, value] : event.items())
      if (name != "step" && name != "time") insert_number(step, name, value);
  }

  void take_warning(const HealthWarning& warning) {
    SQLite::bind(insert_warning_, cell_.cell_id, warning.check, warning.step, warning.metric);
    if (warning.value) insert_warning_.bind(5, *warning.value);
    insert_warning_.bind(6, warning.message);
    insert_warning_.exec();
    insert_warning_.reset();
    insert_warning_.clearBindings();
  }

  void take_along(const Event& event) {
    for (const Json& metric : event.at("metrics")) {
      if (!metric.at("value").is_number()) continue;
      SQLite::bind(insert_along_, cell_.cell_id, event.at("step").get<int64_t>(), event.at("fraction").get<double>(),
                   event.at("examples").get<double>(), event.at("flops").get<double>(),
                   event.at("core_seconds").get<double>(), event.at("seconds").get<double>(),
                   metric.at("evaluator").get<std::string>(), metric.at("dataset").get<std::string>(),
                   metric.at("weights").get<std::string>(), metric.at("name").get<std::string>(),
                   metric.at("value").get<double>(), metric.at("n").get<int64_t>());
      insert_along_.exec();
      insert_along_.reset();
    }
  }

  // Anything else than a number has no place in the table; a loss that is not finite is null in JSON.
  void insert_number(int64_t step, const std::string& name, const Json& value) {
    if (!value.is_number()) return;
    SQLite::bind(insert_, cell_.cell_id, step, name, value.get<double>());
    insert_.exec();
    insert_.reset();
  }

  // What an attempt that goes on from `step` makes void.
  void remove_after(int64_t step) {
    for (const char* table : {"step_metric", "warning", "metric_along"}) {
      SQLite::Statement remove(database_, std::string("DELETE FROM ") + table + " WHERE cell_id = ? AND step > ?");
      SQLite::bind(remove, cell_.cell_id, step);
      remove.exec();
    }
  }

  SQLite::Database& database_;
  CellRow& cell_;
  SQLite::Statement insert_;
  SQLite::Statement insert_warning_;
  SQLite::Statement insert_along_;
};

std::vector<AttemptRecord> to_records(const std::vector<Event>& lines) {
  std::vector<AttemptRecord> attempts;
  for (const Event& line : lines) {
    AttemptRecord attempt{.start = line.at("start"),
                          .end = line.at("end"),
                          .exit_code = {},
                          .signal = {},
                          .core_seconds = line.at("core_seconds"),
                          .peak_memory = line.at("peak_memory"),
                          .threads = line.at("threads"),
                          .host = line.at("host"),
                          .job = line.value("job", ""),
                          .nodes = line.value("nodes", ""),
                          .job_state = line.value("job_state", ""),
                          .allocated_core_seconds = line.value("allocated_core_seconds", 0.0),
                          .allocated_gpu_seconds = line.value("allocated_gpu_seconds", 0.0)};
    if (line.contains("exit_code") && !line["exit_code"].is_null()) attempt.exit_code = line["exit_code"];
    if (line.contains("signal") && !line["signal"].is_null()) attempt.signal = line["signal"];
    attempts.push_back(std::move(attempt));
  }
  return attempts;
}

void record_attempts(SQLite::Database& database, int64_t cell, const std::vector<AttemptRecord>& attempts) {
  std::vector<std::tuple<int64_t, double, double, std::optional<int64_t>, std::optional<int64_t>, double, double,
                         int64_t, std::string, std::string, std::string, std::string, double, double>>
      rows;
  for (const AttemptRecord& attempt : attempts)
    rows.emplace_back(static_cast<int64_t>(rows.size()) + 1, attempt.start, attempt.end, attempt.exit_code,
                      attempt.signal, attempt.core_seconds, attempt.peak_memory, attempt.threads, attempt.host,
                      attempt.job, attempt.nodes, attempt.job_state, attempt.allocated_core_seconds,
                      attempt.allocated_gpu_seconds);
  replace_rows(
      database, cell, "attempt",
      "number, start, end, exit_code, signal, core_seconds, peak_memory, threads, host, job, nodes, job_state, "
      "allocated_core_seconds, allocated_gpu_seconds",
      std::move(rows));
}

// What metrics.json holds, as rows of the tables.
struct ResultRows {
  std::vector<std::tuple<std::string, std::string, std::string, std::string, double, int64_t>> metrics;
  std::vector<std::tuple<std::string, std::string, std::string, std::string>> not_applicable;
};

ResultRows read_results(const fs::path& file) {
  const Json json = Json::parse(read_file(file));
  ResultRows rows;
  for (const Json& metric : json.at("metrics"))
    if (metric.at("value").is_number())  // null: not finite, so there is no result
      rows.metrics.emplace_back(metric.at("evaluator"), metric.at("dataset"), metric.at("weights"), metric.at("name"),
                                metric.at("value"), metric.at("n"));
  for (const auto& [name, value] : json.at("cost").items())
    if (value.is_number()) rows.metrics.emplace_back("cost", "", "", name, value.get<double>(), 1);
  for (const Json& evaluation : json.value("not_applicable", Json::array()))
    rows.not_applicable.emplace_back(evaluation.at("evaluator"), evaluation.at("dataset"), evaluation.at("weights"),
                                     evaluation.at("reason"));
  return rows;
}

void record_artifacts(SQLite::Database& database, int64_t cell, const RunFolder& folder) {
  std::vector<std::tuple<std::string, int64_t>> rows;
  std::error_code error;  // files come and go while an engine runs: those that are gone are left out
  for (fs::recursive_directory_iterator entry(folder.path, error), end; entry != end; entry.increment(error)) {
    if (error) break;
    if (!entry->is_regular_file(error) || entry->path().filename() == folder.lock().filename() ||
        entry->path().extension() == ".tmp")
      continue;
    const uintmax_t bytes = entry->file_size(error);
    if (!error)
      rows.emplace_back(entry->path().lexically_relative(folder.path).generic_string(), static_cast<int64_t>(bytes));
  }
  replace_rows(database, cell, "artifact", "path, bytes", std::move(rows));
}

void judge_state(CellRow& cell, const std::vector<Event>& attempts, bool locked) {
  if (!attempts.empty() && ended_silently(attempts.back(), cell.last_event, cell.state_time)) {
    cell.message = failure_of_attempt(attempts.back());
    cell.plugin.clear();
    cell.state = state_name(cell.message.empty() ? CellState::interrupted : CellState::failed);
    return;
  }
  const bool started = cell.last_event == "started";
  if (!cell.last_event.empty() && !started) {
    cell.state = cell.last_event;
    return;
  }
  cell.state = state_name(locked ? CellState::running : started ? CellState::interrupted : CellState::planned);
}

void take_folder(SQLite::Database& database, const RunFolder& folder, CellRow& cell) {
  naming_the_file(folder.events(), [&] { EventReader(database, cell).read(folder.events()); });
  uint64_t start = 0;
  const std::vector<Event> attempts = read_events(folder.attempts(), start);
  record_attempts(database, cell.cell_id, naming_the_file(folder.attempts(), [&] { return to_records(attempts); }));
  judge_state(cell, attempts, FileLock::is_locked(folder.lock()));
  const bool finished = cell.state == state_name(CellState::finished);
  ResultRows results;
  if (finished) results = naming_the_file(folder.metrics(), [&] { return read_results(folder.metrics()); });
  replace_rows(database, cell.cell_id, "metric", "evaluator, dataset, weights, name, value, n",
               std::move(results.metrics));
  replace_rows(database, cell.cell_id, "not_applicable", "evaluator, dataset, weights, reason",
               std::move(results.not_applicable));
}

void mark_damaged(CellRow& cell, const std::string& message) {
  cell.state = state_name(CellState::failed);
  cell.message = message;
  cell.plugin.clear();
}

}  // namespace

void ingest_folder(SQLite::Database& database, const fs::path& runs, const fs::path& path) {
  const RunFolder folder{runs / path};
  std::optional<CellRow> before = find_row(database, path);
  CellRow cell;
  if (before) {
    cell = *before;
  } else {
    record_identity(database, path, read_identity(folder.cell()));
    SQLite::Statement query(database, "SELECT cell_id FROM cell WHERE folder = ?");
    query.bind(1, path.generic_string());
    query.executeStep();
    cell.cell_id = query.getColumn(0).getInt64();
  }
  try {
    take_folder(database, folder, cell);
  } catch (const Error& error) {
    mark_damaged(cell, error.what());
  }
  record_artifacts(database, cell.cell_id, folder);
  if (!before || *before != cell) save_row(database, cell);
}

}  // namespace silc
