#include "registry/database.h"

#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>

#include "silc/error.h"

namespace silc {

namespace {

namespace fs = std::filesystem;

constexpr int32_t kApplicationId = 0x73696c63;  // "silc"
constexpr std::chrono::milliseconds kBusyTimeout{30'000};

// migration i takes the schema from user_version i to i + 1. Only ever add to the end.
constexpr std::array kMigrations{
    R"sql(
CREATE TABLE experiment (
  experiment_id INTEGER PRIMARY KEY,
  name          TEXT NOT NULL UNIQUE,
  title         TEXT NOT NULL,
  source        TEXT NOT NULL,  -- the experiment file
  rows          TEXT NOT NULL,  -- JSON, as in experiment.json
  seeds         TEXT NOT NULL,
  tables        TEXT NOT NULL,
  planned       REAL            -- seconds since 1970; null: known from run folders only
) STRICT;

CREATE TABLE cell (
  cell_id         INTEGER PRIMARY KEY,
  experiment_id   INTEGER NOT NULL REFERENCES experiment ON DELETE CASCADE,
  row             TEXT NOT NULL,
  seed            INTEGER NOT NULL,
  id              TEXT NOT NULL,
  folder          TEXT NOT NULL UNIQUE,             -- relative to the runs folder
  position        INTEGER,                          -- in the experiment as it stands; null: no part of it any more
  state           TEXT NOT NULL DEFAULT 'planned',  -- planned, running, finished, failed, interrupted
  message         TEXT NOT NULL DEFAULT '',         -- why it failed
  plugin          TEXT NOT NULL DEFAULT '',         -- the one at fault
  weights         TEXT NOT NULL DEFAULT 'student',  -- whose weights plain columns mean
  total_steps     INTEGER,
  last_event      TEXT NOT NULL DEFAULT '',         -- started, finished, failed or interrupted
  last_event_time REAL,                             -- of any event
  state_time      REAL,                             -- of last_event
  events_head     TEXT NOT NULL DEFAULT '',         -- first line of events.jsonl: another one means another file
  events_offset   INTEGER NOT NULL DEFAULT 0,       -- bytes of events.jsonl taken in
  ingested        REAL                              -- seconds since 1970; null: never
) STRICT;
CREATE INDEX cell_by_experiment ON cell (experiment_id, position);

CREATE TABLE attempt (  -- one engine process
  cell_id      INTEGER NOT NULL REFERENCES cell ON DELETE CASCADE,
  number       INTEGER NOT NULL,
  start        REAL NOT NULL,  -- seconds since 1970
  end          REAL NOT NULL,
  exit_code    INTEGER,
  signal       INTEGER,
  core_seconds REAL NOT NULL,
  peak_memory  REAL NOT NULL,  -- bytes
  threads      INTEGER NOT NULL,
  host         TEXT NOT NULL,
  PRIMARY KEY (cell_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE metric (
  cell_id   INTEGER NOT NULL REFERENCES cell ON DELETE CASCADE,
  evaluator TEXT NOT NULL,  -- "cost" for costs
  dataset   TEXT NOT NULL,
  weights   TEXT NOT NULL,
  name      TEXT NOT NULL,
  value     REAL NOT NULL,
  n         INTEGER NOT NULL,
  PRIMARY KEY (cell_id, evaluator, dataset, weights, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE step_metric (
  cell_id INTEGER NOT NULL REFERENCES cell ON DELETE CASCADE,
  step    INTEGER NOT NULL,
  name    TEXT NOT NULL,
  value   REAL NOT NULL,
  PRIMARY KEY (cell_id, step, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifact (
  cell_id INTEGER NOT NULL REFERENCES cell ON DELETE CASCADE,
  path    TEXT NOT NULL,  -- relative to the run folder
  bytes   INTEGER NOT NULL,
  PRIMARY KEY (cell_id, path)
) STRICT, WITHOUT ROWID;

CREATE VIEW result AS
  SELECT experiment.name AS experiment, cell.row, cell.seed, cell.id, cell.state,
         cell.position IS NOT NULL AS current, metric.evaluator, metric.dataset, metric.weights,
         metric.name AS metric, metric.value, metric.n
  FROM metric JOIN cell USING (cell_id) JOIN experiment USING (experiment_id);
)sql",
    R"sql(
-- Folder of the cell, a phase before, that this one starts from; empty: none.
ALTER TABLE cell ADD COLUMN previous TEXT NOT NULL DEFAULT '';
)sql",
    R"sql(
CREATE TABLE warning (  -- a sign that training was sick
  cell_id INTEGER NOT NULL REFERENCES cell ON DELETE CASCADE,
  name    TEXT NOT NULL,     -- of the check: it warns once
  step    INTEGER NOT NULL,
  metric  TEXT NOT NULL,     -- that it looked at
  value   REAL,              -- of the metric in that step; null: not finite
  message TEXT NOT NULL,
  PRIMARY KEY (cell_id, name)
) STRICT, WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE not_applicable (  -- evaluations that do not apply to a cell, by the nature of its model
  cell_id   INTEGER NOT NULL REFERENCES cell ON DELETE CASCADE,
  evaluator TEXT NOT NULL,
  dataset   TEXT NOT NULL,
  weights   TEXT NOT NULL,
  reason    TEXT NOT NULL,
  PRIMARY KEY (cell_id, evaluator, dataset, weights)
) STRICT, WITHOUT ROWID;
)sql",
    R"sql(
CREATE TABLE metric_along (  -- evaluations along training; costs are of training until then, of this phase
  cell_id      INTEGER NOT NULL REFERENCES cell ON DELETE CASCADE,
  step         INTEGER NOT NULL,
  fraction     REAL NOT NULL,  -- of the budget
  examples     REAL NOT NULL,
  flops        REAL NOT NULL,
  core_seconds REAL NOT NULL,
  seconds      REAL NOT NULL,
  evaluator    TEXT NOT NULL,
  dataset      TEXT NOT NULL,
  weights      TEXT NOT NULL,
  name         TEXT NOT NULL,
  value        REAL NOT NULL,
  n            INTEGER NOT NULL,
  PRIMARY KEY (cell_id, step, evaluator, dataset, weights, name)
) STRICT, WITHOUT ROWID;

CREATE VIEW result_along AS
  SELECT experiment.name AS experiment, cell.row, cell.seed, cell.id, cell.position IS NOT NULL AS current,
         metric_along.step, fraction, examples, flops, core_seconds, seconds, evaluator, dataset, metric_along.weights,
         metric_along.name AS metric, value, n
  FROM metric_along JOIN cell USING (cell_id) JOIN experiment USING (experiment_id);
)sql",
    R"sql(
-- What is tuned, the trials and what they came to, JSON as in experiment.json; empty: nothing.
ALTER TABLE experiment ADD COLUMN search TEXT NOT NULL DEFAULT '';
-- Number of the trial of a search that the cell is; null: none. Trials have no position.
ALTER TABLE cell ADD COLUMN trial INTEGER;
)sql",
    R"sql(
-- Of an attempt that was a job of a cluster: its number, where it ran, how it ended by the cluster's word, and what was
-- allocated to it for its time: cores and GPUs times seconds.
ALTER TABLE attempt ADD COLUMN job TEXT NOT NULL DEFAULT '';
ALTER TABLE attempt ADD COLUMN nodes TEXT NOT NULL DEFAULT '';
ALTER TABLE attempt ADD COLUMN job_state TEXT NOT NULL DEFAULT '';
ALTER TABLE attempt ADD COLUMN allocated_core_seconds REAL NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD COLUMN allocated_gpu_seconds REAL NOT NULL DEFAULT 0;
)sql"};

int version_of(SQLite::Database& database) { return database.execAndGet("PRAGMA user_version").getInt(); }

bool is_empty(SQLite::Database& database) {
  return database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt() == 0;
}

void migrate(SQLite::Database& database) {
  if (version_of(database) == static_cast<int>(kMigrations.size())) return;
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  // Looked at again under the lock: another process may just have done it.
  for (auto version = static_cast<std::size_t>(version_of(database)); version < kMigrations.size(); ++version)
    database.exec(kMigrations[version]);
  database.exec("PRAGMA application_id = " + std::to_string(kApplicationId));
  database.exec("PRAGMA user_version = " + std::to_string(kMigrations.size()));
  transaction.commit();
}

// SQLite gives up at once when two processes do this to a new file, however long its timeout.
void use_write_ahead_log(SQLite::Database& database) {
  const auto deadline = std::chrono::steady_clock::now() + kBusyTimeout;
  for (;;) {
    try {
      std::ignore = database.execAndGet("PRAGMA journal_mode = WAL").getString();
      return;
    } catch (const SQLite::Exception& error) {
      if (error.getErrorCode() != SQLITE_BUSY || std::chrono::steady_clock::now() > deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

// SQLite's own answer to a foreign file depends on what is asked of it; this looks before SQLite touches anything.
void refuse_other_formats(const fs::path& file) {
  constexpr std::string_view kMagic{"SQLite format 3\0", 16};
  if (fs::is_directory(file))
    throw Error(file.string() + " is a folder, not a registry; name a file with --registry or SILC_REGISTRY");
  if (fs::file_size(file) == 0) return;  // what is left when the very first open was cut short
  std::array<char, kMagic.size()> head{};
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Error("cannot read " + file.string() + "; check its permissions");
  stream.read(head.data(), head.size());
  if (std::string_view(head.data(), head.size()) != kMagic)
    throw Error(file.string() +
                " is not a registry (not a SQLite file, or damaged); name another file with --registry, "
                "or move it away and run `silc registry rebuild`, which makes it anew from the run folders");
}

void refuse_foreign_and_newer(const fs::path& file, SQLite::Database& database) {
  if (is_empty(database)) return;
  if (database.execAndGet("PRAGMA application_id").getInt() != kApplicationId)
    throw Error(file.string() + " is a SQLite file of another program, not a registry; name another file with " +
                "--registry or SILC_REGISTRY");
  const int version = version_of(database);
  if (version > static_cast<int>(kMigrations.size()))
    throw Error(file.string() + " was written by a newer silc (registry version " + std::to_string(version) +
                ", this silc knows " + std::to_string(kMigrations.size()) + "); use that silc, or another --registry");
}

void refuse_unwritable(const fs::path& file) {
  const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  for (const fs::path& path : {file, folder})
    if (::access(path.c_str(), F_OK) == 0 && ::access(path.c_str(), W_OK) != 0)
      throw Error("cannot write " + path.string() + "; check its permissions, or name another file with --registry");
}

SQLite::Database open_database(const std::string& name, int flags) {
  SQLite::Database database(name, flags, static_cast<int>(kBusyTimeout.count()));
  database.exec("PRAGMA foreign_keys = ON");
  return database;
}

// A registry on a read-only file system: SQLite cannot make its shared-memory file there, and needs to be told that
// nobody else writes.
SQLite::Database open_read_only(const fs::path& file) {
  try {
    SQLite::Database database = open_database(file.string(), SQLite::OPEN_READONLY);
    is_empty(database);
    return database;
  } catch (const SQLite::Exception& error) {
    if (error.getErrorCode() != SQLITE_CANTOPEN || fs::exists(file.string() + "-wal")) throw;
  }
  std::string uri = "file:";
  for (const char c : file.string()) {
    if (c == '%' || c == '?' || c == '#')
      uri += c == '%' ? "%25" : c == '?' ? "%3f" : "%23";
    else
      uri += c;
  }
  return open_database(uri + "?immutable=1", SQLite::OPEN_READONLY | SQLite::OPEN_URI);
}

}  // namespace

void create_schema(SQLite::Database& database) { migrate(database); }

SQLite::Database open_registry(const fs::path& file) {
  return with_database_errors(file, [&] {
    if (fs::exists(file)) refuse_other_formats(file);
    std::error_code error;
    if (file.has_parent_path()) fs::create_directories(file.parent_path(), error);
    if (error) throw Error("cannot make the folder of " + file.string() + ": " + error.message());
    refuse_unwritable(file);
    SQLite::Database database = open_database(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    refuse_foreign_and_newer(file, database);
    use_write_ahead_log(database);
    database.exec("PRAGMA synchronous = FULL");
    migrate(database);
    return database;
  });
}

SQLite::Database open_registry_for_reading(const fs::path& file) {
  return with_database_errors(file, [&] {
    const std::string remedy =
        "; `silc run EXPERIMENT.toml` makes one, or name another with --registry or SILC_REGISTRY";
    if (!fs::exists(file)) throw Error("there is no registry " + file.string() + remedy);
    refuse_other_formats(file);
    SQLite::Database database = open_read_only(file);
    if (is_empty(database)) throw Error("the registry " + file.string() + " is empty" + remedy);
    refuse_foreign_and_newer(file, database);
    if (version_of(database) < static_cast<int>(kMigrations.size()))
      throw Error(file.string() + " was written by an older silc; `silc registry check` brings it up to date");
    return database;
  });
}

void throw_database_error(const fs::path& file, const SQLite::Exception& error) {
  const std::string fault = "registry " + file.string() + ": " + error.what();
  switch (error.getErrorCode()) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error(fault + "; another process has held it for half a minute: wait for it, or end it");
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      throw Error(fault + "; check the permissions of the file and its folder, or name another file with --registry");
    case SQLITE_FULL:
      throw Error(fault + "; free some space, then try again");
    case SQLITE_IOERR:
      throw Error(fault + "; the disk reports a fault or is full");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      throw Error(fault +
                  "; it is damaged: move it away and run `silc registry rebuild`, which makes it anew from the " +
                  "run folders");
    default:
      throw Error(fault);
  }
}

}  // namespace silc
