// What ranks tell each other after every update.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cost.h"
#include "engine/repeats.h"
#include "engine/training_step.h"
#include "engine/unreadable.h"

namespace silc {

struct RankReport {
  StepFigures figures;
  int64_t flops = 0;                // of this attempt
  int64_t bytes_sent = 0;           // of this attempt
  Cost cost;                        // of this attempt
  bool stop = false;                // it was asked to
  std::vector<BatchKeys> keys;      // of the update's batches
  std::vector<Unreadable> skipped;  // in them
};

// That of all ranks together, the same on each: figures are means, with the shares of the whole batches that appear
// twice ("duplicate_pictures", "duplicate_captions") and, of several ranks, the mean "bytes_sent" so far; FLOPs and
// costs are sums, wall time and a GPU's memory the greatest.
RankReport share_reports(const RankReport& own);

}  // namespace silc
