#include "registry/registry.h"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "files/run_folder.h"
#include "registry/database.h"
#include "registry/ingest.h"
#include "registry/plan.h"
#include "silc/error.h"

namespace silc {

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> kStateNames{"planned", "running", "finished", "failed", "interrupted"};

CellState state_from(const std::string& name) {
  const auto* found = std::ranges::find(kStateNames, name);
  return found == kStateNames.end() ? CellState::planned : static_cast<CellState>(found - kStateNames.begin());
}

constexpr const char* kSelectCells = R"sql(
  SELECT experiment.name, cell.row, cell.seed, cell.id, cell.folder, cell.position IS NOT NULL, cell.state,
         cell.message, cell.plugin, cell.previous, cell.trial
  FROM cell JOIN experiment USING (experiment_id) )sql";

std::optional<int64_t> optional_integer(const SQLite::Column& column) {
  return column.isNull() ? std::nullopt : std::optional<int64_t>(column.getInt64());
}

CellRecord cell_from(SQLite::Statement& row, const fs::path& runs) {
  CellRecord record{.experiment = row.getColumn(0).getString(),
                    .cell = {.row = row.getColumn(1).getString(),
                             .seed = row.getColumn(2).getInt64(),
                             .id = row.getColumn(3).getString(),
                             .folder = row.getColumn(4).getString()},
                    .current = row.getColumn(5).getInt() != 0,
                    .state = state_from(row.getColumn(6).getString()),
                    .message = row.getColumn(7).getString(),
                    .plugin = row.getColumn(8).getString(),
                    .start = row.getColumn(9).getString(),
                    .trial = optional_integer(row.getColumn(10))};
  // Recorded by a silc that may have been killed with its engine since.
  if (record.state == CellState::running && !FileLock::is_locked(RunFolder{runs / record.cell.folder}.lock()))
    record.state = CellState::interrupted;
  return record;
}

constexpr const char* kSelectMetrics = R"sql(
  SELECT cell.row, cell.seed, metric.evaluator, metric.dataset, metric.weights, metric.name, metric.value, metric.n,
         metric.evaluator = 'cost' OR metric.weights = cell.weights
  FROM metric JOIN cell USING (cell_id) JOIN experiment USING (experiment_id) )sql";

std::vector<MetricRecord> read_metrics(SQLite::Statement& query) {
  std::vector<MetricRecord> metrics;
  while (query.executeStep())
    metrics.push_back({.row = query.getColumn(0).getString(),
                       .seed = query.getColumn(1).getInt64(),
                       .evaluator = query.getColumn(2).getString(),
                       .dataset = query.getColumn(3).getString(),
                       .weights = query.getColumn(4).getString(),
                       .name = query.getColumn(5).getString(),
                       .value = query.getColumn(6).getDouble(),
                       .n = query.getColumn(7).getInt64(),
                       .primary = query.getColumn(8).getInt() != 0});
  return metrics;
}

constexpr const char* kSelectNotApplicable = R"sql(
  SELECT cell.row, cell.seed, evaluator, dataset, not_applicable.weights, reason, not_applicable.weights = cell.weights
  FROM not_applicable JOIN cell USING (cell_id) JOIN experiment USING (experiment_id) )sql";

std::vector<NotApplicableRecord> read_not_applicable(SQLite::Statement& query) {
  std::vector<NotApplicableRecord> records;
  while (query.executeStep())
    records.push_back({.row = query.getColumn(0).getString(),
                       .seed = query.getColumn(1).getInt64(),
                       .evaluator = query.getColumn(2).getString(),
                       .dataset = query.getColumn(3).getString(),
                       .weights = query.getColumn(4).getString(),
                       .reason = query.getColumn(5).getString(),
                       .primary = query.getColumn(6).getInt() != 0});
  return records;
}

// Costs of one experiment's finished cells and of the cells that they start from, which may be another experiment's;
// each alone, by folder.
struct PhaseCosts {
  std::map<std::string, std::string> starts;
  std::map<std::string, std::map<std::string, double>> costs;
  std::map<std::pair<std::string, int64_t>, std::string> folders;  // of current cells, by row and seed
};

