// An export as MLflow reads it: mlflow.db, its SQLite store, in the schema of MLflow 1.30 to 2.2, which later versions
// bring up to their own with `mlflow db upgrade`. A store of today's schema would be read by the versions of a few
// weeks. (MLflow's store of files is in maintenance, and no longer read unless one insists.)
#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <set>
#include <type_traits>

#include "registry/exporter.h"
#include "silc/error.h"

namespace silc {

namespace {

constexpr const char* kRevision = "97727af70f4d";

// Of that revision, as MLflow itself makes it: later ones look for these very constraints.
constexpr const char* kMlflowSchema = R"sql(
CREATE TABLE experiments (
  experiment_id INTEGER NOT NULL,
  name VARCHAR(256) NOT NULL,
  artifact_location VARCHAR(256),
  lifecycle_stage VARCHAR(32),
  creation_time BIGINT,
  last_update_time BIGINT,
  CONSTRAINT experiment_pk PRIMARY KEY (experiment_id),
  CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),
  UNIQUE (name)
);
CREATE TABLE alembic_version (
  version_num VARCHAR(32) NOT NULL,
  CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE experiment_tags (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(5000),
  experiment_id INTEGER NOT NULL,
  CONSTRAINT experiment_tag_pk PRIMARY KEY ("key", experiment_id),
  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE "tags" (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(5000),
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
CREATE TABLE registered_models (
  name VARCHAR(256) NOT NULL,
  creation_time BIGINT,
  last_updated_time BIGINT,
  description VARCHAR(5000),
  CONSTRAINT registered_model_pk PRIMARY KEY (name),
  UNIQUE (name)
);
CREATE TABLE "runs" (
  run_uuid VARCHAR(32) NOT NULL,
  name VARCHAR(250),
  source_type VARCHAR(20),
  source_name VARCHAR(500),
  entry_point_name VARCHAR(50),
  user_id VARCHAR(256),
  status VARCHAR(9),
  start_time BIGINT,
  end_time BIGINT,
  source_version VARCHAR(50),
  lifecycle_stage VARCHAR(20),
  artifact_uri VARCHAR(200),
  experiment_id INTEGER,
  deleted_time BIGINT,
  CONSTRAINT run_pk PRIMARY KEY (run_uuid),
  CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')),
  CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')),
  FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id),
  CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED'))
);
CREATE TABLE registered_model_tags (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(5000),
  name VARCHAR(256) NOT NULL,
  CONSTRAINT registered_model_tag_pk PRIMARY KEY ("key", name),
  FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE cascade
);
CREATE TABLE model_version_tags (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(5000),
  name VARCHAR(256) NOT NULL,
  version INTEGER NOT NULL,
  CONSTRAINT model_version_tag_pk PRIMARY KEY ("key", name, version),
  FOREIGN KEY(name, version) REFERENCES model_versions (name, version) ON UPDATE cascade
);
CREATE TABLE "model_versions" (
  name VARCHAR(256) NOT NULL,
  version INTEGER NOT NULL,
  creation_time BIGINT,
  last_updated_time BIGINT,
  description VARCHAR(5000),
  user_id VARCHAR(256),
  current_stage VARCHAR(20),
  source VARCHAR(500),
  run_id VARCHAR(32),
  status VARCHAR(20),
  status_message VARCHAR(500),
  run_link VARCHAR(500),
  CONSTRAINT model_version_pk PRIMARY KEY (name, version),
  FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE CASCADE
);
CREATE TABLE "latest_metrics" (
  "key" VARCHAR(250) NOT NULL,
  value FLOAT NOT NULL,
  timestamp BIGINT,
  step BIGINT NOT NULL,
  is_nan BOOLEAN NOT NULL,
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT latest_metric_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid),
  CHECK (is_nan IN (0, 1))
);
CREATE TABLE "metrics" (
  "key" VARCHAR(250) NOT NULL,
  value FLOAT NOT NULL,
  timestamp BIGINT NOT NULL,
  run_uuid VARCHAR(32) NOT NULL,
  step BIGINT DEFAULT '0' NOT NULL,
  is_nan BOOLEAN DEFAULT '0' NOT NULL,
  CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid),
  CHECK (is_nan IN (0, 1))
);
CREATE TABLE "params" (
  "key" VARCHAR(250) NOT NULL,
  value VARCHAR(500) NOT NULL,
  run_uuid VARCHAR(32) NOT NULL,
  CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid),
  FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
)sql";

// Made when the tables are full, which is faster.
constexpr const char* kMlflowIndexes = R"sql(
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
CREATE INDEX index_latest_metrics_run_uuid ON latest_metrics (run_uuid);
CREATE INDEX index_tags_run_uuid ON tags (run_uuid);
CREATE INDEX index_params_run_uuid ON params (run_uuid);
)sql";

