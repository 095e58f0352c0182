// Comparison tables: from recorded metrics to text. No LibTorch.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "registry/registry.h"

namespace silc {

// One measured quantity of one row: what stands in a cell of the table.
struct Entry {
  std::vector<double> values;  // one a seed, in order of seeds; missing seeds left out
  int64_t planned = 0;         // seeds planned
  int64_t failed = 0;          // seeds failed
  double mean = 0;
  std::optional<double> spread;      // sample standard deviation, from two seeds on
  std::optional<double> difference;  // mean − baseline's mean, over the seeds that both have
  std::optional<double> p_value;     // paired t-test over those seeds, two-sided; from two pairs on
};

struct TableRow {
  std::string name;
  std::string weights;  // whose weights its plain columns mean
  bool baseline = false;
  std::vector<Entry> entries;  // one a column
};

struct Table {
  std::string experiment;
  std::string name;
  std::string title;
  std::vector<std::string> columns;
  std::vector<TableRow> rows;
  std::vector<std::string> notes;  // test used, missing and failed cells, whose weights
};

struct ReportRequest {
  std::string experiment;
  std::string table;                 // empty: all
  std::vector<std::string> metrics;  // keep only these columns; empty: all
};

std::vector<Table> build_tables(const Registry& registry, const ReportRequest& request);

enum class TableFormat { terminal, markdown, csv, latex, json };

// Throws silc::Error for an unknown name.
TableFormat parse_format(const std::string& name);

std::string format_tables(const std::vector<Table>& tables, TableFormat format, bool color);

}  // namespace silc
