// CIDEr-D: how well captions agree with what people wrote.
#pragma once

#include <cstdint>
#include <vector>

namespace silc::evaluators {

using Words = std::vector<int64_t>;

inline constexpr double kHighestCider = 10;

// CIDEr-D (Vedantam 2015, arXiv:1411.5726, section 6) of each candidate against the references of its picture, in
// [0, 10]: the cosine of tf-idf vectors of n-grams, clipped at the reference's counts, for n = 1 to 4, damped by a
// Gaussian of the difference in length. Document frequencies are those of the references at hand. As in the COCO
// caption evaluation (pycocoevalcap/cider), whose "length" is the number of bigrams.
std::vector<double> cider_d(const std::vector<Words>& candidates, const std::vector<std::vector<Words>>& references);

}  // namespace silc::evaluators
