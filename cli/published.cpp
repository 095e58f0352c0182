#include "cli/published.h"

#include <algorithm>
#include <filesystem>

#include "spec/published.h"

namespace silc {

namespace {

// "EVALUATOR/METRIC" of a column that may name the dataset too.
std::string without_dataset(const std::string& column) {
  return column.substr(0, column.find('/')) + column.substr(column.rfind('/'));
}

bool is_measured(const std::string& column, const std::vector<Table>& measured) {
  return std::ranges::any_of(measured, [&](const Table& table) {
    return std::ranges::any_of(
        table.columns, [&](const std::string& each) { return without_dataset(each) == without_dataset(column); });
  });
}

template <class T>
void add_once(std::vector<T>& items, const T& item) {
  if (std::ranges::find(items, item) == items.end()) items.push_back(item);
}

TableRow row_of(const PublishedRow& published, const std::vector<std::string>& columns) {
  constexpr double kPercent = 100;
  TableRow row{
      .name = published.name, .weights = {}, .baseline = false, .entries = std::vector<TableEntry>(columns.size())};
  for (const PublishedValue& value : published.values) {
    const auto column = std::ranges::find(columns, value.column);
    if (column == columns.end()) continue;
    TableEntry& entry = row.entries[static_cast<std::size_t>(column - columns.begin())];
    entry.mean = value.percent / kPercent;
    entry.values = {entry.mean};
  }
  return row;
}

Table table_of(const Published& published, const std::vector<Table>& measured) {
  Table table;
  table.experiment = "published";
  table.name = table.title = published.title;
  table.published = true;
  for (const PublishedRow& row : published.rows)
    for (const PublishedValue& value : row.values)
      if (is_measured(value.column, measured)) add_once(table.columns, value.column);
  for (const PublishedRow& published_row : published.rows) {
    TableRow row = row_of(published_row, table.columns);
    if (std::ranges::all_of(row.entries, [](const TableEntry& entry) { return entry.values.empty(); })) continue;
    table.rows.push_back(std::move(row));
    add_once(table.notes, published_row.setting + ". Read in: " + published_row.source + ".");
  }
  return table;
}

// Beside the program in a build tree and in an installation alike.
std::filesystem::path published_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "share/silc/published";
}

}  // namespace

std::vector<Table> published_tables(const std::vector<Table>& measured) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(published_folder()))
    for (const auto& entry : std::filesystem::directory_iterator(published_folder()))
      if (entry.path().extension() == ".toml") files.push_back(entry.path());
  std::ranges::sort(files);
  std::vector<Table> tables;
  for (const auto& file : files)
    if (Table table = table_of(read_published(file), measured); !table.columns.empty())
      tables.push_back(std::move(table));
  return tables;
}

}  // namespace silc