PhaseCosts read_phase_costs(const SQLite::Database& database, const std::string& experiment) {
  PhaseCosts phases;
  SQLite::Statement query(database, R"sql(
    WITH RECURSIVE needed(folder) AS (
      SELECT cell.folder FROM cell JOIN experiment USING (experiment_id) WHERE experiment.name = ?1
      UNION SELECT cell.previous FROM cell JOIN needed USING (folder) WHERE cell.previous <> '')
    SELECT cell.folder, cell.previous, metric.name, metric.value, cell.row, cell.seed,
           experiment.name = ?1 AND cell.position IS NOT NULL
    FROM needed JOIN cell USING (folder) JOIN experiment USING (experiment_id) JOIN metric USING (cell_id)
    WHERE cell.state = 'finished' AND metric.evaluator = 'cost')sql");
  query.bind(1, experiment);
  while (query.executeStep()) {
    const std::string folder = query.getColumn(0).getString();
    phases.starts[folder] = query.getColumn(1).getString();
    phases.costs[folder][query.getColumn(2).getString()] = query.getColumn(3).getDouble();
    if (query.getColumn(6).getInt() != 0)
      phases.folders[{query.getColumn(4).getString(), query.getColumn(5).getInt64()}] = folder;
  }
  return phases;
}

// Adds to a cost what the phases before cost. False if one of them is not known.
bool add_earlier_phases(const PhaseCosts& phases, const std::string& folder, MetricRecord& cost) {
  for (std::string before = phases.starts.at(folder); !before.empty(); before = phases.starts.at(before)) {
    const auto known = phases.costs.find(before);
    if (known == phases.costs.end() || !known->second.contains(cost.name)) return false;
    const double value = known->second.at(cost.name);
    ++cost.phases;
    if (cost.name == "peak_memory")
      cost.value = std::max(cost.value, value);
    else if (cost.name != "parameters")
      cost.value += value;
  }
  return true;
}

std::vector<AlongRecord> read_along(SQLite::Statement& query) {
  std::vector<AlongRecord> records;
  while (query.executeStep())
    records.push_back({.row = query.getColumn(0).getString(),
                       .seed = query.getColumn(1).getInt64(),
                       .step = query.getColumn(2).getInt64(),
                       .fraction = query.getColumn(3).getDouble(),
                       .examples = query.getColumn(4).getDouble(),
                       .flops = query.getColumn(5).getDouble(),
                       .core_seconds = query.getColumn(6).getDouble(),
                       .seconds = query.getColumn(7).getDouble(),
                       .evaluator = query.getColumn(8).getString(),
                       .dataset = query.getColumn(9).getString(),
                       .weights = query.getColumn(10).getString(),
                       .name = query.getColumn(11).getString(),
                       .value = query.getColumn(12).getDouble(),
                       .n = query.getColumn(13).getInt64(),
                       .primary = query.getColumn(14).getInt() != 0});
  return records;
}

// Of cells and the phases that they start from. `condition`: on cell and experiment, of those.
std::string select_warnings(const std::string& condition) {
  return R"sql(
      WITH RECURSIVE phase(last, folder, back) AS (
        SELECT cell.folder, cell.folder, 0 FROM cell JOIN experiment USING (experiment_id)
          WHERE )sql" +
         condition + R"sql(
        UNION ALL SELECT phase.last, cell.previous, phase.back + 1 FROM phase JOIN cell USING (folder)
          WHERE cell.previous <> '')
      SELECT last.row, last.seed, cell.row, warning.step, warning.name, warning.metric, warning.value, warning.message,
             phase.back
      FROM phase JOIN cell AS last ON last.folder = phase.last JOIN cell ON cell.folder = phase.folder
           JOIN warning ON warning.cell_id = cell.cell_id
      ORDER BY last.position, phase.back DESC, warning.step, warning.name)sql";
}

std::vector<WarningRecord> read_warnings(SQLite::Statement& query) {
  std::vector<WarningRecord> warnings;
  while (query.executeStep()) {
    WarningRecord& warning = warnings.emplace_back();
    warning.row = query.getColumn(0).getString();
    warning.seed = query.getColumn(1).getInt64();
    if (query.getColumn(8).getInt64() > 0) warning.phase = query.getColumn(2).getString();
    warning.step = query.getColumn(3).getInt64();
    warning.check = query.getColumn(4).getString();
    warning.metric = query.getColumn(5).getString();
    if (!query.getColumn(6).isNull()) warning.value = query.getColumn(6).getDouble();
    warning.message = query.getColumn(7).getString();
  }
  return warnings;
}

