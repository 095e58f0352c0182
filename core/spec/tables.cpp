#include "spec/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "plugin/similar.h"
#include "spec/table_reader.h"

namespace silc {
namespace {

bool contains(std::span<const std::string> names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Metrics may hold an '@' themselves ("image_retrieval_recall@5"): a number behind the last one belongs to the name.
std::string weights_of(std::string_view metric) {
  const std::size_t at = metric.rfind('@');
  if (at == std::string_view::npos) return "";
  const std::string_view suffix = metric.substr(at + 1);
  const bool number =
      !suffix.empty() && std::all_of(suffix.begin(), suffix.end(), [](char c) { return c >= '0' && c <= '9'; });
  return number ? "" : std::string(suffix);
}

class ColumnCheck {
 public:
  ColumnCheck(const TableNames& names, Faults& faults) : names_(names), faults_(faults) {}

  void check(const Setting& setting) {
    const std::string& column = setting.text();
    const std::size_t slash = column.find('/');
    if (slash == std::string::npos || slash == 0 || slash + 1 == column.size()) {
      faults_.add(setting.place,
                  fmt::format("column \"{}\" must look like \"evaluator/metric\" or \"cost/flops\"", column));
      return;
    }
    const std::string evaluator = column.substr(0, slash);
    const std::string metric = column.substr(slash + 1);
    if (evaluator == "cost")
      check_cost(setting, metric);
    else if (evaluator == "search")
      check_search(setting, metric);
    else
      check_metric(setting, evaluator, metric);
  }

 private:
  void check_cost(const Setting& setting, const std::string& metric) {
    static const std::array<std::string, 12> costs = {"examples",
                                                      "flops",
                                                      "core_seconds",
                                                      "seconds",
                                                      "evaluation_core_seconds",
                                                      "evaluation_along_core_seconds",
                                                      "peak_memory",
                                                      "parameters",
                                                      "device_seconds",
                                                      "device_peak_memory",
                                                      "energy",
                                                      "cpu_energy"};
    if (!contains(costs, metric))
      faults_.add(setting.place, fmt::format("column \"{}\": there is no cost \"{}\"{}", setting.text(), metric,
                                             suggestion(metric, costs)));
  }

  void check_search(const Setting& setting, const std::string& cost) {
    static const std::array<std::string, 3> costs = {"flops", "core_seconds", "trials"};
    if (!names_.search)
      faults_.add(setting.place,
                  fmt::format("column \"{}\": there is no [search] that could cost something", setting.text()));
    else if (!contains(costs, cost))
      faults_.add(setting.place, fmt::format("column \"{}\": a search has no cost \"{}\"{}", setting.text(), cost,
                                             suggestion(cost, costs)));
  }

  void check_metric(const Setting& setting, const std::string& evaluator, const std::string& metric) {
    static const std::array<std::string, 2> weights = {"student", "teacher"};
    if (!contains(names_.evaluations, evaluator)) {
      faults_.add(setting.place, fmt::format("column \"{}\": no [[evaluate]] is named \"{}\"{}", setting.text(),
                                             evaluator, suggestion(evaluator, names_.evaluations)));
      return;
    }
    const std::string whose = weights_of(metric);
    if (!whose.empty() && !contains(weights, whose))
      faults_.add(setting.place, fmt::format("column \"{}\": there are no weights \"{}\"{}", setting.text(), whose,
                                             suggestion(whose, weights)));
    if (whose == "teacher" && !names_.teacher)
      faults_.add(setting.place,
                  fmt::format("column \"{}\": no row evaluates the teacher; add evaluation.weights = [\"student\", "
                              "\"teacher\"]",
                              setting.text()));
  }

  const TableNames& names_;
  Faults& faults_;
};

void report_unknown_row(const Place& place, const std::string& what, const std::string& name, const TableNames& names,
                        Faults& faults) {
  faults.add(place, fmt::format("{}there is no row \"{}\"{}", what, name, suggestion(name, names.rows)));
}

// A table as it stands in the file; rows as they were written.
TableSpec read_table(const Setting& setting, const std::string& title, const TableNames& names, Faults& faults) {
  TableSpec table;
  table.baseline = names.rows.empty() ? "" : names.rows.front();
  TableReader reader(&setting, "table", faults);
  reader.read("name", table.name);
  if (!setting.find("name")) faults.add(setting.place, "this [[table]] has no name");
  table.title = title;
  reader.read("title", table.title);
  reader.read("baseline", table.baseline);
  reader.read("columns", table.columns);
  reader.read("rows", table.rows);
  reader.finish();

  if (const Entry* baseline = setting.find("baseline"); baseline && is_name(baseline->value))
    if (expanded_rows(table.baseline, names).empty())
      report_unknown_row(baseline->value.place, fmt::format("table \"{}\": baseline: ", table.name), table.baseline,
                         names, faults);
  if (!table.columns.empty())
    for (const Setting& column : setting.find("columns")->value.array()) ColumnCheck(names, faults).check(column);
  if (!table.rows.empty())
    for (const Setting& row : setting.find("rows")->value.array())
      if (expanded_rows(row.text(), names).empty())
        report_unknown_row(row.place, fmt::format("table \"{}\": ", table.name), row.text(), names, faults);
  return table;
}

bool has_matrix(const TableNames& names) { return names.suffixes.size() > 1 || !names.suffixes.front().empty(); }

// The rows of `table` that have the values of the point `suffix`.
std::vector<std::string> rows_of_point(const TableSpec& table, const std::string& suffix, const TableNames& names) {
  std::vector<std::string> rows;
  for (const std::string& row : table.rows.empty() ? names.rows : table.rows) {
    if (contains(names.rows, row))
      rows.push_back(row + suffix);
    else if (row.ends_with(suffix))
      rows.push_back(row);
  }
  return rows;
}

std::vector<TableSpec> multiplied(const TableSpec& table, const TableNames& names) {
  if (!has_matrix(names)) return {table};
  if (!contains(names.rows, table.baseline)) {
    TableSpec single = table;
    single.rows.clear();
    for (const std::string& row : table.rows)
      for (std::string& full : expanded_rows(row, names)) single.rows.push_back(std::move(full));
    return {single};
  }
  std::vector<TableSpec> tables;
  for (const std::string& suffix : names.suffixes)
    tables.push_back({table.name + suffix, table.title + suffix, table.baseline + suffix, table.columns,
                      rows_of_point(table, suffix, names)});
  return tables;
}

}  // namespace

std::vector<std::string> expanded_rows(const std::string& name, const TableNames& names) {
  std::vector<std::string> expanded;
  for (const std::string& row : names.rows) {
    for (const std::string& suffix : names.suffixes) {
      if (name == row + suffix) return {name};
      if (name == row) expanded.push_back(row + suffix);
    }
  }
  return expanded;
}

std::vector<TableSpec> read_tables(std::span<const Setting> tables, const std::string& title, const TableNames& names,
                                   Faults& faults) {
  std::vector<TableSpec> specs;
  std::vector<std::string> seen;
  for (const Setting& setting : tables) {
    const TableSpec table = read_table(setting, title, names, faults);
    if (!table.name.empty() && contains(seen, table.name))
      faults.add(setting.place,
                 fmt::format("there is another table \"{}\" above; table names must differ", table.name));
    seen.push_back(table.name);
    for (TableSpec& one : multiplied(table, names)) specs.push_back(std::move(one));
  }
  if (specs.empty() && !names.rows.empty()) specs = multiplied({"results", title, names.rows.front(), {}, {}}, names);
  return specs;
}

}  // namespace silc
