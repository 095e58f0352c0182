// Published numbers beside the measured ones: silc report --published.
#pragma once

#include <vector>

#include "registry/report.h"

namespace silc {

// A table for each file of published numbers (share/silc/published beside the program) that has some for the metrics
// of the `measured` tables. Throws SpecError for a file that is wrong.
std::vector<Table> published_tables(const std::vector<Table>& measured);

}  // namespace silc
