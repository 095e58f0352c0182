// Numbers along an axis. No LibTorch.
#pragma once

#include <string>
#include <vector>

namespace silc::plot {

struct Range {
  double low = 0;
  double high = 0;
};

// Round numbers within `range`: about `count` of them, three or more, 1, 2 or 5 times a power of ten apart; of a single
// number that alone.
std::vector<double> linear_ticks(Range range, int count);

// Powers of ten within `range`, some left out where they are many; where there are fewer than two, also their doubles
// and fives. Of a positive range.
std::vector<double> logarithmic_ticks(Range range, int count);

// "0.25", "40k", "1.2M", "1e-05"; alike for all `ticks`.
std::vector<std::string> tick_labels(const std::vector<double>& ticks);

// From data to the picture.
class Scale {
 public:
  // `range`: of the data, widened where it is a single number; `from`, `to`: where its ends lie in the picture.
  Scale(Range range, bool logarithmic, double from, double to);
  [[nodiscard]] double operator()(double value) const;
  [[nodiscard]] Range range() const { return range_; }
  [[nodiscard]] bool is_logarithmic() const { return logarithmic_; }
  [[nodiscard]] double from() const { return from_; }
  [[nodiscard]] double to() const { return to_; }

 private:
  Range range_;
  bool logarithmic_;
  double from_;
  double to_;
};

}  // namespace silc::plot