std::string_view status_of(CellState state) {
  switch (state) {
    case CellState::planned:
      return "SCHEDULED";
    case CellState::running:
      return "RUNNING";
    case CellState::finished:
      return "FINISHED";
    case CellState::failed:
      return "FAILED";
    case CellState::interrupted:
      return "KILLED";
  }
  return "";
}

int64_t milliseconds(double seconds) { return std::llround(seconds * 1000); }

// 32 hex digits, as MLflow wants them: the cell's ID, then what tells cells of one ID apart, which are in different
// experiments (FNV-1a of the folder).
std::string run_id(const PlannedCell& cell) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : cell.folder.generic_string()) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return fmt::format("{:0<16.16}{:016x}", cell.id, hash);
}

// Names as MLflow allows them, letters, digits and "_-. :/": what else is in one becomes "_", and "@" "_at_".
class Names {
 public:
  const std::string& operator()(const std::string& name) {
    const auto [found, is_new] = names_.try_emplace(name);
    if (is_new) found->second = unused(name);
    return found->second;
  }

 private:
  std::string unused(const std::string& name) {
    std::string allowed;
    for (const char c : name) {
      const bool letter = static_cast<unsigned char>(c) >= 0x80 || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9');
      if (c == '@')
        allowed += "_at_";
      else
        allowed += letter || std::string_view("_-. :/").find(c) != std::string_view::npos ? c : '_';
    }
    std::string candidate = allowed;
    for (int64_t i = 2; !used_.insert(candidate).second; ++i) candidate = fmt::format("{}_{}", allowed, i);
    return candidate;
  }

  std::map<std::string, std::string> names_;
  std::set<std::string> used_;
};

// Runs `action`, with faults of the store's SQLite said as such: those of the registry are not to be taken for it.
template <class Action>
void in_store(const std::filesystem::path& file, const Action& action) {
  try {
    action();
  } catch (const SQLite::Exception& error) {
    throw Error(fmt::format("cannot write {}: {}; is there space on the disk?", file.string(), error.what()));
  }
}

