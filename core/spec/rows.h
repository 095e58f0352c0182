// The rows of an experiment file: their bases, and the matrix that multiplies them. No LibTorch.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "spec/setting.h"

namespace silc {

// A [[row]] as it stands in the file.
struct RowSpec {
  std::string name;
  Place place;  // of the name
  std::optional<std::string> base;
  Place base_place;
  Setting settings;  // its own only, plugins expanded
};

// One combination of the matrix's values.
struct MatrixPoint {
  std::string suffix;  // " [optimizer.lr=0.001]"; empty without a matrix
  Setting settings;    // plugins expanded
};

// Rows that have faults of their own are left out, and so are later rows of the same name.
std::vector<RowSpec> read_rows(std::span<const Setting> tables, Faults& faults);

// The rows that `row` starts from, furthest first, itself last. Nothing, and a fault, for an unknown base or a circle.
std::optional<std::vector<const RowSpec*>> base_chain(const RowSpec& row, const std::vector<RowSpec>& rows,
                                                      Faults& faults);

// At least one point. `matrix` may be null.
std::vector<MatrixPoint> read_matrix(const Setting* matrix, Faults& faults);

std::vector<std::string> names_of(const std::vector<RowSpec>& rows);

}  // namespace silc
