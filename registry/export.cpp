#include "registry/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "files/durable_file.h"
#include "files/run_folder.h"
#include "registry/columns.h"
#include "registry/exporter.h"
#include "registry/settings.h"
#include "silc/error.h"

namespace silc {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// By this file a folder is known to be an export.
constexpr const char* kMark = "silc-export.json";

std::string_view name_of(ExportTarget target) {
  switch (target) {
    case ExportTarget::csv:
      return "csv";
    case ExportTarget::tensorboard:
      return "tensorboard";
    case ExportTarget::mlflow:
      return "mlflow";
  }
  return "";
}

std::unique_ptr<Exporter> make_exporter(ExportTarget target, const fs::path& folder) {
  switch (target) {
    case ExportTarget::csv:
      return make_csv_exporter(folder);
    case ExportTarget::tensorboard:
      return make_tensorboard_exporter(folder);
    case ExportTarget::mlflow:
      return make_mlflow_exporter(folder);
  }
  return nullptr;
}

void check_folder(const fs::path& folder, bool replace) {
  if (!fs::exists(folder) || (fs::is_directory(folder) && fs::is_empty(folder))) return;
  if (!fs::exists(folder / kMark))
    throw Error(folder.string() + " holds something else than an export of silc; name another folder with --output");
  if (!replace)
    throw Error(folder.string() + " holds an earlier export; replace it with --force, or name another folder");
}

std::vector<PlannedExperiment> find_experiments(const Registry& registry, const std::vector<std::string>& names) {
  const std::vector<std::string> known = registry.experiments();
  std::vector<PlannedExperiment> found;
  for (const std::string& name : names.empty() ? known : names) {
    auto experiment = registry.experiment(name);
    if (!experiment)
      throw Error(fmt::format("there is no experiment \"{}\"; there are: {}", name, fmt::join(known, ", ")));
    found.push_back(std::move(*experiment));
  }
  // In an order that does not change with the time at which they were planned last.
  std::ranges::sort(found, {}, &PlannedExperiment::name);
  const auto twice = std::ranges::unique(found, {}, &PlannedExperiment::name);
  found.erase(twice.begin(), twice.end());
  return found;
}

// Folders of the phases that current cells of these experiments start from, and of the phases before them.
std::set<fs::path> needed_phases(const std::vector<std::vector<CellRecord>>& experiments) {
  std::map<fs::path, fs::path> starts;
  std::vector<fs::path> open;
  for (const auto& cells : experiments)
    for (const CellRecord& record : cells) {
      starts[record.cell.folder] = record.start;
      if (record.current) open.push_back(record.start);
    }
  std::set<fs::path> needed;
  while (!open.empty()) {
    const fs::path folder = std::move(open.back());
    open.pop_back();
    if (folder.empty() || !needed.insert(folder).second) continue;
    if (const auto start = starts.find(folder); start != starts.end()) open.push_back(start->second);
  }
  return needed;
}

ExportedSetting setting_from(const std::string& name, const std::string& toml) {
  if (toml.size() >= 2 && toml.front() == '"') {
    std::string text = toml.substr(1, toml.size() - 2);
    return {.name = name, .value = text, .text = text};
  }
  if (toml == "true" || toml == "false") return {.name = name, .value = toml == "true", .text = toml};
  double number = 0;
  const auto [end, fault] = std::from_chars(toml.data(), toml.data() + toml.size(), number);
  if (fault == std::errc() && end == toml.data() + toml.size()) return {.name = name, .value = number, .text = toml};
  return {.name = name, .value = toml, .text = toml};
}

std::vector<ExportedSetting> read_settings(const fs::path& run_folder) {
  std::vector<ExportedSetting> settings;
  for (const auto& [name, toml] : settings_of_cell(run_folder)) settings.push_back(setting_from(name, toml));
  return settings;
}

// When each step was logged or evaluated. An attempt that went on from an earlier step took some of them again, which
// counts.
std::map<int64_t, double> read_step_times(const fs::path& events) {
  std::map<int64_t, double> times;
  std::ifstream stream(events, std::ios::binary);
  for (std::string line; std::getline(stream, line);) {
    if (line.find("\"step\"") == std::string::npos) continue;
    const nlohmann::json event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!event.is_object()) continue;
    const std::string kind = event.value("event", "");
    const auto step = event.find("step"), time = event.find("time");
    if (step == event.end() || !step->is_number_integer() || time == event.end() || !time->is_number()) continue;
    if (kind == "step") times[*step] = *time;
    if (kind == "evaluated_along") times.try_emplace(*step, *time);
  }
  return times;
}

// The steps of a cell as the registry has them.
void visit_steps(const Registry& registry, const ExportedCell& cell,
                 const std::function<void(const LoggedStep&)>& visit) {
  LoggedStep logged;
  const auto flush = [&] {
    if (logged.values.empty()) return;
    const auto time = cell.step_times.find(logged.step);
    logged.time = time == cell.step_times.end() ? std::nullopt : std::optional(time->second);
    const auto seconds = std::ranges::find(logged.values, "seconds", &LoggedValue::name);
    logged.wall_time = cell.wall_time(logged.step, seconds == logged.values.end() ? 0 : seconds->value);
    visit(logged);
    logged.values.clear();
  };
  registry.each_step_metric(cell.record, [&](int64_t step, std::string_view name, double value) {
    if (step != logged.step) flush();
    logged.step = step;
    logged.values.push_back({.name = std::string(name), .value = value});
  });
  flush();
}

