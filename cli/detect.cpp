#include "cli/detect.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/text.h"
#include "registry/report.h"
#include "text/display.h"

namespace silc {

namespace {

constexpr std::size_t kWidth = 96;

// What is on record of an experiment's cells.
struct Record {
  std::map<std::string, int64_t> finished;  // cells of a row
  std::map<std::string, double> seconds;    // of a cell of a row, on average, with its evaluation
};

Record record_of(const Registry& registry, const std::string& experiment) {
  Record record;
  for (const CellRecord& cell : registry.cells(experiment)) {
    if (!cell.current || cell.state != CellState::finished) continue;
    ++record.finished[cell.cell.row];
    for (const AttemptRecord& attempt : registry.attempts(cell))
      record.seconds[cell.cell.row] += attempt.end - attempt.start;
  }
  for (auto& [row, seconds] : record.seconds) seconds /= static_cast<double>(record.finished[row]);
  return record;
}

// Cells of the rows that are left until each has `seeds`, and the time for them.
void add_cost(ColumnDetection& column, const std::vector<std::string>& rows, const Record& record,
              const std::map<std::string, double>& predicted, int64_t jobs) {
  double seconds = 0;
  bool known = true;
  for (const std::string& row : rows) {
    const auto finished = record.finished.find(row);
    const int64_t left =
        std::max<int64_t>(0, *column.seeds - (finished == record.finished.end() ? 0 : finished->second));
    column.cells += left;
    if (left == 0) continue;
    const auto recorded = record.seconds.find(row);
    const auto expected = predicted.find(row);
    if (recorded != record.seconds.end())
      seconds += static_cast<double>(left) * recorded->second;
    else if (expected != predicted.end())
      seconds += static_cast<double>(left) * expected->second;
    else
      known = false;
  }
  if (known) column.seconds = seconds / static_cast<double>(std::max<int64_t>(1, std::min(jobs, column.cells)));
}

}  // namespace

DetectionPlan plan_detection(const Session& session, const PlannedExperiment& planned, double difference,
                             const std::map<std::string, double>& seconds, int64_t jobs) {
  DetectionPlan plan{.difference = difference, .jobs = jobs, .columns = {}};
  if (!std::filesystem::exists(session.registry_file())) return plan;
  const Registry registry = session.open_registry();
  if (!registry.experiment(planned.name)) return plan;
  const Record record = record_of(registry, planned.name);
  for (const Table& table : build_tables(registry, planned, {planned.name, "", {}})) {
    std::set<std::string> names = {table.baseline};
    for (const TableRow& row : table.rows) names.insert(row.name);
    const std::vector<std::string> rows(names.begin(), names.end());
    for (const ColumnNoise& noise : measured_noise(table)) {
      const double scale = shown_scale(noise.column);
      ColumnDetection& column = plan.columns.emplace_back();
      column.table = table.name;
      column.column = noise.column;
      column.spread = scale * noise.noise.spread;
      column.seeds_measured = noise.seeds;
      column.comparisons = noise.comparisons;
      column.seeds = seeds_to_detect(difference / scale, noise.noise, noise.alpha());
      if (column.seeds) add_cost(column, rows, record, seconds, jobs);
    }
  }
  return plan;
}

std::string describe(const DetectionPlan& plan) {
  if (plan.columns.empty())
    return paragraph(
        "--detect: the spread between seeds is not known yet. Run two seeds or more of two rows or more "
        "(silc run), and ask again.",
        kWidth, 0);
  TextTable table({"TABLE", "METRIC", "SPREAD", "SEEDS", "CELLS TO RUN", "TIME"},
                  {false, false, true, true, true, true});
  bool too_few_pictures = false;
  for (const ColumnDetection& column : plan.columns) {
    too_few_pictures = too_few_pictures || !column.seeds;
    table.add({column.table, column.column, fmt::format("{:.2g}", column.spread),
               column.seeds ? std::to_string(*column.seeds) : "–", column.seeds ? std::to_string(column.cells) : "–",
               column.seconds ? format_duration(*column.seconds) : "–"});
  }
  std::string text = table.format() + "\n";
  text += paragraph(
      fmt::format(
          "SEEDS: with so many a true difference of {:g} (points, where the table shows percent) to the baseline "
          "is marked in 8 of 10 tables, at p < 0.05 after Holm's correction. SPREAD: standard deviation of the "
          "difference between seeds, over those finished so far; from a few seeds it is a rough guess. TIME: of "
          "the cells to run, {} at a time, as such cells took so far.",
          plan.difference, plan.jobs),
      kWidth, 0);
  if (too_few_pictures)
    text += paragraph("–: no number of seeds shows it with so few test pictures, or more than 10 000 would be needed.",
                      kWidth, 0);
  return text;
}

nlohmann::ordered_json json_of(const DetectionPlan& plan) {
  auto columns = nlohmann::ordered_json::array();
  const auto or_null = [](const auto& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json(nullptr);
  };
  for (const ColumnDetection& column : plan.columns)
    columns.push_back({{"table", column.table},
                       {"column", column.column},
                       {"spread", column.spread},
                       {"seeds_measured", column.seeds_measured},
                       {"comparisons", column.comparisons},
                       {"seeds", or_null(column.seeds)},
                       {"cells", column.cells},
                       {"seconds", or_null(column.seconds)}});
  return {{"difference", plan.difference}, {"jobs", plan.jobs}, {"columns", columns}};
}

}  // namespace silc
