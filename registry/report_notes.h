// What a table says below itself: which test its marks rest on, what its seeds could not have shown, where rows differ
// in what the table does not name, what is missing, failed or sick. Inside the registry only.
#pragma once

#include <vector>

#include "registry/results.h"

namespace silc {

struct NotesRequest {
  bool pictures_left_out = false;  // the table has too many cells for its scores of single pictures to be compared
  bool all_metrics = false;        // it is to tell of every evaluation, of those too that apply to no row
};

// Of a table whose values are filled in and compared. `rows`: where those of the table come from, in its order.
void add_notes(Table& table, const std::vector<RowSource>& rows, const NotesRequest& request);

}  // namespace silc
