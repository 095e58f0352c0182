// Which patches masked prediction hides from the student.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "silc/objective.h"

namespace silc {

// Masks are [S, N] bool on the CPU, true where a patch is hidden, N = height × width row by row. They are a function of
// Progress alone, sample by sample, so that a step taken again hides the same patches. They are drawn in
// Objective::prepare(). `batch`: pictures of which the samples are views, view by view, so that a rank's masks are
// those that one process would draw for the same samples; 0: samples are not those of a batch.

// Rectangles until `counts[s]` patches of sample s are hidden, or ten tries in a row found no room (BEiT, Bao 2022,
// algorithm 1): area uniform from `min_area` to what is missing, aspect ratio log-uniform in [0.3, 1/0.3]. iBOT's code
// has min_area (min(height, width) / 3)² (loader.py), DINOv2's 4 (masking.py).
SILC_EXPORT at::Tensor block_masks(const PatchGrid& grid, std::span<const int64_t> counts, int64_t min_area,
                                   const Progress& progress, int64_t batch = 0);

// `ratio` of each sample's patches, any of them (MAE, He 2022).
SILC_EXPORT at::Tensor random_masks(int64_t samples, int64_t patches, double ratio, const Progress& progress,
                                    int64_t batch = 0);

// How many patches to hide in each of `samples`, each sample for itself: none with probability 1 − `probability`, else
// a part of `patches` that is uniform in `ratio` (iBOT, Zhou 2022, appendix E).
SILC_EXPORT std::vector<int64_t> independent_mask_counts(int64_t samples, int64_t patches, double probability,
                                                         const Pair& ratio, const Progress& progress,
                                                         int64_t batch = 0);

// The same spread evenly over the whole batch, as in DINOv2's collate.py: exactly ⌊samples · probability⌋ are masked,
// one in each of as many equal parts of `ratio`, in random order.
SILC_EXPORT std::vector<int64_t> stratified_mask_counts(int64_t samples, int64_t patches, double probability,
                                                        const Pair& ratio, const Progress& progress, int64_t batch = 0);

// A mask, and what a step needs to know of it without looking at it: how many patches it hides, and where.
struct SILC_EXPORT PatchMasks {
  at::Tensor hidden;   // [S, N] bool
  at::Tensor places;   // [M] int64, s · N + n of the hidden patches, ascending
  at::Tensor weights;  // [M] fp64, 1 / (S · hidden patches of the sample)

  // Of a mask on the CPU.
  static PatchMasks of(const at::Tensor& mask);

  // Into a batch, in Objective::prepare(), and out of it, in step(): one a batch.
  void put_into(Batch& batch) const;
  static PatchMasks in(const Batch& batch);
};

// In Objective::prepare(): random_masks() for the view, if the batch has it.
SILC_EXPORT void hide_at_random(Batch& batch, const std::string& view, const ImageTower& tower, double ratio,
                                const Progress& progress);

// The hidden patches' tokens: patches [S, N, D] → [M, D], sample by sample.
SILC_EXPORT at::Tensor masked_patches(const at::Tensor& patches, const PatchMasks& masks);

// The options of blocks that are hidden in a part of a batch's samples, and only there.
struct SILC_EXPORT BlockMaskOptions {
  Option<double> probability =
      number_option("mask_probability", 0.5, 0, 1, "part of the global crops that is masked at all");
  Option<Pair> ratio = pair_option("mask_ratio", 0.1, 0.5, 0, 1, "part of a masked crop's patches that is hidden");

  [[nodiscard]] constexpr auto members() const { return std::tie(probability, ratio); }

  // In Objective::prepare(), masks of both global crops, global_crops(). As iBOT's (loader.py): each sample for itself,
  // in blocks of at least (min(height, width) / 3)² patches.
  void hide_independently(Batch& batch, const ImageTower& tower, const Options& options,
                          const Progress& progress) const;

  // As DINOv2's (collate.py, masking.py): spread evenly over the batch, in blocks of at least 4 patches.
  void hide_evenly(Batch& batch, const ImageTower& tower, const Options& options, const Progress& progress) const;
};

}  // namespace silc