class MlflowExporter : public Exporter {
 public:
  explicit MlflowExporter(const std::filesystem::path& folder) : file_(folder / "mlflow.db") {
    in_store(file_, [&] {
      database_.emplace(file_.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
      // Nobody sees the file before it is whole.
      database_->exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;");
      database_->exec("BEGIN");
      database_->exec(kMlflowSchema);
      database_->exec(fmt::format("INSERT INTO alembic_version VALUES ('{}')", kRevision));
      prepare(experiment_, "experiments VALUES (?, ?, ?, 'active', 0, 0)");
      prepare(experiment_tag_, "experiment_tags VALUES (?, ?, ?)");
      prepare(run_, "runs VALUES (?, ?, 'LOCAL', 'silc', '', 'silc', ?, ?, ?, '', 'active', ?, ?, NULL)");
      prepare(tag_, "tags VALUES (?, ?, ?)");
      prepare(param_, "params VALUES (?, ?, ?)");
      prepare(metric_, "metrics VALUES (?, ?, ?, ?, ?, 0)");
      prepare(latest_metric_, "latest_metrics VALUES (?, ?, ?, ?, 0, ?)");
    });
  }

  void begin(const PlannedExperiment& experiment) override {
    // MLflow takes runs that name no experiment to be of number 0, which it calls so.
    if (experiment.name == kDefault) has_default_ = true;
    number_ = experiment.name == kDefault ? 0 : ++last_number_;
    insert(experiment_, number_, experiment.name, artifacts_of(number_));
    if (!experiment.title.empty()) insert(experiment_tag_, "mlflow.note.content", experiment.title, number_);
  }

  void add(const ExportedCell& cell) override {
    const CellRecord& record = cell.record;
    const std::string run = run_id(record.cell);
    const std::string name = fmt::format("{}, seed {}", record.cell.row, record.cell.seed);
    const std::string artifacts = fmt::format("{}/{}/artifacts", artifacts_of(number_), run);
    insert(run_, run, name, status_of(record.state), milliseconds(cell.start),
           cell.end ? std::optional(milliseconds(*cell.end)) : std::nullopt, artifacts, number_);
    add_tags(cell, run, name);
    Names params;
    for (const ExportedSetting& setting : cell.settings) insert(param_, params(setting.name), setting.text, run);
    add_metrics(cell, run);
  }

  void finish() override {
    if (!has_default_) insert(experiment_, int64_t{0}, kDefault, artifacts_of(0));
    in_store(file_, [&] {
      database_->exec(kMlflowIndexes);
      database_->exec(R"sql(
        UPDATE experiments SET
          creation_time = coalesce((SELECT min(start_time) FROM runs
            WHERE runs.experiment_id = experiments.experiment_id AND start_time > 0), 0),
          last_update_time = coalesce((SELECT max(end_time) FROM runs
            WHERE runs.experiment_id = experiments.experiment_id), 0))sql");
      database_->exec("COMMIT");
      for (auto* statement : {&experiment_, &experiment_tag_, &run_, &tag_, &param_, &metric_, &latest_metric_})
        statement->reset();
      database_.reset();
    });
  }

 private:
  static constexpr const char* kDefault = "Default";

  struct LatestValue {
    double value = 0;
    int64_t time = 0;  // milliseconds since 1970
    int64_t step = 0;
  };

  // Where MLflow would put files of runs, from the folder in which it is started: none are exported.
  static std::string artifacts_of(int64_t experiment) { return fmt::format("./mlartifacts/{}", experiment); }

  void prepare(std::optional<SQLite::Statement>& statement, const std::string& values) {
    statement.emplace(*database_, "INSERT INTO " + values);
  }

  static void bind(SQLite::Statement& statement, int index, const std::optional<int64_t>& value) {
    if (value) statement.bind(index, *value);
  }
  static void bind(SQLite::Statement& statement, int index, std::string_view value) {
    statement.bind(index, std::string(value));
  }
  template <class Number>
  static void bind(SQLite::Statement& statement, int index, Number value) requires std::is_arithmetic_v<Number> {
    statement.bind(index, value);
  }

  template <class... Values>
  void insert(std::optional<SQLite::Statement>& statement, const Values&... values) {
    in_store(file_, [&] {
      statement->clearBindings();
      int index = 1;
      (bind(*statement, index++, values), ...);
      statement->exec();
      statement->reset();
    });
  }

  void add_tags(const ExportedCell& cell, const std::string& run, const std::string& name) {
    const CellRecord& record = cell.record;
    std::string note = record.message;
    for (const WarningRecord& warning : cell.warnings)
      note += fmt::format("{}- step {}: {}", note.empty() ? "" : "\n", warning.step, warning.message);
    const std::vector<std::pair<std::string, std::string>> tags = {
        {"mlflow.runName", name},
        {"mlflow.source.name", "silc"},
        {"mlflow.source.type", "LOCAL"},
        {"mlflow.note.content", note},
        {"silc.row", record.cell.row},
        {"silc.seed", std::to_string(record.cell.seed)},
        {"silc.id", record.cell.id},
        {"silc.state", std::string(state_name(record.state))},
        {"silc.current", record.current ? "true" : "false"},
        {"silc.warnings", std::to_string(cell.warnings.size())},
        {"silc.folder", record.cell.folder.generic_string()},
        {"silc.phase_before", record.start.generic_string()}};
    for (const auto& [key, value] : tags)
      if (!value.empty()) insert(tag_, key, value, run);
  }

  void add_metrics(const ExportedCell& cell, const std::string& run) {
    Names names;
    std::map<std::string, LatestValue> latest;
    int64_t last_step = 0;
    double last_time = cell.start;
    const auto add = [&](const std::string& name, const LatestValue& value) {
      const std::string& key = names(name);
      insert(metric_, key, value.value, value.time, run, value.step);
      latest[key] = value;
    };
    cell.each_step([&](const LoggedStep& step) {
      last_step = step.step;
      last_time = step.wall_time;
      for (const LoggedValue& value : step.values)
        add(step_tag(value.name), {.value = value.value, .time = milliseconds(step.wall_time), .step = step.step});
    });
    for (const AlongRecord& metric : cell.along)
      add(metric_tag(metric), {.value = metric.value,
                               .time = milliseconds(cell.wall_time(metric.step, metric.seconds)),
                               .step = metric.step});
    for (const MetricRecord& metric : cell.metrics)
      add(metric_tag(metric),
          {.value = metric.value, .time = milliseconds(cell.end.value_or(last_time)), .step = last_step});
    for (const auto& [key, value] : latest) insert(latest_metric_, key, value.value, value.time, value.step, run);
  }

  std::filesystem::path file_;
  std::optional<SQLite::Database> database_;
  std::optional<SQLite::Statement> experiment_, experiment_tag_, run_, tag_, param_, metric_, latest_metric_;
  int64_t number_ = 0;  // of the experiment
  int64_t last_number_ = 0;
  bool has_default_ = false;
};

}  // namespace

std::unique_ptr<Exporter> make_mlflow_exporter(const std::filesystem::path& folder) {
  return std::make_unique<MlflowExporter>(folder);
}

}  // namespace silc
