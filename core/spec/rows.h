// The rows of an experiment file: their bases, and the matrix that multiplies them. No LibTorch.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/setting.h"

namespace silc {

// A [[row.phase]] as it stands in the file: settings that are laid over the row's, or a row that has been trained, of
// this experiment or of another.
struct PhaseSpec {
  std::string name;  // "phase 1" unless it has one
  Place place;
  std::optional<std::string> row;         // its phases come first; of a first phase only
  std::optional<std::string> experiment;  // the file that has this row; none: this one
  Setting settings;                       // plugins expanded
};

// A [[row]] as it stands in the file.
struct RowSpec {
  std::string name;
  Place place;  // of the name
  std::optional<std::string> base;
  Place base_place;
  Setting settings;                              // its own only, plugins expanded
  std::vector<PhaseSpec> phases = {};            // its own only; the last has settings
  std::optional<Setting> search = std::nullopt;  // its own only, as written (spec/search.h)
};

// One combination of the matrix's values.
struct MatrixPoint {
  std::string suffix;  // " [optimizer.lr=0.001]"; empty without a matrix
  Setting settings;    // plugins expanded
};

// Rows that have faults of their own are left out, and so are later rows of the same name.
std::vector<RowSpec> read_rows(std::span<const Setting> tables, Faults& faults);

// Null if there is none of that name.
const RowSpec* find_row(const std::vector<RowSpec>& rows, std::string_view name);

// The rows that `row` starts from, furthest first, itself last. Nothing, and a fault, for an unknown base or a circle.
std::optional<std::vector<const RowSpec*>> base_chain(const RowSpec& row, const std::vector<RowSpec>& rows,
                                                      Faults& faults);

// The phases of the last row of a chain: its own, or else those of the nearest base that has any. Empty: trained in
// one.
std::vector<PhaseSpec> phases_of(const std::vector<const RowSpec*>& chain);

// At least one point. `matrix` may be null.
std::vector<MatrixPoint> read_matrix(const Setting* matrix, Faults& faults);

std::vector<std::string> names_of(const std::vector<RowSpec>& rows);

}  // namespace silc
