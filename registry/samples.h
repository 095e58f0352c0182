// Scores of single test pictures, which evaluators leave in a run folder's samples/, and what drawing the pictures anew
// says of a metric. Inside registry only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "files/safetensors.h"
#include "registry/statistics.h"

namespace silc {

// Metrics over more classes are not drawn anew: the work grows with pictures times classes.
inline constexpr int64_t kMostSampledClasses = 256;

// A tensor's elements; nothing for a type that no scores have.
std::optional<std::vector<float>> numbers_of(const TensorView& tensor);

// One metric of one cell, picture by picture. What a metric is of: one ratio (correct captions of all captions) or the
// mean of several (of each class, intersection of union), each of a sum over pictures by a sum over pictures. What
// belongs to one picture (its captions, its pixels) stays together. A class without any denominator does not count.
struct PictureScores {
  std::string data;  // dataset, split and number of pictures: what must be the same for scores to be paired
  int64_t pictures = 0;
  int64_t classes = 1;
  std::vector<float> numerators;    // [pictures, classes]
  std::vector<float> denominators;  // [pictures, classes]
};

// The metric as the pictures give it.
double value_of(const PictureScores& scores);

// The files of one run folder. Opened when they are asked for.
class SampleFiles {
 public:
  // `folder`: samples/ of a run folder; may be missing.
  explicit SampleFiles(const std::filesystem::path& folder);

  // Nothing where the evaluator left no scores of that metric, they are of more than kMostSampledClasses, or they give
  // another value than `value`: so is known that the metric is what it is taken for, whoever wrote the evaluator. Of a
  // class ("iou/CLASS") nothing where two classes have the value.
  [[nodiscard]] std::optional<PictureScores> find(const std::string& evaluator, const std::string& weights,
                                                  const std::string& metric, double value) const;

 private:
  std::map<std::pair<std::string, std::string>, SafetensorsFile> files_;  // by evaluator and weights
};

// The bootstrap over pictures: kReplicates test sets of the same size, drawn with replacement from the pictures. A pure
// function of the number of pictures and classes (Philox), so rows and seeds that were tested with the same pictures
// are so again in every replicate, and every report gives the same numbers. Many pictures are drawn in groups put
// together at random, 1000 at most and fewer for many classes, which bounds the work and leaves the expected variance
// as it is (its relative error is 1/√(2 · groups)).
class PictureBootstrap {
 public:
  static constexpr std::size_t kReplicates = 1000;

  // The metric's deviation from its value in each replicate, widened by √(groups/(groups − 1)) for what drawing from a
  // sample in place of a population loses. Empty for fewer than ten pictures, of which it knows too little.
  std::vector<double> deviations(const PictureScores& scores);

 private:
  struct Draws {
    std::vector<uint32_t> group;  // of each picture
    std::vector<float> counts;    // [groups, kReplicates]: how often each is drawn
    std::size_t groups = 0;
  };
  const Draws& draws(int64_t pictures, int64_t classes);

  std::map<std::pair<int64_t, std::size_t>, Draws> draws_;  // by pictures and groups
};

// Root of the mean square: what deviations() say of the standard error. Tests use it with the normal distribution, as
// a share of a thousand replicates beyond zero would leave a p-value near the limit to chance.
double error_of(const std::vector<double>& deviations);

// `value`, which need not be far from the end of its range, with the percentiles of the deviations around it.
Interval percentile_interval(double value, std::vector<double> deviations, double alpha = kSignificance);

// What the pictures add to the noise of a mean over seeds, from the deviations of each seed (one vector a seed, the
// same draws in all): the variance that all seeds share. What differs between seeds and pictures at once is in the
// seeds' spread already, and is taken out.
double shared_error(const std::vector<std::vector<double>>& seeds);

}  // namespace silc
