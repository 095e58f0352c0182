// The statistics of tables: few seeds, paired by seed, and many test pictures. Distributions are Boost.Math's. Inside
// registry only.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace silc {

inline constexpr double kSignificance = 0.05;  // a table's marks and intervals: p below it, and 95 % of repetitions
inline constexpr double kPower = 0.8;          // repetitions in which a difference that "can be seen" is seen

struct Interval {
  double low = 0;
  double high = 0;
};

double mean(std::span<const double> values);  // of one value or more

// With n − 1 in the denominator; nothing for fewer than two values.
std::optional<double> sample_standard_deviation(std::span<const double> values);

// Confidence interval of the mean by Student's t with n − 1 degrees of freedom. Nothing for fewer than two values.
std::optional<Interval> t_interval(std::span<const double> values, double alpha = kSignificance);

// Two-sided p-value of the paired t-test, from the pairs' differences: Student's t with n − 1 degrees of freedom.
// 1 if all differences are zero. Nothing for fewer than two pairs, nor if all differences are the same but not zero:
// the test takes its measure of noise from their spread.
std::optional<double> paired_t_test(std::span<const double> differences);

// What makes a mean over seeds uncertain. The two parts are independent.
struct MeanNoise {
  int64_t seeds = 2;         // two or more; one if there is no error of theirs
  double seed_error = 0;     // standard error of the mean for the choice of seeds, estimated from them
  double picture_error = 0;  // for the choice of test pictures, known well as they are many
};

// Half the width of the confidence interval of such a mean: that of Student's t for n seeds, a, and that of the normal
// distribution for the pictures, b, put together as (a^k + b^k)^(1/k) with k = 2 + 2 / (n − 2); of two seeds as the
// greater of a − b/2 and b. Exact where one part alone is there; else 95 % intervals hold the truth in 94.8 to 96 % of
// simulations with three seeds or more, whichever part is the greater, and in 94.4 to 96.8 % with two. The exponent is
// silc's own. Squares for any n (square-and-add: Zou & Donner 2008, Statistics in Medicine 27:1693) are what it tends
// to; of few seeds they hold the truth in up to 98.7 %, since Student's t has room in it already for the pictures.
// Satterthwaite's degrees of freedom hold it in 87 % with two.
double half_width(const MeanNoise& noise, double alpha = kSignificance);

// The alpha at which the interval ends at zero. `mean` and `noise` as measured; nothing if there is no noise.
std::optional<double> two_sided_p(double mean, const MeanNoise& noise);

// Holm's step-down procedure (Holm 1979): p-values that may be compared with any α, so that the probability of one
// false rejection or more in the family is kept below it. In the order of `p_values`.
std::vector<double> adjust_by_holm(std::span<const double> p_values);

// The probability that a two-sided t-test of one sample rejects: the noncentral t distribution. `effect`: the true mean
// in standard deviations.
double power_of_t_test(double effect, int64_t n, double alpha);

// Spread of paired differences, as measured or guessed: between seeds (a standard deviation), and the error of their
// mean that the choice of test pictures makes and more seeds do not mend.
struct DifferenceNoise {
  double spread = 0;
  double picture_error = 0;
};

// The true difference that would be told from none at `alpha` in kPower of repetitions with so many seeds, two or more;
// the parts of seeds and pictures added as the sides of a right angle, which is on the safe side.
double detectable_difference(const DifferenceNoise& noise, int64_t seeds, double alpha);

// The fewest seeds, two or more, whose detectable_difference() is at most `difference`; nothing if `most` do not do.
std::optional<int64_t> seeds_to_detect(double difference, const DifferenceNoise& noise, double alpha,
                                       int64_t most = 10'000);

}  // namespace silc
