// silc show: everything about one cell.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <map>
#include <memory>

#include "cli/live_lines.h"
#include "cli/session.h"
#include "cli/text.h"
#include "cli/warnings.h"
#include "plot/terminal.h"
#include "schedule/gpus.h"
#include "schedule/progress.h"
#include "silc/error.h"
#include "spec/toml_document.h"
#include "text/display.h"

namespace silc {

namespace {

constexpr size_t kLogLines = 20;

// Everything that lies in a run folder, for those who want it as JSON or as text.
struct CellContents {
  RunFolder folder;
  FolderStatus status;
  nlohmann::ordered_json metrics;  // null: not finished
  std::vector<Event> attempts;
  std::vector<std::string> log;                            // its last lines
  std::map<std::string, std::vector<plot::Point>> curves;  // of each step metric, by step
};

std::vector<std::string> tail(const std::filesystem::path& file, size_t most) {
  std::vector<std::string> lines;
  std::ifstream log(file);
  for (std::string line; std::getline(log, line);) {
    lines.push_back(line);
    if (lines.size() > 2 * most) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(most));
  }
  if (lines.size() > most) lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(most));
  return lines;
}

CellContents read_contents(const RunFolder& folder, const std::vector<StepMetric>& steps) {
  CellContents contents{folder, inspect(folder), nullptr, {}, tail(folder.log(), kLogLines), {}};
  for (const StepMetric& metric : steps)
    contents.curves[metric.name].push_back({static_cast<double>(metric.step), metric.value});
  if (std::filesystem::exists(folder.metrics())) {
    contents.metrics = nlohmann::ordered_json::parse(read_file(folder.metrics()), nullptr, false);
    if (contents.metrics.is_discarded())
      throw Error(folder.metrics().string() + ": is not JSON; the file is damaged: run the cell again with --fresh");
  }
  uint64_t offset = 0;
  contents.attempts = read_events(folder.attempts(), offset);
  return contents;
}

std::string format_time(double seconds) {
  const auto whole = static_cast<time_t>(seconds);
  tm local{};
  localtime_r(&whole, &local);
  char text[32] = {};
  strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
  return text;
}

std::string describe_end(const Event& attempt) {
  if (attempt.contains("signal")) return "killed by " + signal_name(attempt.value("signal", 0));
  const int code = attempt.value("exit_code", 0);
  return code == 0 ? "done" : code == 130 ? "interrupted" : fmt::format("exit code {}", code);
}

// "host", "host, GPU 1", "n[1-2], job 12_3"
std::string place_of(const Event& attempt) {
  const std::string host = attempt.value("host", "");
  if (attempt.contains("job")) return attempt.value("nodes", host) + ", job " + attempt.value("job", "");
  return attempt.contains("gpu") ? host + ", " + gpu_label(attempt["gpu"].get<std::string>()) : host;
}

std::string attempts_table(const std::vector<Event>& attempts) {
  TextTable table({"START", "WALL", "CPU", "PEAK MEMORY", "THREADS", "HOST", "END"},
                  {false, true, true, true, true, false, false});
  for (const Event& attempt : attempts)
    table.add({format_time(attempt.value("start", 0.0)),
               format_duration(attempt.value("end", 0.0) - attempt.value("start", 0.0)),
               format_duration(attempt.value("core_seconds", 0.0)), format_bytes(attempt.value("peak_memory", 0.0)),
               std::to_string(attempt.value("threads", int64_t{0})), place_of(attempt), describe_end(attempt)});
  return table.format();
}

std::string metrics_table(const nlohmann::ordered_json& metrics) {
  TextTable table({"EVALUATOR", "DATASET", "WEIGHTS", "METRIC", "VALUE", "N"},
                  {false, false, false, false, true, true});
  for (const auto& metric : metrics.value("metrics", nlohmann::ordered_json::array())) {
    const auto& value = metric.at("value");
    table.add({metric.value("evaluator", ""), metric.value("dataset", ""), metric.value("weights", ""),
               metric.value("name", ""), value.is_number() ? format_number(value.get<double>()) : "nan",
               metric.contains("n") ? metric["n"].dump() : ""});
  }
  std::string text = table.format();
  for (const auto& evaluation : metrics.value("not_applicable", nlohmann::ordered_json::array()))
    text += fmt::format("{} ({}) does not apply: {}\n", evaluation.value("evaluator", ""),
                        evaluation.value("weights", ""), evaluation.value("reason", ""));
  return text;
}

