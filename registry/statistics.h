// The statistics of tables: few seeds, paired by seed. Inside registry only.
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace silc {

double mean(std::span<const double> values);  // of one value or more

// With n − 1 in the denominator; nothing for fewer than two values.
std::optional<double> sample_standard_deviation(std::span<const double> values);

// Two-sided p-value of the paired t-test, from the pairs' differences: Student's t with n − 1 degrees of freedom.
// 1 if all differences are zero. Nothing for fewer than two pairs, nor if all differences are the same but not zero:
// the test takes its measure of noise from their spread.
std::optional<double> paired_t_test(std::span<const double> differences);

// Holm's step-down procedure (Holm 1979): which hypotheses are rejected when the probability of any false rejection is
// kept below `alpha`. In the order of `p_values`.
std::vector<bool> reject_by_holm(std::span<const double> p_values, double alpha);

}  // namespace silc
