// An export as CSV (RFC 4180): one file a table, whose lines name cells by their number in cells.csv.
#include <fmt/format.h>

#include <algorithm>
#include <concepts>

#include "files/output_file.h"
#include "registry/exporter.h"

namespace silc {

namespace {

std::string csv_text(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + "\"";
}

// Numbers in as few digits as give them back; nothing is an empty field.
template <class Value>
std::string csv_value(const Value& value) {
  if constexpr (std::same_as<Value, bool>)
    return value ? "true" : "false";
  else if constexpr (std::convertible_to<Value, std::string_view>)
    return csv_text(value);
  else
    return fmt::format("{}", value);
}

template <class Value>
std::string csv_value(const std::optional<Value>& value) {
  return value ? csv_value(*value) : "";
}

class CsvFile {
 public:
  CsvFile(const std::filesystem::path& file, std::string_view header) : file_(file) {
    file_.write(header);
    file_.write("\r\n");
  }

  template <class... Values>
  void line(const Values&... values) {
    std::string text;
    ((text += csv_value(values), text += ','), ...);
    text.back() = '\r';
    text += '\n';
    file_.write(text);
  }

  void close() { file_.close(); }

 private:
  OutputFile file_;
};

class CsvExporter : public Exporter {
 public:
  explicit CsvExporter(const std::filesystem::path& folder)
      : cells_(folder / "cells.csv",
               "cell,experiment,row,seed,id,baseline,current,state,message,plugin,start,end,folder,phase_before"),
        settings_(folder / "settings.csv", "cell,setting,value"),
        metrics_(folder / "metrics.csv", "cell,evaluator,dataset,weights,metric,value,n,primary"),
        along_(
            folder / "metrics_along.csv",
            "cell,step,fraction,examples,flops,core_seconds,seconds,evaluator,dataset,weights,metric,value,n,primary"),
        steps_(folder / "step_metrics.csv", "cell,step,time,metric,value"),
        attempts_(folder / "attempts.csv",
                  "cell,attempt,start,end,exit_code,signal,core_seconds,peak_memory,threads,host,job,nodes,job_state,"
                  "allocated_core_seconds,allocated_gpu_seconds"),
        warnings_(folder / "warnings.csv", "cell,step,check,metric,value,message"),
        not_applicable_(folder / "not_applicable.csv", "cell,evaluator,dataset,weights,reason") {}

  void begin(const PlannedExperiment& experiment) override {
    baselines_.clear();
    for (const PlannedTable& table : experiment.tables) baselines_.push_back(table.baseline);
  }

  void add(const ExportedCell& cell) override {
    const CellRecord& record = cell.record;
    const bool baseline = std::ranges::find(baselines_, record.cell.row) != baselines_.end();
    const std::optional<double> start = cell.start > 0 ? std::optional(cell.start) : std::nullopt;
    cells_.line(cell.number, record.experiment, record.cell.row, record.cell.seed, record.cell.id, baseline,
                record.current, state_name(record.state), record.message, record.plugin, start, cell.end,
                record.cell.folder.generic_string(), record.start.generic_string());
    for (const ExportedSetting& setting : cell.settings) settings_.line(cell.number, setting.name, setting.text);
    for (const MetricRecord& metric : cell.metrics)
      metrics_.line(cell.number, metric.evaluator, metric.dataset, metric.weights, metric.name, metric.value, metric.n,
                    metric.primary);
    for (const AlongRecord& metric : cell.along)
      along_.line(cell.number, metric.step, metric.fraction, metric.examples, metric.flops, metric.core_seconds,
                  metric.seconds, metric.evaluator, metric.dataset, metric.weights, metric.name, metric.value, metric.n,
                  metric.primary);
    cell.each_step([&](const LoggedStep& step) {
      for (const LoggedValue& value : step.values)
        steps_.line(cell.number, step.step, step.time, value.name, value.value);
    });
    int64_t number = 0;
    for (const AttemptRecord& attempt : cell.attempts)
      attempts_.line(cell.number, ++number, attempt.start, attempt.end, attempt.exit_code, attempt.signal,
                     attempt.core_seconds, attempt.peak_memory, attempt.threads, attempt.host, attempt.job,
                     attempt.nodes, attempt.job_state, attempt.allocated_core_seconds, attempt.allocated_gpu_seconds);
    for (const WarningRecord& warning : cell.warnings)
      warnings_.line(cell.number, warning.step, warning.check, warning.metric, warning.value, warning.message);
    for (const NotApplicableRecord& each : cell.not_applicable)
      not_applicable_.line(cell.number, each.evaluator, each.dataset, each.weights, each.reason);
  }

  void finish() override {
    for (CsvFile* file : {&cells_, &settings_, &metrics_, &along_, &steps_, &attempts_, &warnings_, &not_applicable_})
      file->close();
  }

 private:
  CsvFile cells_, settings_, metrics_, along_, steps_, attempts_, warnings_, not_applicable_;
  std::vector<std::string> baselines_;  // of the experiment's tables
};

}  // namespace

std::unique_ptr<Exporter> make_csv_exporter(const std::filesystem::path& folder) {
  return std::make_unique<CsvExporter>(folder);
}

}  // namespace silc
