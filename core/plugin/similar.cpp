#include "plugin/similar.h"
#include "text/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

namespace silc {
namespace {

std::string lower_case(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// Restricted Damerau-Levenshtein distance.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace

std::string most_similar(std::string_view name, std::span<const std::string> candidates) {
  // Longer ones are not typing errors, and would make the search slow.
  constexpr std::size_t kLongest = 200;
  if (name.size() > kLongest) return "";
  const std::string wanted = lower_case(name);
  std::string best;
  std::size_t best_distance = SIZE_MAX;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongest) continue;
    const std::size_t distance = edit_distance(wanted, lower_case(candidate));
    if (distance * 3 <= std::max(name.size(), candidate.size()) && distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggestion(std::string_view name, std::span<const std::string> candidates) {
  if (const std::string similar = most_similar(name, candidates); !similar.empty())
    return "; did you mean \"" + similar + "\"?";
  constexpr std::size_t kMostNamed = 24;
  if (candidates.empty() || candidates.size() > kMostNamed) return "";
  return "; there " + std::string(candidates.size() == 1 ? "is " : "are ") + quoted_list(candidates);
}

}  // namespace silc
