// Tables as people read them, cell by cell: what every format but CSV and JSON is written from. Inside registry only.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "registry/report.h"

namespace silc {

struct Cell {
  std::string text;
  bool best = false;
  int direction = 0;  // of a difference that is marked: above 1, below −1
  // Bytes of `text` that are the value itself; behind it stand its difference and its n. All, where it is longer.
  std::size_t value = std::string::npos;
};

// Header first, one cell a column.
using Grid = std::vector<std::vector<Cell>>;

struct GridStyle {
  bool differences = true;
  bool weights = true;  // a column for whose weights were evaluated
  bool intervals = false;
  // Columns of the table, and whether n and weights stand behind them.
  std::size_t first = 0;
  std::size_t count = std::string::npos;
  bool last = true;
};

Grid make_grid(const Table& table, const GridStyle& style);

// Numbers stand to the right, names (the first column and that of weights) to the left.
bool is_name_column(const Grid& grid, std::size_t column);

const std::string& label_of(const TableRow& row);
std::string_view title_of(const Table& table);
// "(experiment ablation, table components)", without what the title says already.
std::string origin_of(const Table& table);
// The weights that all rows with values were evaluated with; empty if they differ.
std::string common_weights(const Table& table);

}  // namespace silc