// Folders `depth` levels below `folder` that hold a file `name`, in order of their names.
std::vector<fs::path> folders_with(const fs::path& folder, int depth, const std::string& name) {
  if (depth == 0) return fs::exists(folder / name) ? std::vector{folder} : std::vector<fs::path>{};
  std::vector<fs::path> inner;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.is_directory()) inner.push_back(entry.path());
  std::ranges::sort(inner);
  std::vector<fs::path> found;
  for (const fs::path& path : inner) std::ranges::move(folders_with(path, depth - 1, name), std::back_inserter(found));
  return found;
}

// Replaces the content of a database by that of another in one transaction.
void copy_content(SQLite::Database& to, SQLite::Database& from) {
  SQLite::Backup backup(to, from);
  if (const int code = backup.executeStep(); code != SQLITE_DONE) throw SQLite::Exception(sqlite3_errstr(code), code);
}

// What the cells of trials came to, of the run folders that the registry has read.
class TrialReader {
 public:
  TrialReader(const SQLite::Database& database, const fs::path& runs, const PlannedSearch& search)
      : search_(search),
        runs_(runs),
        cell_(database, std::string(kSelectCells) + "WHERE cell.folder = ?"),
        score_(database, R"sql(
          SELECT metric.value FROM metric JOIN cell USING (cell_id)
          WHERE cell.folder = ?1 AND evaluator = ?2 AND name = ?3
            AND metric.weights = CASE WHEN ?4 = '' THEN cell.weights ELSE ?4 END)sql"),
        along_(database, R"sql(
          SELECT metric_along.value FROM metric_along JOIN cell USING (cell_id)
          WHERE cell.folder = ?1 AND evaluator = ?2 AND name = ?3
            AND metric_along.weights = CASE WHEN ?4 = '' THEN cell.weights ELSE ?4 END AND fraction >= ?5 - 1e-9
          ORDER BY step LIMIT 1)sql"),
        last_step_(database, R"sql(
          SELECT value FROM step_metric JOIN cell USING (cell_id) WHERE folder = ?1 AND name = ?2
          ORDER BY step DESC LIMIT 1)sql"),
        cost_(database, R"sql(
          SELECT value FROM metric JOIN cell USING (cell_id)
          WHERE folder = ?1 AND evaluator = 'cost' AND name = ?2)sql"),
        previous_(database, "SELECT previous FROM cell WHERE folder = ?") {
    for (const PlannedRowSearch& row : search.rows)
      for (const PlannedTrial& trial : row.trials) owners_.emplace(trial.folder.generic_string(), row.row);
  }

  std::vector<TrialRecord> read() {
    std::vector<TrialRecord> trials;
    for (const PlannedRowSearch& row : search_.rows) {
      std::set<std::string> known;
      counted_.clear();
      for (const PlannedTrial& trial : row.trials) {
        TrialRecord& record = trials.emplace_back();
        record.row = row.row;
        record.trial = trial;
        record.rungs.resize(row.rungs.size());
        if (trial.folder.empty()) continue;
        record.repeated = !known.insert(trial.folder.generic_string()).second;
        fill(row, record);
      }
    }
    return trials;
  }

 private:
  void fill(const PlannedRowSearch& row, TrialRecord& record) {
    std::vector<std::string> phases;
    for (const fs::path& folder : record.trial.earlier) phases.push_back(folder.generic_string());
    phases.push_back(record.trial.folder.generic_string());
    std::size_t at = phases.size();  // the phase that it has come to
    while (at > 0 && !read_state(phases[at - 1], record)) --at;
    if (at-- == 0) return;
    const bool done = record.state == CellState::finished;
    if (done && at + 1 < phases.size()) record.state = CellState::interrupted;
    for (std::size_t i = 0; i < row.rungs.size(); ++i)
      if (const auto phase = static_cast<std::size_t>(row.rungs[i].phase); phase < phases.size())
        record.rungs[i] = score_at(phases[phase], row.rungs[i].fraction);
    for (const auto& score : record.rungs)
      if (score) record.score = score;
    for (std::size_t phase = 0; phase <= at && phase < row.phases.size(); ++phase)
      record.fraction += row.phases[phase] * (phase < at || done ? 1 : at_last_step(phases[phase], "fraction"));
    if (!record.repeated) add_costs(phases[at], record);
  }

