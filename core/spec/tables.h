// The [[table]]s of an experiment file. No LibTorch.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "spec/experiment.h"
#include "spec/setting.h"

namespace silc {

// What tables may refer to.
struct TableNames {
  std::vector<std::string> rows;         // as in the file, without the matrix
  std::vector<std::string> suffixes;     // of the matrix's points; one empty one without a matrix
  std::vector<std::string> evaluations;  // names of the [[evaluate]]s
  bool teacher = false;                  // some row evaluates the teacher
  bool search = false;                   // there is a [search], whose costs can be a column
};

// One table at least: `title` and all metrics against the first row, where the file has none.
std::vector<TableSpec> read_tables(std::span<const Setting> tables, const std::string& title, const TableNames& names,
                                   Faults& faults);

// Names with their matrix values that `name` stands for: itself, or one for each point. Empty if there is no such row.
std::vector<std::string> expanded_rows(const std::string& name, const TableNames& names);

}  // namespace silc
