// Which rows of an experiment a search tunes, and what each of its points makes of a row. No LibTorch.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "spec/experiment.h"
#include "spec/search.h"

namespace silc {

// Settings by the full name of the row that they are laid over.
using Overlays = std::map<std::string, Setting>;

// A row, with the values of a matrix's point, as it stands in its file.
struct RowToTune {
  std::string name;    // full
  std::string suffix;  // of the matrix's point, which the name ends with
  Place place;
  RowSearch search;
  ResolvedCell cell;                     // without a search's values
  std::vector<std::string> starts_from;  // full names of the rows that its first phases name
  // What is laid over the values of a search: nothing of it may be tuned. With what messages call it.
  std::vector<std::pair<std::string, const Setting*>> above;
  // The row with these overlays; nothing where there are faults.
  std::function<std::optional<ResolvedCell>(const Overlays&)> resolve;
};

// Rows that a search decides about become tuned ones; the others are not named in the result. `shared`: the keys of the
// file's own space. Faults are added, those of every end of every dimension among them; the result is of use only if
// there are none.
Search tune(const SearchSettings& settings, const std::vector<std::string>& shared, const std::vector<RowToTune>& rows,
            Faults& faults);

// What search.split must not be: the data of an evaluation, or of training.
void check_split(const SearchSettings& settings, const std::vector<Evaluation>& evaluations,
                 const std::vector<RowToTune>& rows, Faults& faults);

}  // namespace silc
