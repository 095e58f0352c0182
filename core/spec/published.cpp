#include "spec/published.h"

#include <fmt/format.h>

#include <algorithm>

#include "files/durable_file.h"
#include "spec/table_reader.h"
#include "spec/toml_document.h"

namespace silc {
namespace {

constexpr double kPercent = 100;

std::optional<double> number_of(const Setting& setting) {
  if (const auto* number = std::get_if<double>(&setting.value)) return *number;
  if (const auto* integer = std::get_if<int64_t>(&setting.value)) return static_cast<double>(*integer);
  return std::nullopt;
}

bool is_qualified_column(const std::string& column) {
  return std::ranges::count(column, '/') == 2 && !column.starts_with('/') && !column.ends_with('/') &&
         column.find("//") == std::string::npos;
}

std::vector<PublishedValue> read_values(const Setting* table, const Place& row, Faults& faults) {
  if (table == nullptr || !table->is_table() || table->table().empty()) {
    faults.add(table == nullptr ? row : table->place, "this row has no [row.values]");
    return {};
  }
  std::vector<PublishedValue> values;
  for (const Entry& entry : table->table()) {
    if (!is_qualified_column(entry.key))
      faults.add(entry.place, fmt::format("\"{}\" must look like \"evaluator/dataset/metric\"", entry.key));
    const std::optional<double> value = number_of(entry.value);
    if (!value || *value < 0 || *value > kPercent)
      faults.add(entry.value.place, fmt::format("\"{}\" must be a number of percent, from 0 to 100", entry.key));
    else
      values.push_back({entry.key, *value});
  }
  return values;
}

PublishedRow read_row(const Setting& setting, const PublishedRow& defaults, Faults& faults) {
  PublishedRow row = defaults;
  TableReader reader(&setting, "row", faults);
  reader.read("name", row.name);
  reader.read("setting", row.setting);
  reader.read("source", row.source);
  row.values = read_values(reader.take("values"), setting.place, faults);
  reader.finish();
  if (row.name.empty()) faults.add(setting.place, "this [[row]] has no name");
  if (row.source.empty()) faults.add(setting.place, "nothing says where the numbers of this [[row]] come from: source");
  return row;
}

}  // namespace

Published read_published(const std::filesystem::path& file) {
  Faults faults;
  Published published;
  if (const auto document = parse_toml(read_file(file), file.string(), faults)) {
    TableReader root(&*document, "", faults);
    PublishedRow defaults;
    TableReader head(root.take("published"), "published", faults);
    head.read("title", published.title);
    head.read("setting", defaults.setting);
    head.read("source", defaults.source);
    head.finish();
    if (published.title.empty()) faults.add(document->place, "[published] has no title");
    for (const Setting& row : root.take_tables("row")) published.rows.push_back(read_row(row, defaults, faults));
    root.finish();
  }
  faults.throw_if_any();
  return published;
}

}  // namespace silc