  // False: the cell has not begun.
  bool read_state(const std::string& folder, TrialRecord& record) {
    cell_.reset();
    cell_.bind(1, folder);
    if (!cell_.executeStep()) return false;
    const CellRecord cell = cell_from(cell_, runs_);
    record.state = cell.state;
    record.message = cell.message;
    return true;
  }

  // At a part of the budget of a cell. One that was trained whole has its last score where it has none along training.
  std::optional<double> score_at(const std::string& folder, double fraction) {
    if (fraction < 1) {
      along_.reset();
      SQLite::bind(along_, folder, search_.evaluation, search_.name, search_.weights, fraction);
      if (along_.executeStep()) return along_.getColumn(0).getDouble();
    }
    score_.reset();
    SQLite::bind(score_, folder, search_.evaluation, search_.name, search_.weights);
    return score_.executeStep() ? std::optional(score_.getColumn(0).getDouble()) : std::nullopt;
  }

  double at_last_step(const std::string& folder, const std::string& name) {
    last_step_.reset();
    SQLite::bind(last_step_, folder, name);
    return last_step_.executeStep() ? last_step_.getColumn(0).getDouble() : 0.0;
  }

  double spent(const std::string& folder, const std::string& name) {
    cost_.reset();
    SQLite::bind(cost_, folder, name);
    return cost_.executeStep() ? cost_.getColumn(0).getDouble() : at_last_step(folder, name);
  }

  // Of a phase and those before it, each once.
  void add_costs(std::string folder, TrialRecord& record) {
    while (!folder.empty() && !is_of_another(folder, record.row) && counted_.insert(folder).second) {
      record.flops += spent(folder, "flops");
      record.core_seconds += spent(folder, "core_seconds");
      previous_.reset();
      previous_.bind(1, folder);
      folder = previous_.executeStep() ? previous_.getColumn(0).getString() : "";
    }
  }

  // Whether it is a trial of another row, whose cost it is.
  [[nodiscard]] bool is_of_another(const std::string& folder, const std::string& row) const {
    const auto owner = owners_.find(folder);
    return owner != owners_.end() && owner->second != row;
  }

  const PlannedSearch& search_;
  const fs::path& runs_;
  std::map<std::string, std::string> owners_;  // folder of a trial → row
  SQLite::Statement cell_, score_, along_, last_step_, cost_, previous_;
  std::set<std::string> counted_;  // folders whose cost is a trial's of the row
};

// Of an experiment, below the runs folder; empty: it has no cells.
fs::path folder_of(const PlannedExperiment& experiment) {
  if (!experiment.cells.empty()) return *experiment.cells.front().folder.begin();
  if (!experiment.search) return {};
  for (const PlannedRowSearch& row : experiment.search->rows)
    if (!row.trials.empty() && !row.trials.front().folder.empty()) return *row.trials.front().folder.begin();
  return {};
}

std::string describe(const CellRecord& record) {
  return record.experiment + "/" + record.cell.row + "/" + std::to_string(record.cell.seed) + " (" + record.cell.id +
         ")";
}

}  // namespace

std::string_view state_name(CellState state) { return kStateNames[static_cast<std::size_t>(state)]; }

struct Registry::Impl {
  fs::path file;
  fs::path runs;
  mutable SQLite::Database database;

  // A run folder's path relative to the runs folder.
  [[nodiscard]] fs::path relative(const fs::path& folder) const {
    const fs::path absolute_runs = fs::weakly_canonical(fs::absolute(runs));
    for (const fs::path& candidate : {fs::absolute(folder), fs::absolute(runs / folder)}) {
      const fs::path relative = fs::weakly_canonical(candidate).lexically_relative(absolute_runs);
      if (!relative.empty() && relative != "." && *relative.begin() != "..") return relative;
    }
    throw Error(folder.string() + " is not in the runs folder " + runs.string() + "; name the right one with --runs");
  }

  [[nodiscard]] std::vector<CellRecord> select_cells(SQLite::Statement& query) const {
    std::vector<CellRecord> cells;
    while (query.executeStep()) cells.push_back(cell_from(query, runs));
    return cells;
  }
};

