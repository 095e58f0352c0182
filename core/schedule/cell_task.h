// A cell with its identity and place. No LibTorch.
#pragma once

#include <optional>
#include <string>

#include "files/run_folder.h"
#include "spec/cell.h"

namespace silc {

// Made from cells whose fingerprints are filled in (place_cells, schedule/schedule.h).
struct CellTask {
  ResolvedCell cell;
  std::string id;
  RunFolder folder;
  // Of a trial that is compared on its way: the part of its budget at which it pauses.
  std::optional<double> until = std::nullopt;
};

// Whether there is nothing left to do: it is finished, or as far as it is to come.
bool is_done(const CellTask& task);

// Processes that train the cell together: one alone evaluates what is there already.
int64_t ranks_of(const ResolvedCell& cell);

}  // namespace silc