std::string cost_text(const std::string& name, const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number()) return value.dump();
  const double number = value.get<double>();
  if (name == "flops" || name == "parameters") return format_quantity(number);
  if (name.ends_with("peak_memory")) return format_bytes(number);
  if (name.ends_with("seconds")) return format_duration(number);
  return value.is_number_integer() ? value.dump() : format_number(number);
}

std::string cost_table(const nlohmann::ordered_json& metrics) {
  TextTable table({"COST", ""}, {false, true});
  const auto costs = metrics.value("cost", nlohmann::ordered_json::object());
  for (const auto& [name, value] : costs.items()) table.add({name, cost_text(name, value)});
  return table.format();
}

// How far training is, and not how it goes.
bool is_position(const std::string& metric) {
  return metric == "examples" || metric == "flops" || metric == "fraction" || metric == "core_seconds" ||
         metric == "seconds";
}

// The loss over axes, and every other step metric in a line.
std::string curves_text(const CellContents& contents) {
  constexpr size_t kWidth = 76, kHeight = 8, kLine = 30;
  const bool drawn = is_utf8_locale();
  std::string text;
  if (const auto loss = contents.curves.find("loss"); drawn && loss != contents.curves.end())
    if (const std::string plot =
            plot::terminal_plot(loss->second, {.label = "step"}, {.label = "loss"}, kWidth, kHeight);
        !plot.empty())
      text += "\nloss\n" + plot;
  TextTable table({"STEP METRIC", drawn ? "COURSE" : "", "FIRST", "LOWEST", "HIGHEST", "LAST"},
                  {false, false, true, true, true, true});
  bool any = false;
  for (const auto& [name, points] : contents.curves) {
    if (is_position(name)) continue;
    any = true;
    std::vector<double> values;
    for (const plot::Point& point : points) values.push_back(point.y);
    const auto [lowest, highest] = std::ranges::minmax(values);
    table.add({name, drawn ? plot::sparkline(values, kLine) : "", format_number(values.front()), format_number(lowest),
               format_number(highest), format_number(values.back())});
  }
  return any ? text + "\n" + table.format() : text;
}

// The files of weights that a cell starts from, or evaluates, as its cell.toml has them.
nlohmann::ordered_json start_files(const std::filesystem::path& cell) {
  auto files = nlohmann::ordered_json::array();
  if (!std::filesystem::exists(cell)) return files;
  Faults faults;
  const std::optional<Setting> document = parse_toml(read_file(cell), cell.string(), faults);
  const Entry* start = document ? document->find("start") : nullptr;
  const Entry* list = start != nullptr ? start->value.find("files") : nullptr;
  if (list != nullptr && list->value.is_array())
    for (const Setting& file : list->value.array()) files.push_back(nlohmann::ordered_json(to_json(file)));
  return files;
}

std::string start_text(const nlohmann::ordered_json& files) {
  std::string text;
  for (const auto& file : files) {
    text += fmt::format("{}from {} (hash {}", text.empty() ? "starts: " : "        ", file.value("path", ""),
                        file.value("hash", ""));
    if (file.value("weights", "") == "teacher") text += ", its teacher";
    if (files.size() > 1) text += fmt::format(", {:g} of each weight", file.value("share", 1.0));
    text += ")\n";
  }
  return text;
}