Registry::Registry(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Registry::Registry(const fs::path& file, const fs::path& runs)
    : impl_(new Impl{.file = file, .runs = runs, .database = open_registry(file)}) {}

Registry Registry::open_existing(const fs::path& file, const fs::path& runs) {
  return Registry(
      std::unique_ptr<Impl>(new Impl{.file = file, .runs = runs, .database = open_registry_for_reading(file)}));
}

Registry::~Registry() = default;
Registry::Registry(Registry&&) noexcept = default;

void Registry::plan(const PlannedExperiment& experiment) {
  const DatedPlan plan{.experiment = experiment, .planned = now()};
  if (const fs::path name = folder_of(experiment); !name.empty()) {
    const fs::path folder = impl_->runs / name;
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw Error("cannot make the folder " + folder.string() + ": " + error.message());
    write_plan(folder / "experiment.json", plan);
  }
  with_database_errors(impl_->file, [&] {
    SQLite::Transaction transaction(impl_->database, SQLite::TransactionBehavior::IMMEDIATE);
    record_plan(impl_->database, plan);
    transaction.commit();
  });
}

void Registry::ingest(const fs::path& folder) {
  const fs::path relative = impl_->relative(folder);
  with_database_errors(impl_->file, [&] {
    SQLite::Transaction transaction(impl_->database, SQLite::TransactionBehavior::IMMEDIATE);
    ingest_folder(impl_->database, impl_->runs, relative);
    transaction.commit();
  });
}

int64_t Registry::rebuild(std::vector<std::string>* faults) {
  return with_database_errors(impl_->file, [&]() -> int64_t {
    // Without a name: SQLite keeps it in memory, and in a temporary file of its own when it grows.
    SQLite::Database fresh("", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    create_schema(fresh);
    SQLite::Transaction transaction(fresh);
    const auto noting_faults = [&](const auto& action) {
      try {
        action();
      } catch (const Error& error) {
        if (faults != nullptr) faults->emplace_back(error.what());
      }
    };
    for (const fs::path& folder : folders_with(impl_->runs, 1, "experiment.json"))
      noting_faults([&] { record_plan(fresh, read_plan(folder / "experiment.json")); });
    for (const fs::path& folder : folders_with(impl_->runs, 3, "cell.toml"))
      noting_faults([&] { ingest_folder(fresh, impl_->runs, folder.lexically_relative(impl_->runs)); });
    transaction.commit();
    copy_content(impl_->database, fresh);
    return impl_->database.execAndGet("SELECT count(*) FROM cell").getInt64();
  });
}

void Registry::forget(const CellRecord& cell) {
  with_database_errors(impl_->file, [&] {
    SQLite::Transaction transaction(impl_->database, SQLite::TransactionBehavior::IMMEDIATE);
    const std::string folder = cell.cell.folder.generic_string();
    // A new row, so that what hangs on the old one goes with it.
    SQLite::Statement remove(impl_->database, R"sql(
      DELETE FROM cell WHERE folder = ? RETURNING experiment_id, row, seed, id, folder, position)sql");
    remove.bind(1, folder);
    if (remove.executeStep() && !remove.getColumn(5).isNull()) {
      SQLite::Statement insert(impl_->database, R"sql(
        INSERT INTO cell (experiment_id, row, seed, id, folder, position) VALUES (?, ?, ?, ?, ?, ?))sql");
      SQLite::bind(insert, remove.getColumn(0).getInt64(), remove.getColumn(1).getString(),
                   remove.getColumn(2).getInt64(), remove.getColumn(3).getString(), remove.getColumn(4).getString(),
                   remove.getColumn(5).getInt64());
      remove.reset();
      insert.exec();
    }
    transaction.commit();
  });
}

void Registry::compact() {
  with_database_errors(impl_->file, [&] { impl_->database.exec("VACUUM"); });
}

const fs::path& Registry::runs() const { return impl_->runs; }

int64_t Registry::version() const {
  return with_database_errors(impl_->file,
                              [&] { return impl_->database.execAndGet("PRAGMA data_version").getInt64(); });
}

std::vector<std::string> Registry::experiments() const {
  return with_database_errors(impl_->file, [&] {
    std::vector<std::string> names;
    SQLite::Statement query(impl_->database, "SELECT name FROM experiment ORDER BY planned DESC, experiment_id DESC");
    while (query.executeStep()) names.push_back(query.getColumn(0).getString());
    return names;
  });
}

std::optional<PlannedExperiment> Registry::experiment(const std::string& name) const {
  return with_database_errors(impl_->file, [&] { return load_plan(impl_->database, name); });
}

std::vector<CellRecord> Registry::cells(const std::string& experiment) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(
        impl_->database,
        std::string(kSelectCells) + "WHERE experiment.name = ? ORDER BY cell.position IS NULL, cell.position, cell_id");
    query.bind(1, experiment);
    return impl_->select_cells(query);
  });
}

