// silc status: how far each cell is.
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>

#include "cli/live_lines.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/warnings.h"
#include "files/metrics.h"
#include "plot/terminal.h"
#include "registry/report.h"
#include "schedule/gpus.h"
#include "schedule/progress.h"
#include "schedule/slurm_launcher.h"

namespace silc {

namespace {

struct CellLine {
  PlannedCell cell;
  RunFolder folder;
  FolderStatus status;
  std::vector<double> losses;           // along training
  std::optional<CellInQueue> job = {};  // of Slurm's that trains it, or waits to
};

std::vector<CellLine> look_at(const Session& session, const Registry& registry, const PlannedExperiment& experiment) {
  // Reading the losses of a cell takes some tenths of a millisecond.
  constexpr size_t kMostDrawn = 1000;
  std::vector<CellLine> lines;
  for (const PlannedCell& cell : experiment.cells) {
    const RunFolder folder{session.runs / cell.folder};
    CellLine& line = lines.emplace_back(CellLine{cell, folder, inspect(folder), {}, {}});
    if (line.status.state == FolderState::planned || lines.size() > kMostDrawn) continue;
    CellRecord record;
    record.experiment = experiment.name;
    record.cell = cell;
    registry.each_step_metric(
        record, [&](int64_t, std::string_view, double value) { line.losses.push_back(value); }, "loss");
  }
  return lines;
}

// "█▆▄▂▁ 2.31": the loss along training, and the last one.
std::string loss_of(const CellLine& line) {
  constexpr size_t kWidth = 10;
  if (line.losses.empty()) return "";
  const std::string course = is_utf8_locale() ? plot::sparkline(line.losses, kWidth) : "";
  return course + (course.empty() ? "" : " ") + format_number(line.losses.back());
}

std::string steps(const CellProgress& progress) {
  if (progress.last_event.empty()) return "";
  if (!progress.total_steps) return std::to_string(progress.step);
  return fmt::format("{}/{}", progress.step, *progress.total_steps);
}

// Asks Slurm once for all cells that have a job there.
void add_jobs(std::vector<CellLine>& lines) {
  std::vector<RunFolder> folders;
  for (const CellLine& line : lines)
    if (line.status.state != FolderState::finished) folders.push_back(line.folder);
  const auto queue = look_into_queue(folders);
  for (CellLine& line : lines)
    if (const auto job = queue.find(line.folder.path); job != queue.end()) line.job = job->second;
}

std::string describe_state(const CellLine& line) {
  const FolderStatus& status = line.status;
  if (line.job && line.job->state != JobState::running) return line.job->words;
  if (line.job && status.state != FolderState::running) return "starting, " + line.job->words;
  if (status.state != FolderState::running) return std::string(state_name(status.state));
  const CellProgress& progress = status.progress;
  return (progress.phase == CellPhase::evaluating ? "evaluating " + progress.evaluation : "running") +
         (progress.gpu.empty() ? "" : " on " + gpu_label(progress.gpu)) + (line.job ? ", " + line.job->words : "");
}

// With the share of the time that training waits for data, where it is worth a word.
std::string rate_of(const CellProgress& progress) {
  constexpr double kWorthAWord = 0.05;
  std::string text = format_number(progress.rate) + " img/s";
  if (progress.data_wait >= kWorthAWord) text += fmt::format(", {:.0f}% waiting for data", 100 * progress.data_wait);
  return text;
}

std::string table_of(const std::vector<CellLine>& lines) {
  TextTable table({"ROW", "SEED", "ID", "STATE", "STEP", "DONE", "LOSS", "RATE", "LEFT"},
                  {false, true, false, false, true, true, true, true, true});
  for (const CellLine& line : lines) {
    const CellProgress& progress = line.status.progress;
    const bool running = line.status.state == FolderState::running;
    const auto left = running ? progress.seconds_left() : std::nullopt;
    table.add({line.cell.row, std::to_string(line.cell.seed), line.cell.id, describe_state(line), steps(progress),
               progress.last_event.empty() ? "" : fmt::format("{:.0f}%", 100 * progress.fraction), loss_of(line),
               running && progress.rate > 0 ? rate_of(progress) : "", left ? format_duration(*left) : ""});
  }
  return table.format();
}

std::string describe(const std::map<FolderState, int64_t>& states) {
  std::string text;
  for (const auto& [state, number] : states)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, state_name(state));
  return text;
}

std::string counts_of(const std::vector<CellLine>& lines) {
  std::map<FolderState, int64_t> counts;
  for (const CellLine& line : lines) ++counts[line.status.state];
  return describe(counts);
}

nlohmann::ordered_json to_json(const CellLine& line) {
  const CellProgress& progress = line.status.progress;
  const auto left = progress.seconds_left();
  nlohmann::ordered_json json = {{"row", line.cell.row},
                                 {"seed", line.cell.seed},
                                 {"id", line.cell.id},
                                 {"folder", line.folder.path.string()},
                                 {"state", state_name(line.status.state)},
                                 {"step", progress.step},
                                 {"total_steps", nullptr},
                                 {"fraction", progress.fraction},
                                 {"rate", progress.rate},
                                 {"data_wait", progress.data_wait},
                                 {"loss", nullptr},
                                 {"seconds_left", nullptr},
                                 {"gpu", nullptr},
                                 {"message", line.status.message},
                                 {"warnings", json_of(progress.warnings)}};
  if (progress.total_steps) json["total_steps"] = *progress.total_steps;
  if (!line.losses.empty()) json["loss"] = line.losses.back();
  if (left) json["seconds_left"] = *left;
  if (!progress.gpu.empty()) json["gpu"] = progress.gpu;
  if (line.job) json["job"] = {{"id", line.job->job}, {"place", line.job->words}};
  return json;
}

// A searched row, as its run folders have it.
struct SearchLine {
  const PlannedRowSearch* search;
  std::map<FolderState, int64_t> states;           // of trials
  std::optional<std::pair<int64_t, double>> best;  // so far: trial and score
};

// Of the phase that a trial has come to.
FolderState state_of(const Session& session, const PlannedTrial& trial) {
  if (trial.folder.empty()) return FolderState::planned;
  if (const FolderState state = inspect({session.runs / trial.folder}).state; state != FolderState::planned)
    return state;
  for (auto phase = trial.earlier.rbegin(); phase != trial.earlier.rend(); ++phase) {
    const FolderState state = inspect({session.runs / *phase}).state;
    if (state == FolderState::finished) return FolderState::interrupted;
    if (state != FolderState::planned) return state;
  }
  return FolderState::planned;
}

std::vector<SearchLine> look_at(const Session& session, const PlannedSearch& search) {
  std::vector<SearchLine> lines;
  for (const PlannedRowSearch& row : search.rows) {
    SearchLine& line = lines.emplace_back(SearchLine{&row, {}, {}});
    for (const PlannedTrial& trial : row.trials) {
      ++line.states[state_of(session, trial)];
      if (trial.folder.empty()) continue;
      const RunFolder folder{session.runs / trial.folder};
      for (const CellMetric& metric : read_metrics(folder)) {
        if (metric.evaluator != search.evaluation || metric.name != search.name) continue;
        const bool better = !line.best || (more_is_better(search.name) ? metric.value > line.best->second
                                                                       : metric.value < line.best->second);
        if (better) line.best = {trial.number, metric.value};
      }
    }
  }
  return lines;
}

std::string state_of(const PlannedRowSearch& search, const std::map<FolderState, int64_t>& states) {
  const bool waits = !search.trials.empty() && search.trials.front().folder.empty();
  return waits ? fmt::format("wait for what is chosen for \"{}\"", search.after) : describe(states);
}

std::string table_of(const PlannedSearch& search, const std::vector<SearchLine>& lines) {
  TextTable table({"SEARCH", "TRIALS", "STATE", "BEST", "CHOSEN"}, {false, true, false, false, false});
  for (const SearchLine& line : lines)
    table.add(
        {line.search->row, std::to_string(line.search->trials.size()), state_of(*line.search, line.states),
         line.best ? fmt::format("{} (trial {})", named_value(search.name, line.best->second), line.best->first) : "",
         line.search->chosen ? fmt::format("trial {}", *line.search->chosen) : ""});
  return table.format();
}

nlohmann::ordered_json to_json(const PlannedSearch& search, const std::vector<SearchLine>& lines) {
  auto rows = nlohmann::ordered_json::array();
  for (const SearchLine& line : lines) {
    auto states = nlohmann::ordered_json::object();
    for (const auto& [state, number] : line.states) states[std::string(state_name(state))] = number;
    nlohmann::ordered_json json = {{"row", line.search->row},
                                   {"trials", line.search->trials.size()},
                                   {"states", states},
                                   {"best", nullptr},
                                   {"chosen", nullptr}};
    if (line.best) json["best"] = {{"trial", line.best->first}, {"score", line.best->second}};
    if (line.search->chosen) json["chosen"] = *line.search->chosen;
    rows.push_back(json);
  }
  return {{"method", search.method}, {"metric", search.metric}, {"split", search.split}, {"rows", rows}};
}

int status(const Session& session, const std::string& name) {
  const Registry registry = session.open_registry();
  const PlannedExperiment experiment = session.find_experiment(registry, name);
  auto lines = look_at(session, registry, experiment);
  add_jobs(lines);
  const auto searches = experiment.search ? look_at(session, *experiment.search) : std::vector<SearchLine>{};
  if (session.json) {
    auto cells = nlohmann::ordered_json::array();
    for (const CellLine& line : lines) cells.push_back(to_json(line));
    nlohmann::ordered_json json = {{"experiment", experiment.name}, {"cells", cells}};
    if (experiment.search) json["search"] = to_json(*experiment.search, searches);
    print_json(json);
    return 0;
  }
  std::string text = experiment.search ? table_of(*experiment.search, searches) + "\n" : "";
  text += fmt::format("{}: {}\n", experiment.name, lines.empty() ? "no settings are chosen yet" : counts_of(lines));
  if (!lines.empty()) text += table_of(lines);
  for (const CellLine& line : lines)
    if (line.status.state == FolderState::failed && !line.job)
      text += fmt::format("{}, seed {} failed: {}\n  silc show {}\n", line.cell.row, line.cell.seed,
                          line.status.message, line.cell.id);
  for (const CellLine& line : lines)
    for (const HealthWarning& warning : line.status.progress.warnings)
      text += fmt::format("warning: {}, seed {}, step {}: {}\n", line.cell.row, line.cell.seed, warning.step,
                          warning.message);
  print(text);
  return 0;
}

}  // namespace

void add_status(CLI::App& app, Session& session) {
  CLI::App* command =
      app.add_subcommand("status",
                         "how far each cell is: state, step, loss, rate, time left, and warnings of "
                         "training that is sick\n\nAlso while a silc run is going on elsewhere: it reads the "
                         "run folders and disturbs nobody.");
  command->footer("silc status\nsilc status ablation --json");
  const auto name = std::make_shared<std::string>();
  command->add_option("experiment", *name, "an experiment's name (default: the one that was run last)")
      ->option_text("[EXPERIMENT]");
  command->callback([name, &session] { session.command = [name, &session] { return status(session, *name); }; });
}

}  // namespace silc
