// Which test pictures a page shows. Inside registry only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace silc {

// A picture that is to be shown, and why it was chosen.
struct ChosenPicture {
  int64_t index = 0;
  std::string group;  // as below
  friend bool operator==(const ChosenPicture&, const ChosenPicture&) = default;
};

// `correct`: of each row, whether each picture counts as right (greater than 0). Of pictures that another row has right
// and the baseline wrong ("gained"), the other way round ("lost"), that all rows have wrong ("wrong") and right
// ("right"), a third, a quarter, a quarter and a sixth of `count`, more where others are too few; of each group those
// that are spread evenly over the dataset. By group, then index.
std::vector<ChosenPicture> choose_pictures(const std::vector<std::vector<float>>& correct, std::size_t baseline,
                                           std::size_t count);

// The same of scores that are no yes or no: a third are those in which the best of the other rows is furthest above the
// baseline ("gained"), a quarter those in which the worst is furthest below ("lost"), and the rest are spread evenly
// from the worst to the best ("between"). Of a single row all are. Pictures without a score (NaN) are left out.
std::vector<ChosenPicture> choose_by_score(const std::vector<std::vector<float>>& scores, std::size_t baseline,
                                           std::size_t count);

}  // namespace silc