CellRecord Registry::find_cell(const std::string& name) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, std::string(kSelectCells) + R"sql(
      WHERE (length(?1) > 0 AND substr(cell.id, 1, length(?1)) = ?1)
         OR (cell.position IS NOT NULL AND experiment.name || '/' || cell.row || '/' || cell.seed = ?1)
      ORDER BY experiment.name, cell.row, cell.seed, cell_id)sql");
    query.bind(1, name);
    const std::vector<CellRecord> found = impl_->select_cells(query);
    if (found.empty())
      throw Error("no cell \"" + name + "\" in " + impl_->file.string() +
                  "; name it by its ID, the start of it, or EXPERIMENT/ROW/SEED (`silc status` lists them)");
    if (found.size() > 1) {
      std::string message = "\"" + name + "\" may mean " + std::to_string(found.size()) + " cells; name one of them:";
      for (const CellRecord& record : found) message += "\n  " + describe(record);
      throw Error(message);
    }
    return found.front();
  });
}

std::vector<MetricRecord> Registry::metrics(const std::string& experiment) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, std::string(kSelectMetrics) + R"sql(
      WHERE experiment.name = ? AND cell.position IS NOT NULL AND cell.state = 'finished'
      ORDER BY cell.position, metric.evaluator, metric.dataset, metric.weights, metric.name)sql");
    query.bind(1, experiment);
    std::vector<MetricRecord> metrics = read_metrics(query);

    const PhaseCosts phases = read_phase_costs(impl_->database, experiment);
    std::erase_if(metrics, [&](MetricRecord& metric) {
      return metric.evaluator == "cost" &&
             !add_earlier_phases(phases, phases.folders.at({metric.row, metric.seed}), metric);
    });
    return metrics;
  });
}

std::vector<TrialRecord> Registry::trials(const std::string& experiment) const {
  return with_database_errors(impl_->file, [&] {
    const auto plan = load_plan(impl_->database, experiment);
    if (!plan || !plan->search) return std::vector<TrialRecord>{};
    return TrialReader(impl_->database, impl_->runs, *plan->search).read();
  });
}

std::vector<WarningRecord> Registry::warnings(const std::string& experiment) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, select_warnings("experiment.name = ?1 AND cell.position IS NOT NULL"));
    query.bind(1, experiment);
    return read_warnings(query);
  });
}

std::vector<WarningRecord> Registry::warnings(const CellRecord& cell) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, select_warnings("cell.folder = ?1"));
    query.bind(1, cell.cell.folder.generic_string());
    return read_warnings(query);
  });
}

std::vector<NotApplicableRecord> Registry::not_applicable(const std::string& experiment) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, std::string(kSelectNotApplicable) + R"sql(
      WHERE experiment.name = ? AND cell.position IS NOT NULL AND cell.state = 'finished'
      ORDER BY cell.position, evaluator, dataset, not_applicable.weights)sql");
    query.bind(1, experiment);
    return read_not_applicable(query);
  });
}

std::vector<MetricRecord> Registry::metrics(const CellRecord& cell) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, std::string(kSelectMetrics) + R"sql(
      WHERE cell.folder = ? ORDER BY metric.evaluator, metric.dataset, metric.weights, metric.name)sql");
    query.bind(1, cell.cell.folder.generic_string());
    return read_metrics(query);
  });
}