std::string format_contents(const CellContents& contents, const CellRecord& record) {
  const CellProgress& progress = contents.status.progress;
  std::string text = fmt::format(
      "{} / {} / {}  {}\n", record.experiment, record.cell.row,
      record.trial ? fmt::format("trial {}", *record.trial) : fmt::format("seed {}", record.cell.seed), record.cell.id);
  text += fmt::format("state:  {}\n", state_name(contents.status.state));
  if (!contents.status.message.empty()) text += "reason: " + contents.status.message + "\n";
  if (!progress.last_event.empty())
    text += progress.total_steps ? fmt::format("step:   {} of {}\n", progress.step, *progress.total_steps)
                                 : fmt::format("step:   {}\n", progress.step);
  text += "folder: " + contents.folder.path.string() + "\n";
  if (!record.start.empty())
    text += "starts: from the phase in " + record.start.generic_string() + "; costs below are of this phase alone\n";
  text += start_text(start_files(contents.folder.cell()));
  if (record.trial)
    text += "of its experiment's search: see silc report --search\n";
  else if (!record.current)
    text += "no longer part of its experiment\n";
  for (const HealthWarning& warning : progress.warnings)
    text += fmt::format("warning: step {}: {}\n", warning.step, warning.message);
  text += curves_text(contents);
  if (!contents.metrics.is_null()) text += "\n" + metrics_table(contents.metrics) + "\n" + cost_table(contents.metrics);
  if (!contents.attempts.empty()) text += "\n" + attempts_table(contents.attempts);
  if (std::filesystem::exists(contents.folder.cell()))
    text += "\n" + contents.folder.cell().string() + ":\n" + paragraph(read_file(contents.folder.cell()), 1000, 2);
  if (!contents.log.empty()) {
    text += fmt::format("\n{}, the last lines:\n", contents.folder.log().string());
    for (const std::string& line : contents.log) text += "  " + line + "\n";
  }
  return text;
}

nlohmann::ordered_json to_json(const CellContents& contents, const CellRecord& record) {
  auto attempts = nlohmann::ordered_json::array();
  for (const Event& attempt : contents.attempts) attempts.push_back(nlohmann::ordered_json(attempt));
  nlohmann::ordered_json json = {
      {"experiment", record.experiment},
      {"row", record.cell.row},
      {"seed", record.cell.seed},
      {"id", record.cell.id},
      {"current", record.current},
      {"trial", record.trial ? nlohmann::ordered_json(*record.trial) : nlohmann::ordered_json(nullptr)},
      {"folder", contents.folder.path.string()},
      {"start", record.start.generic_string()},
      {"start_files", start_files(contents.folder.cell())},
      {"state", state_name(contents.status.state)},
      {"message", contents.status.message},
      {"step", contents.status.progress.step},
      {"warnings", json_of(contents.status.progress.warnings)},
      {"metrics", nullptr},
      {"not_applicable", nlohmann::ordered_json::array()},
      {"cost", nullptr},
      {"attempts", attempts},
      {"curves", nlohmann::ordered_json::object()},
      {"cell_toml", nullptr},
      {"log", contents.log}};
  if (!contents.metrics.is_null()) {
    json["metrics"] = contents.metrics.value("metrics", nlohmann::ordered_json::array());
    json["not_applicable"] = contents.metrics.value("not_applicable", nlohmann::ordered_json::array());
    json["cost"] = contents.metrics.value("cost", nlohmann::ordered_json::object());
  }
  for (const auto& [name, points] : contents.curves)
    for (const plot::Point& point : points) json["curves"][name].push_back({static_cast<int64_t>(point.x), point.y});
  if (std::filesystem::exists(contents.folder.cell())) json["cell_toml"] = read_file(contents.folder.cell());
  return json;
}

int show(const Session& session, const std::string& name) {
  const Registry registry = session.open_registry();
  const CellRecord record = registry.find_cell(name);
  const CellContents contents = read_contents({session.runs / record.cell.folder}, registry.step_metrics(record));
  if (session.json)
    print_json(to_json(contents, record));
  else
    print(format_contents(contents, record));
  return 0;
}

}  // namespace

void add_show(CLI::App& app, Session& session) {
  CLI::App* command =
      app.add_subcommand("show",
                         "everything about one cell: curves, settings, metrics, costs, warnings, attempts, the "
                         "log's end, why it failed\n\nCELL is an ID, an "
                         "unambiguous start of one, or EXPERIMENT/ROW/SEED. silc status shows IDs.");
  command->footer("silc show 3fa9c1\nsilc show ablation/CLIP/0");
  const auto name = std::make_shared<std::string>();
  command->add_option("cell", *name, "the cell")->option_text("CELL")->required();
  command->callback([name, &session] { session.command = [name, &session] { return show(session, *name); }; });
}

}  // namespace silc
