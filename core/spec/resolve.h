// From merged settings to a cell's settings: names looked up, defaults filled in, ranges checked. No LibTorch.
#pragma once

#include <string>
#include <vector>

#include "spec/cell.h"
#include "spec/checkpoint.h"
#include "spec/setting.h"

namespace silc {

enum class Completeness {
  partial,   // settings of a file that rows complete: nothing need be there, all that is there must be right
  complete,  // of a row
  recorded,  // of a cell.toml, which has data fingerprints too
};

struct ResolveContext {
  const Catalogue& catalogue;
  Faults& faults;
  Completeness completeness = Completeness::complete;
  Checkpoints* checkpoints = nullptr;  // null: settings have no `checkpoint`
};

// Everything but experiment, row, seed and evaluations. A budget of 0 leaves only what evaluation needs: no data, no
// optimizer, and the objective that goes with the checkpoint where none is named. `settings`: a table with
// setting_keys() at most, plugins expanded. `subject` ("row "SILC"") and `place` say what lacks something that is
// missing. Faults are added; the result is of use only if there are none.
ResolvedCell resolve_settings(const Setting& settings, const std::string& subject, const Place& place,
                              const ResolveContext& context);

// A dataset with its split, which is "train" unless said otherwise. `table`: null reads like an empty one.
DataSource resolve_source(const Setting* table, const std::string& path, const ResolveContext& context);

// The [[evaluate]] tables. Names are filled in even where there are faults.
std::vector<Evaluation> resolve_evaluations(std::span<const Setting> tables, const ResolveContext& context);

}  // namespace silc