std::optional<ProgressRecord> Registry::progress(const CellRecord& cell) const {
  return with_database_errors(impl_->file, [&]() -> std::optional<ProgressRecord> {
    SQLite::Statement query(impl_->database, R"sql(
      SELECT step, total_steps, coalesce(last_event_time, 0), name, value FROM step_metric JOIN cell USING (cell_id)
      WHERE folder = ?1 AND step = (SELECT max(step) FROM step_metric WHERE cell_id = cell.cell_id))sql");
    query.bind(1, cell.cell.folder.generic_string());
    std::optional<ProgressRecord> progress;
    while (query.executeStep()) {
      if (!progress) progress.emplace();
      progress->step = query.getColumn(0).getInt64();
      progress->total_steps = optional_integer(query.getColumn(1));
      progress->last_event_time = query.getColumn(2).getDouble();
      const std::string name = query.getColumn(3).getString();
      const double value = query.getColumn(4).getDouble();
      if (name == "fraction") progress->fraction = value;
      if (name == "rate") progress->rate = value;
      if (name == "examples") progress->examples = value;
      if (name == "flops") progress->flops = value;
      if (name == "core_seconds") progress->core_seconds = value;
      if (name == "seconds") progress->seconds = value;
    }
    return progress;
  });
}

std::vector<AttemptRecord> Registry::attempts(const CellRecord& cell) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, R"sql(
      SELECT start, end, exit_code, signal, core_seconds, peak_memory, threads, host, job, nodes, job_state,
             allocated_core_seconds, allocated_gpu_seconds
      FROM attempt JOIN cell USING (cell_id) WHERE folder = ? ORDER BY number)sql");
    query.bind(1, cell.cell.folder.generic_string());
    std::vector<AttemptRecord> attempts;
    while (query.executeStep())
      attempts.push_back({.start = query.getColumn(0).getDouble(),
                          .end = query.getColumn(1).getDouble(),
                          .exit_code = optional_integer(query.getColumn(2)),
                          .signal = optional_integer(query.getColumn(3)),
                          .core_seconds = query.getColumn(4).getDouble(),
                          .peak_memory = query.getColumn(5).getDouble(),
                          .threads = query.getColumn(6).getInt64(),
                          .host = query.getColumn(7).getString(),
                          .job = query.getColumn(8).getString(),
                          .nodes = query.getColumn(9).getString(),
                          .job_state = query.getColumn(10).getString(),
                          .allocated_core_seconds = query.getColumn(11).getDouble(),
                          .allocated_gpu_seconds = query.getColumn(12).getDouble()});
    return attempts;
  });
}

std::vector<StepMetric> Registry::step_metrics(const CellRecord& cell, const std::string& name) const {
  std::vector<StepMetric> metrics;
  each_step_metric(
      cell,
      [&metrics](int64_t step, std::string_view metric, double value) {
        metrics.push_back({.step = step, .name = std::string(metric), .value = value});
      },
      name);
  return metrics;
}

void Registry::each_step_metric(const CellRecord& cell,
                                const std::function<void(int64_t, std::string_view, double)>& visit,
                                const std::string& name) const {
  with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, R"sql(
      SELECT step, name, value FROM step_metric JOIN cell USING (cell_id)
      WHERE folder = ?1 AND (?2 = '' OR name = ?2) ORDER BY step, name)sql");
    SQLite::bind(query, cell.cell.folder.generic_string(), name);
    while (query.executeStep()) {
      const SQLite::Column metric = query.getColumn(1);
      visit(query.getColumn(0).getInt64(),
            std::string_view(metric.getText(), static_cast<std::size_t>(metric.getBytes())),
            query.getColumn(2).getDouble());
    }
  });
}

std::vector<NotApplicableRecord> Registry::not_applicable(const CellRecord& cell) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, std::string(kSelectNotApplicable) + R"sql(
      WHERE cell.folder = ? ORDER BY evaluator, dataset, not_applicable.weights)sql");
    query.bind(1, cell.cell.folder.generic_string());
    return read_not_applicable(query);
  });
}

