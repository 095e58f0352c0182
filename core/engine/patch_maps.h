// Similarities of many patches with many texts, small enough to travel in a page.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace silc {

// scores[m, v] ≈ Σ_k scales[k] · patches[m, k] · texts[v, k].
struct PatchMaps {
  int64_t terms = 0;            // K
  std::vector<int8_t> patches;  // [M, K]
  std::vector<int8_t> texts;    // [V, K]
  std::vector<double> scales;   // [K]
  double error = 0;             // the greatest difference from `scores`
};

// scores: [M, V], cosines. Of the singular value decomposition the first terms, each factor quantised to 8 bits: as few
// terms as keep every score within kMapError, 64 at most (Eckart & Young 1936: no other K terms come nearer in the mean
// square). As many terms as the joint space has dimensions would be exact but for quantisation; the patches of a dozen
// pictures need far fewer.
inline constexpr double kMapError = 0.01;
PatchMaps patch_maps(const at::Tensor& scores);

}  // namespace silc
