#include "registry/chosen_pictures.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

namespace silc {

namespace {

using Indices = std::vector<std::size_t>;

// `count` of them, evenly spread; all where they are fewer.
Indices spread_over(const Indices& all, std::size_t count) {
  if (all.size() <= count) return all;
  Indices some;
  for (std::size_t k = 0; k < count; ++k)
    some.push_back(all[count == 1 ? all.size() / 2 : k * (all.size() - 1) / (count - 1)]);
  return some;
}

void add(const Indices& pictures, const std::string& group, std::vector<ChosenPicture>& chosen) {
  for (const std::size_t picture : pictures) chosen.push_back({static_cast<int64_t>(picture), group});
}

}  // namespace

std::vector<ChosenPicture> choose_pictures(const std::vector<std::vector<float>>& correct, std::size_t baseline,
                                           std::size_t count) {
  constexpr std::array<const char*, 4> kGroups = {"gained", "lost", "wrong", "right"};
  std::array<Indices, 4> groups;
  for (std::size_t i = 0; i < correct.at(baseline).size(); ++i) {
    const auto right = std::ranges::count_if(correct, [&](const std::vector<float>& row) { return row[i] > 0; });
    const bool all = right == static_cast<std::ptrdiff_t>(correct.size());
    const bool before = correct[baseline][i] > 0;
    groups[all ? 3 : right == 0 ? 2 : before ? 1 : 0].push_back(i);
  }
  std::array<std::size_t, 4> quotas = {count - 2 * (count / 4) - count / 6, count / 4, count / 4, count / 6};
  std::size_t left = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::size_t taken = std::min(quotas[g], groups[g].size());
    left += quotas[g] - taken;
    quotas[g] = taken;
  }
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::size_t more = std::min(left, groups[g].size() - quotas[g]);
    quotas[g] += more;
    left -= more;
  }
  std::vector<ChosenPicture> chosen;
  for (std::size_t g = 0; g < groups.size(); ++g) add(spread_over(groups[g], quotas[g]), kGroups[g], chosen);
  return chosen;
}

std::vector<ChosenPicture> choose_by_score(const std::vector<std::vector<float>>& scores, std::size_t baseline,
                                           std::size_t count) {
  Indices rest;
  std::vector<float> best(scores.at(baseline).size()), worst(best), mean(best);
  for (std::size_t i = 0; i < best.size(); ++i) {
    best[i] = -std::numeric_limits<float>::infinity();
    worst[i] = std::numeric_limits<float>::infinity();
    for (std::size_t row = 0; row < scores.size(); ++row) {
      mean[i] += scores[row][i];
      if (row == baseline) continue;
      best[i] = std::max(best[i], scores[row][i] - scores[baseline][i]);
      worst[i] = std::min(worst[i], scores[row][i] - scores[baseline][i]);
    }
    if (!std::isnan(mean[i])) rest.push_back(i);
  }
  // The first `most` by `key`, if that is above 0, taken out of `rest`.
  const auto take = [&](std::size_t most, const auto& key) {
    std::ranges::stable_sort(rest, std::greater{}, key);
    std::size_t taken = 0;
    while (taken < std::min(most, rest.size()) && key(rest[taken]) > 0) ++taken;
    Indices pictures(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(taken));
    rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(taken));
    std::ranges::sort(rest);
    return pictures;
  };
  std::vector<ChosenPicture> chosen;
  if (scores.size() > 1) {
    add(take(count / 3, [&](std::size_t i) { return best[i]; }), "gained", chosen);
    add(take(count / 4, [&](std::size_t i) { return -worst[i]; }), "lost", chosen);
  }
  std::ranges::stable_sort(rest, std::less{}, [&](std::size_t i) { return mean[i]; });
  add(spread_over(rest, count - std::min(count, chosen.size())), "between", chosen);
  return chosen;
}

}  // namespace silc