std::vector<AlongRecord> Registry::metrics_along(const std::string& experiment) const {
  return with_database_errors(impl_->file, [&] {
    // Of each current cell that has phases before it: how many, how many of them have recorded costs, and their sums.
    SQLite::Statement query(impl_->database, R"sql(
      WITH RECURSIVE phase(last, folder) AS (
        SELECT cell.cell_id, cell.previous FROM cell JOIN experiment USING (experiment_id)
          WHERE experiment.name = ?1 AND cell.position IS NOT NULL AND cell.previous <> ''
        UNION ALL SELECT phase.last, cell.previous FROM phase JOIN cell USING (folder) WHERE cell.previous <> ''),
      earlier AS (
        SELECT phase.last AS cell_id, count(*) AS phases, count(seconds.value) AS known,
               sum(examples.value) AS examples, sum(flops.value) AS flops,
               sum(core_seconds.value) AS core_seconds, sum(seconds.value) AS seconds
        FROM phase LEFT JOIN cell USING (folder)
          LEFT JOIN metric AS examples ON examples.cell_id = cell.cell_id AND examples.evaluator = 'cost'
            AND examples.name = 'examples'
          LEFT JOIN metric AS flops ON flops.cell_id = cell.cell_id AND flops.evaluator = 'cost' AND flops.name = 'flops'
          LEFT JOIN metric AS core_seconds ON core_seconds.cell_id = cell.cell_id AND core_seconds.evaluator = 'cost'
            AND core_seconds.name = 'core_seconds'
          LEFT JOIN metric AS seconds ON seconds.cell_id = cell.cell_id AND seconds.evaluator = 'cost'
            AND seconds.name = 'seconds'
        GROUP BY phase.last)
      SELECT cell.row, cell.seed, step, fraction, along.examples + coalesce(earlier.examples, 0),
             along.flops + coalesce(earlier.flops, 0), along.core_seconds + coalesce(earlier.core_seconds, 0),
             along.seconds + coalesce(earlier.seconds, 0), evaluator, dataset, along.weights, along.name, along.value, n,
             along.weights = cell.weights
      FROM metric_along AS along JOIN cell USING (cell_id) JOIN experiment USING (experiment_id)
        LEFT JOIN earlier ON earlier.cell_id = cell.cell_id
      WHERE experiment.name = ?1 AND cell.position IS NOT NULL AND (earlier.phases IS NULL OR earlier.known = earlier.phases)
      ORDER BY cell.position, step, evaluator, dataset, along.weights, along.name)sql");
    query.bind(1, experiment);
    return read_along(query);
  });
}

std::vector<AlongRecord> Registry::metrics_along(const CellRecord& cell) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, R"sql(
      SELECT cell.row, cell.seed, step, fraction, examples, flops, core_seconds, seconds, evaluator, dataset,
             along.weights, name, value, n, along.weights = cell.weights
      FROM metric_along AS along JOIN cell USING (cell_id) WHERE folder = ?
      ORDER BY step, evaluator, dataset, along.weights, name)sql");
    query.bind(1, cell.cell.folder.generic_string());
    return read_along(query);
  });
}

std::vector<ArtifactRecord> Registry::artifacts(const CellRecord& cell) const {
  return with_database_errors(impl_->file, [&] {
    SQLite::Statement query(impl_->database, R"sql(
      SELECT path, bytes FROM artifact JOIN cell USING (cell_id) WHERE folder = ? ORDER BY path)sql");
    query.bind(1, cell.cell.folder.generic_string());
    std::vector<ArtifactRecord> artifacts;
    while (query.executeStep())
      artifacts.push_back({.path = query.getColumn(0).getString(), .bytes = query.getColumn(1).getInt64()});
    return artifacts;
  });
}

std::vector<std::string> Registry::check() const {
  std::vector<std::string> faults;
  // A file that is damaged enough breaks the checks themselves.
  const auto noting_faults = [&](const auto& look) {
    try {
      look();
    } catch (const SQLite::Exception& error) {
      if (error.getErrorCode() != SQLITE_CORRUPT) throw;
      faults.emplace_back(error.what());
    }
  };
  with_database_errors(impl_->file, [&] {
    noting_faults([&] {
      SQLite::Statement integrity(impl_->database, "PRAGMA integrity_check");
      while (integrity.executeStep())
        if (const std::string line = integrity.getColumn(0).getString(); line != "ok") faults.push_back(line);
    });
    noting_faults([&] {
      SQLite::Statement keys(impl_->database, "PRAGMA foreign_key_check");
      while (keys.executeStep())
        faults.push_back("a row of table " + keys.getColumn(0).getString() + " belongs to a row of table " +
                         keys.getColumn(2).getString() + " that does not exist");
    });
  });
  return faults;
}

}  // namespace silc
