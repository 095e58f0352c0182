// What an export is made of, and who writes it. Inside registry only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "registry/registry.h"

namespace silc {

struct ExportedSetting {
  std::string name;                               // "optimizer.lr" (registry/settings.h)
  std::variant<bool, double, std::string> value;  // lists are as TOML has them
  std::string text;                               // of the value, without quotes
};

struct LoggedValue {
  std::string name;
  double value = 0;
};

// What was logged of one step.
struct LoggedStep {
  int64_t step = 0;
  std::optional<double> time;  // seconds since 1970; nothing if the run folder is gone
  double wall_time = 0;        // ExportedCell::wall_time()
  std::vector<LoggedValue> values;
};

struct ExportedCell {
  int64_t number = 0;  // 1, 2, … in the export
  CellRecord record;
  double start = 0;           // seconds since 1970; 0: never started
  std::optional<double> end;  // of its last engine process; nothing while it runs
  std::vector<ExportedSetting> settings;
  std::map<int64_t, double> step_times;  // seconds since 1970, of steps that the run folder's events know
  std::vector<MetricRecord> metrics;     // costs are those of this phase alone
  std::vector<AlongRecord> along;        // as are these
  std::vector<WarningRecord> warnings;
  std::vector<AttemptRecord> attempts;
  std::vector<NotApplicableRecord> not_applicable;
  // Calls with each logged step in order; the step lives as long as the call.
  std::function<void(const std::function<void(const LoggedStep&)>&)> each_step;

  // When a step was taken; where that is not known, the start of the cell and `seconds` of training behind it.
  [[nodiscard]] double wall_time(int64_t step, double seconds) const;
};

// "zero_shot_classification/scenes/acc1", "…/acc1@teacher" of weights that plain columns do not mean, "cost/flops".
std::string metric_tag(const MetricRecord& metric);
// The same of a score along training, which is of fewer samples: "along/zero_shot_classification/scenes/acc1".
std::string metric_tag(const AlongRecord& metric);
// "train/loss": apart from what evaluations measured.
std::string step_tag(const std::string& name);

class Exporter {
 public:
  virtual ~Exporter() = default;
  // The cells that are added next belong to it.
  virtual void begin(const PlannedExperiment& experiment) = 0;
  virtual void add(const ExportedCell& cell) = 0;
  // Nothing is added any more.
  virtual void finish() = 0;
};

// Into a folder that exists and is empty. Throw silc::Error, as their members do.
std::unique_ptr<Exporter> make_csv_exporter(const std::filesystem::path& folder);
std::unique_ptr<Exporter> make_tensorboard_exporter(const std::filesystem::path& folder);
std::unique_ptr<Exporter> make_mlflow_exporter(const std::filesystem::path& folder);

}  // namespace silc