class Export {
 public:
  Export(const Registry& registry, const RegistryExport& request)
      : registry_(registry), request_(request), experiments_(find_experiments(registry, request.experiments)) {
    for (const PlannedExperiment& experiment : experiments_) cells_.push_back(registry.cells(experiment.name));
    phases_ = needed_phases(cells_);
  }

  ExportedCounts write(const fs::path& folder) {
    const std::unique_ptr<Exporter> exporter = make_exporter(request_.target, folder);
    for (std::size_t i = 0; i < experiments_.size(); ++i) {
      exporter->begin(experiments_[i]);
      ++counts_.experiments;
      for (const CellRecord& record : cells_[i])
        if (request_.all || record.current || phases_.contains(record.cell.folder)) add(record, *exporter);
    }
    exporter->finish();
    write_mark(folder);
    if (without_settings_ > 1) counts_.remarks.front() += fmt::format(" (and {} more)", without_settings_ - 1);
    return counts_;
  }

 private:
  void add(const CellRecord& record, Exporter& exporter) {
    ExportedCell cell;
    cell.number = ++counts_.cells;
    cell.record = record;
    cell.attempts = registry_.attempts(record);
    if (!cell.attempts.empty()) cell.start = cell.attempts.front().start;
    if (!cell.attempts.empty() && record.state != CellState::running) cell.end = cell.attempts.back().end;
    cell.metrics = registry_.metrics(record);
    cell.along = registry_.metrics_along(record);
    cell.warnings = registry_.warnings(record);
    std::erase_if(cell.warnings, [](const WarningRecord& warning) { return !warning.phase.empty(); });
    cell.not_applicable = registry_.not_applicable(record);
    cell.step_times = read_step_times(RunFolder{registry_.runs() / record.cell.folder}.events());
    if (record.state != CellState::planned) take_settings(cell);
    cell.each_step = [this, &cell](const std::function<void(const LoggedStep&)>& visit) {
      visit_steps(registry_, cell, [&](const LoggedStep& step) {
        counts_.step_metrics += static_cast<int64_t>(step.values.size());
        visit(step);
      });
    };
    exporter.add(cell);
  }

  void take_settings(ExportedCell& cell) {
    try {
      cell.settings = read_settings(registry_.runs() / cell.record.cell.folder);
    } catch (const Error& error) {
      if (++without_settings_ == 1)
        counts_.remarks.push_back(std::string("settings of a cell are not in the export: ") + error.what());
    }
  }

  void write_mark(const fs::path& folder) const {
    Json names = Json::array();
    for (const PlannedExperiment& experiment : experiments_) names.push_back(experiment.name);
    const Json mark = {{"written_by", "silc registry export"},
                       {"format", name_of(request_.target)},
                       {"experiments", names},
                       {"cells", counts_.cells},
                       {"step_metrics", counts_.step_metrics}};
    write_file_durably(folder / kMark, mark.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  const Registry& registry_;
  const RegistryExport& request_;
  std::vector<PlannedExperiment> experiments_;
  std::vector<std::vector<CellRecord>> cells_;  // of each experiment
  std::set<fs::path> phases_;
  ExportedCounts counts_;
  int64_t without_settings_ = 0;
};

}  // namespace

ExportTarget parse_export_target(const std::string& name) {
  for (const ExportTarget target : {ExportTarget::csv, ExportTarget::tensorboard, ExportTarget::mlflow})
    if (name == name_of(target)) return target;
  const std::string choices = "; choose csv, tensorboard or mlflow";
  if (name == "parquet")
    throw Error("there is no export to Parquet; pandas writes it from csv in one line (docs/reference/registry.md)");
  if (name == "wandb")
    throw Error(
        "there is no export to wandb, whose offline files are its own affair; its Python library takes csv "
        "(docs/reference/registry.md)" +
        choices);
  throw Error(fmt::format("there is no export to \"{}\"{}", name, choices));
}

std::string metric_tag(const MetricRecord& metric) {
  if (metric.evaluator == "cost") return "cost/" + metric.name;
  return qualified_column_of(metric) + (metric.primary ? "" : "@" + metric.weights);
}

std::string metric_tag(const AlongRecord& metric) {
  return fmt::format("along/{}/{}/{}{}", metric.evaluator, metric.dataset, metric.name,
                     metric.primary ? "" : "@" + metric.weights);
}

double ExportedCell::wall_time(int64_t step, double seconds) const {
  const auto known = step_times.find(step);
  return known == step_times.end() ? start + seconds : known->second;
}

std::string step_tag(const std::string& name) { return "train/" + name; }

ExportedCounts export_registry(const Registry& registry, const RegistryExport& request) {
  check_folder(request.folder, request.replace);
  Export exporting(registry, request);
  ExportedCounts counts;
  write_folder_durably(request.folder, [&](const fs::path& beside) { counts = exporting.write(beside); });
  return counts;
}

}  // namespace silc
