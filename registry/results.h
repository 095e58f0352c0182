// What the registry knows of one experiment, by column, row and seed: what tables are filled with. Inside the registry
// only.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "registry/report.h"
#include "registry/samples.h"

namespace silc {

// Metrics of one column: (row, seed) → metric.
using ColumnMetrics = std::map<std::pair<std::string, int64_t>, const MetricRecord*>;

// What drawing the test pictures anew makes of one value.
struct SampledValue {
  std::string data;  // what it was tested on
  int64_t pictures = 0;
  std::vector<double> deviations;
};

// Everything that tables of one experiment are made from.
class Results {
 public:
  Results(const Registry& registry, const PlannedExperiment& experiment);

  // The least that a finished cell of one of the rows has cost; nothing if none was evaluated along training.
  [[nodiscard]] std::optional<double> least_cost(const std::vector<std::string>& rows, CostUnit unit) const;

  // From now on the values are those that rows had when they had cost `level`; costs are those until then.
  void match(CostUnit unit, double level);

  // From now on the values are means over the last `count` evaluations along training.
  void average(int64_t count);

  // Those of a column of a row, one a seed that has one.
  [[nodiscard]] std::vector<const Curve*> curves(const std::string& column, const std::string& row) const;

  // A column whose evaluator was run on several datasets becomes one column for each.
  [[nodiscard]] std::vector<std::string> expand(const std::string& column) const;

  // All metrics of the weights that plain columns mean, then the main costs.
  [[nodiscard]] std::vector<std::string> standard_columns() const;

  // Null: there is none.
  [[nodiscard]] const PlannedSearch* search() const { return search_ ? &*search_ : nullptr; }
  [[nodiscard]] const std::vector<TrialRecord>& trials() const { return trials_; }

  // An entry without comparison.
  [[nodiscard]] TableEntry entry(const std::string& column, const std::string& row) const;

  // How the bootstrap over pictures changes that entry's value of that seed; null where there are no scores of single
  // pictures that give the value.
  [[nodiscard]] const SampledValue* sampled(const std::string& column, const std::string& row, int64_t seed,
                                            PictureBootstrap& bootstrap) const;

  // The seeds that were planned of a row.
  [[nodiscard]] std::set<int64_t> seeds(const std::string& row) const;

  // The run folder of the row's first seed that has one with its settings; empty: none has.
  [[nodiscard]] std::filesystem::path folder(const std::string& row) const;

  // Whether the row's costs are those of several phases.
  [[nodiscard]] bool is_phased(const std::string& row) const { return phased_.contains(row); }

  [[nodiscard]] std::string weights(const std::string& row) const;
  [[nodiscard]] std::vector<WarningRecord> warnings(const std::string& row) const;

  // Reasons why evaluations of which no column tells do not apply to the row.
  [[nodiscard]] std::vector<std::string> unseen_reasons(const std::string& row,
                                                        const std::vector<std::string>& columns) const;

 private:
  // The names of the columns that a metric stands in.
  static std::vector<std::string> names_of_column(const MetricRecord& metric);

  static MetricRecord metric_of_curve(const Curve& curve, double value);

  // What training had cost in each unit when it had cost `level` of this one.
  static void add_costs_at(const Curve& curve, CostUnit unit, double level, std::vector<MetricRecord>& values);

  // Takes them in the place of the results after training.
  void use(std::vector<MetricRecord> values);
  void index(const std::vector<MetricRecord>& metrics);

  static std::string reason_of(const NotApplicableRecord& record);

  // See TableEntry::not_applicable.
  [[nodiscard]] std::string why_not_applicable(const std::string& column, const std::string& row) const;

  static int64_t count(const std::map<std::string, int64_t>& counts, const std::string& row);

  std::optional<PlannedSearch> search_;
  std::vector<TrialRecord> trials_;
  std::vector<MetricRecord> metrics_;  // results after training
  std::vector<MetricRecord> values_;   // what stands in the table in their place
  std::vector<Curve> curves_;
  std::vector<NotApplicableRecord> not_applicable_;
  std::map<std::string, ColumnMetrics> columns_;
  std::map<std::string, std::map<std::pair<std::string, int64_t>, const Curve*>> curves_by_column_;
  std::map<std::pair<std::string, int64_t>, std::filesystem::path> folders_;  // of rows' seeds
  mutable std::map<std::string, SampleFiles> samples_;                        // by folder
  mutable std::map<const MetricRecord*, SampledValue> sampled_;
  std::map<std::string, std::set<std::string>> datasets_;  // of a column
  std::map<std::string, int64_t> planned_;                 // cells of a row
  std::map<std::string, std::set<int64_t>> seeds_;         // planned of a row
  std::map<std::string, int64_t> failed_;
  std::map<std::string, int64_t> finished_;
  std::map<std::string, std::string> weights_;
  std::set<std::string> phased_;
  std::map<std::string, std::vector<WarningRecord>> warnings_;
};

// A row of a table, and where its values come from.
struct RowSource {
  std::string label;  // what the table calls it
  const Results* results = nullptr;
  std::string name;  // in its experiment
};

}  // namespace silc
