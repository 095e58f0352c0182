#include "plugins/evaluators/cider.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

namespace silc::evaluators {
namespace {

constexpr std::size_t kLongest = 4;  // n-grams
constexpr double kSigma = 6;         // of the Gaussian

using Counts = std::map<Words, double>;  // by n-gram, of all lengths

Counts count_grams(const Words& words) {
  Counts counts;
  for (std::size_t n = 1; n <= kLongest; ++n)
    for (std::size_t first = 0; first + n <= words.size(); ++first)
      ++counts[Words(words.begin() + static_cast<std::ptrdiff_t>(first),
                     words.begin() + static_cast<std::ptrdiff_t>(first + n))];
  return counts;
}

// In how many pictures' references each n-gram occurs.
Counts document_frequencies(const std::vector<std::vector<Words>>& references) {
  Counts frequencies;
  for (const std::vector<Words>& picture : references) {
    std::set<Words> grams;
    for (const Words& reference : picture)
      for (const auto& [gram, count] : count_grams(reference)) grams.insert(gram);
    for (const Words& gram : grams) ++frequencies[gram];
  }
  return frequencies;
}

// tf-idf weights of a caption.
struct Vector {
  Counts weights;
  std::array<double, kLongest> norms{};  // of the n-grams of each length
  double bigrams = 0;
};

Vector weigh(const Words& words, const Counts& frequencies, double log_pictures) {
  Vector vector;
  for (const auto& [gram, count] : count_grams(words)) {
    const auto known = frequencies.find(gram);
    const double frequency = known == frequencies.end() ? 1 : std::max(1.0, known->second);
    const double weight = count * (log_pictures - std::log(frequency));
    vector.weights[gram] = weight;
    vector.norms[gram.size() - 1] += weight * weight;
    if (gram.size() == 2) vector.bigrams += count;
  }
  for (double& norm : vector.norms) norm = std::sqrt(norm);
  return vector;
}

double similarity(const Vector& candidate, const Vector& reference) {
  std::array<double, kLongest> products{};
  for (const auto& [gram, weight] : candidate.weights) {
    const auto other = reference.weights.find(gram);
    if (other != reference.weights.end()) products[gram.size() - 1] += std::min(weight, other->second) * other->second;
  }
  double sum = 0;
  for (std::size_t n = 0; n < kLongest; ++n)
    if (candidate.norms[n] > 0 && reference.norms[n] > 0)
      sum += products[n] / (candidate.norms[n] * reference.norms[n]);
  const double difference = candidate.bigrams - reference.bigrams;
  return sum / kLongest * std::exp(-difference * difference / (2 * kSigma * kSigma));
}

}  // namespace

std::vector<double> cider_d(const std::vector<Words>& candidates, const std::vector<std::vector<Words>>& references) {
  const Counts frequencies = document_frequencies(references);
  const double log_pictures = std::log(static_cast<double>(references.size()));
  std::vector<double> scores;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Vector candidate = weigh(candidates[i], frequencies, log_pictures);
    double sum = 0;
    for (const Words& reference : references[i])
      sum += similarity(candidate, weigh(reference, frequencies, log_pictures));
    scores.push_back(kHighestCider * sum / static_cast<double>(references[i].size()));
  }
  return scores;
}

}  // namespace silc::evaluators
