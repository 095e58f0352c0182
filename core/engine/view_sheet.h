// What a model sees in training, as a picture for people.
#pragma once

#include <cstdint>

#include "plugin/catalogue.h"
#include "silc/dataset.h"
#include "spec/cell.h"

namespace silc {

// The first `count` pictures of the cell's training, each with its crops as the objective's first step gets them:
// photometric changes, classes of a mask over views that have masks, and grey where the objective hides patches from
// the image tower. Which patches those are may depend on how many pictures a batch has. Throws silc::Error.
Image view_sheet(const ResolvedCell& cell, const Catalogue& catalogue, int64_t count);

}  // namespace silc
