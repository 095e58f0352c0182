#include "spec/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "plugin/similar.h"
#include "spec/overlay.h"
#include "spec/table_reader.h"

namespace silc {
namespace {

bool is_setting_key(std::string_view key) {
  const auto keys = setting_keys();
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

void report_row_key(const Entry& entry, Faults& faults) {
  static const std::set<std::string> of_the_file = {"experiment", "evaluate", "matrix", "row", "table"};
  if (of_the_file.contains(entry.key)) {
    faults.add(entry.place, fmt::format("a row cannot change \"{}\": it is the same for every row", entry.key));
    return;
  }
  std::vector<std::string> known = {"name", "base", "phase", "search"};
  known.insert(known.end(), setting_keys().begin(), setting_keys().end());
  faults.add(entry.place, fmt::format("unknown key \"{}\" of a row{}", entry.key, suggestion(entry.key, known)));
}

void report_phase_key(const Entry& entry, Faults& faults) {
  if (entry.key == "model") {
    faults.add(entry.place,
               "a phase cannot change the model: it is the same in all phases of a row; say it in the row");
    return;
  }
  std::vector<std::string> known = {"name", "row", "experiment"};
  known.insert(known.end(), setting_keys().begin(), setting_keys().end());
  faults.add(entry.place, fmt::format("unknown key \"{}\" of a phase{}", entry.key, suggestion(entry.key, known)));
}

PhaseSpec read_phase(const Setting& table, std::size_t number, Faults& faults) {
  PhaseSpec phase;
  phase.name = fmt::format("phase {}", number);
  phase.place = table.place;
  phase.settings = {table.place, Setting::Table{}};
  for (const Entry& entry : table.table()) {
    if (entry.key == "name" || entry.key == "row" || entry.key == "experiment") {
      if (!is_name(entry.value))
        faults.add(entry.value.place, fmt::format("a phase's {} {}", entry.key, name_fault(entry.value)));
      else if (entry.key == "name")
        phase.name = entry.value.text();
      else
        (entry.key == "row" ? phase.row : phase.experiment) = entry.value.text();
    } else if (is_setting_key(entry.key) && entry.key != "model") {
      phase.settings.table().push_back(entry);
    } else {
      report_phase_key(entry, faults);
    }
  }
  if (phase.experiment && !phase.row)
    faults.add(phase.place,
               fmt::format("which row of {} this phase is must be said too: row = \"…\"", *phase.experiment));
  if (phase.row && (number > 1 || !phase.settings.table().empty()))
    faults.add(phase.place, "a phase that names a row must be the first and says nothing else");
  expand_plugin_names(phase.settings);
  return phase;
}

std::vector<PhaseSpec> read_phases(const Setting& row, Faults& faults) {
  std::vector<PhaseSpec> phases;
  TableReader reader(&row, "row", faults);
  for (const Setting& table : reader.take_tables("phase"))
    phases.push_back(read_phase(table, phases.size() + 1, faults));
  std::set<std::string> names;
  for (const PhaseSpec& phase : phases)
    if (!names.insert(phase.name).second)
      faults.add(phase.place,
                 fmt::format("there is another phase \"{}\" above; names of phases must differ", phase.name));
  if (!phases.empty() && phases.back().row)
    faults.add(phases.back().place,
               "after the row that is named here there must be another [[row.phase]], for what this row trains");
  return phases;
}

std::optional<RowSpec> read_row(const Setting& table, Faults& faults) {
  RowSpec row;
  row.settings = {table.place, Setting::Table{}};
  for (const Entry& entry : table.table()) {
    if (entry.key == "name" || entry.key == "base") {
      if (!is_name(entry.value)) {
        faults.add(entry.value.place, fmt::format("a row's {} {}", entry.key, name_fault(entry.value)));
        return std::nullopt;
      }
      if (entry.key == "name") {
        row.name = entry.value.text();
        row.place = entry.value.place;
      } else {
        row.base = entry.value.text();
        row.base_place = entry.value.place;
      }
    } else if (entry.key == "search") {
      row.search = entry.value;
    } else if (is_setting_key(entry.key)) {
      row.settings.table().push_back(entry);
    } else if (entry.key != "phase") {
      report_row_key(entry, faults);
    }
  }
  if (row.name.empty()) {
    faults.add(table.place, "this [[row]] has no name");
    return std::nullopt;
  }
  expand_plugin_names(row.settings);
  row.phases = read_phases(table, faults);
  return row;
}

// A key of the matrix with its values.
struct Axis {
  std::string key;
  Place place;
  const Setting* values;
};

std::string value_name(const Setting& value) { return value.is_text() ? value.text() : toml_text(value); }

bool check_axis(const Axis& axis, Faults& faults) {
  const std::string first = axis.key.substr(0, axis.key.find('.'));
  if (!is_setting_key(first)) {
    faults.add(axis.place,
               fmt::format("the matrix cannot change \"{}\"{}", axis.key, suggestion(first, setting_keys())));
    return false;
  }
  if (!axis.values->is_array()) {
    faults.add(axis.values->place,
               fmt::format("matrix: the values of \"{}\" must be a list, not {}", axis.key, shown(*axis.values)));
    return false;
  }
  if (axis.values->array().empty()) {
    faults.add(axis.values->place,
               fmt::format("matrix: \"{}\" has no values, so that there would be no cells", axis.key));
    return false;
  }
  std::set<std::string> seen;
  for (const Setting& value : axis.values->array()) {
    if (seen.insert(value_name(value)).second) continue;
    faults.add(value.place, fmt::format("matrix: \"{}\" has the value {} twice", axis.key, shown(value)));
    return false;
  }
  return true;
}

// Keys may be written "optimizer.lr" in quotes or, dotted, as tables in tables.
void collect_axes(const Setting& table, const std::string& above, std::vector<Axis>& axes, Faults& faults) {
  for (const Entry& entry : table.table()) {
    const std::string key = above.empty() ? entry.key : above + "." + entry.key;
    if (entry.value.is_table()) {
      collect_axes(entry.value, key, axes, faults);
      continue;
    }
    const Axis axis{key, entry.place, &entry.value};
    if (check_axis(axis, faults)) axes.push_back(axis);
  }
}

}  // namespace

std::vector<RowSpec> read_rows(std::span<const Setting> tables, Faults& faults) {
  std::vector<RowSpec> rows;
  for (const Setting& table : tables) {
    std::optional<RowSpec> row = read_row(table, faults);
    if (!row) continue;
    if (find_row(rows, row->name))
      faults.add(row->place, fmt::format("there is another row \"{}\" above; row names must differ", row->name));
    else
      rows.push_back(std::move(*row));
  }
  return rows;
}

const RowSpec* find_row(const std::vector<RowSpec>& rows, std::string_view name) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const RowSpec& row) { return row.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

std::optional<std::vector<const RowSpec*>> base_chain(const RowSpec& row, const std::vector<RowSpec>& rows,
                                                      Faults& faults) {
  std::vector<const RowSpec*> chain = {&row};
  while (chain.back()->base) {
    const RowSpec& last = *chain.back();
    const RowSpec* base = find_row(rows, *last.base);
    if (!base) {
      faults.add(last.base_place, fmt::format("there is no row \"{}\" to start from{}", *last.base,
                                              suggestion(*last.base, names_of(rows))));
      return std::nullopt;
    }
    const auto again = std::find(chain.begin(), chain.end(), base);
    if (again == chain.end()) {
      chain.push_back(base);
      continue;
    }
    // One fault for the circle, at its first row in the file, whichever row led to it.
    const RowSpec* first = *std::min_element(again, chain.end());
    std::string circle = '"' + first->name + '"';
    const RowSpec* next = first;
    do {
      next = find_row(rows, *next->base);
      circle += " starts from \"" + next->name + '"';
    } while (next != first);
    faults.add(first->base_place, fmt::format("rows go round in a circle: {}", circle));
    return std::nullopt;
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

std::vector<PhaseSpec> phases_of(const std::vector<const RowSpec*>& chain) {
  for (auto row = chain.rbegin(); row != chain.rend(); ++row)
    if (!(*row)->phases.empty()) return (*row)->phases;
  return {};
}

std::vector<MatrixPoint> read_matrix(const Setting* matrix, Faults& faults) {
  constexpr std::size_t kMostPoints = 10000;
  const MatrixPoint nothing{"", {{}, Setting::Table{}}};
  if (!matrix) return {nothing};
  if (!matrix->is_table()) {
    faults.add(matrix->place, fmt::format("matrix must be a table, not {}", shown(*matrix)));
    return {nothing};
  }
  std::vector<Axis> axes;
  collect_axes(*matrix, "", axes, faults);
  std::vector<MatrixPoint> points = {nothing};
  for (const Axis& axis : axes) {
    const Setting::Array& values = axis.values->array();
    if (points.size() * values.size() > kMostPoints) {
      faults.add(axis.place, fmt::format("the matrix has more than {} combinations", kMostPoints));
      return {nothing};
    }
    std::vector<MatrixPoint> longer;
    for (const MatrixPoint& point : points) {
      for (const Setting& value : values) {
        longer.push_back(point);
        longer.back().suffix += fmt::format("{}{}={}", point.suffix.empty() ? "" : ", ", axis.key, value_name(value));
        lay_over(longer.back().settings, setting_at(axis.key, value, axis.place));
      }
    }
    points = std::move(longer);
  }
  for (MatrixPoint& point : points)
    if (!point.suffix.empty()) point.suffix = " [" + point.suffix + "]";
  return points;
}

std::vector<std::string> names_of(const std::vector<RowSpec>& rows) {
  std::vector<std::string> names;
  for (const RowSpec& row : rows) names.push_back(row.name);
  return names;
}

}  // namespace silc
