#include "registry/samples.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>

#include "silc/error.h"
#include "silc/random.h"

namespace silc {

namespace {

constexpr uint32_t kDrawStream = 1;
constexpr uint32_t kGroupStream = 2;

const TensorView* find_tensor(const SafetensorsFile& file, const std::string& name) {
  const auto found = file.tensors().find(name);
  return found == file.tensors().end() ? nullptr : &found->second;
}

// How many rows the scores of this file have at the least: those by picture. Square matrices are of classes.
int64_t fewest_rows(const SafetensorsFile& file) {
  int64_t fewest = 0;
  for (const auto& [name, tensor] : file.tensors()) {
    const bool of_classes = tensor.shape.size() == 2 && tensor.shape[0] == tensor.shape[1];
    if (!of_classes && !tensor.shape.empty() && (fewest == 0 || tensor.shape[0] < fewest)) fewest = tensor.shape[0];
  }
  return fewest;
}

// The picture that each of `rows` scores belongs to. "picture" says it where there are several to a picture; files
// from before it was written have equally many captions a picture, one picture's after the other's.
std::optional<std::vector<std::size_t>> pictures_of(const SafetensorsFile& file, int64_t rows) {
  std::vector<std::size_t> pictures(static_cast<std::size_t>(rows));
  const TensorView* picture = find_tensor(file, "picture");
  if (picture != nullptr && picture->dtype == "I64" && picture->shape == std::vector<int64_t>{rows}) {
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      int64_t index = 0;
      std::memcpy(&index, picture->bytes.data() + i * sizeof(index), sizeof(index));
      if (index < 0 || index >= rows) return std::nullopt;
      pictures[i] = static_cast<std::size_t>(index);
    }
    return pictures;
  }
  const int64_t fewest = fewest_rows(file);
  if (fewest == 0 || rows % fewest != 0) return std::nullopt;
  for (std::size_t i = 0; i < pictures.size(); ++i) pictures[i] = i / static_cast<std::size_t>(rows / fewest);
  return pictures;
}

PictureScores empty_scores(std::size_t pictures, std::size_t classes) {
  PictureScores scores;
  scores.pictures = static_cast<int64_t>(pictures);
  scores.classes = static_cast<int64_t>(classes);
  scores.numerators.assign(pictures * classes, 0);
  scores.denominators.assign(pictures * classes, 0);
  return scores;
}

// The mean of the scores of that name.
std::optional<PictureScores> mean_scores(const SafetensorsFile& file, const std::string& metric) {
  const TensorView* tensor = find_tensor(file, metric);
  if (tensor == nullptr || tensor->shape.size() != 1 || tensor->shape[0] == 0) return std::nullopt;
  const auto values = numbers_of(*tensor);
  const auto pictures = pictures_of(file, tensor->shape[0]);
  if (!values || !pictures) return std::nullopt;
  PictureScores scores = empty_scores(*std::ranges::max_element(*pictures) + 1, 1);
  for (std::size_t i = 0; i < values->size(); ++i) {
    scores.numerators[(*pictures)[i]] += (*values)[i];
    ++scores.denominators[(*pictures)[i]];
  }
  return scores;
}

// Pixels of each picture and class.
struct Overlaps {
  std::size_t pictures = 0;
  std::size_t classes = 0;
  std::vector<float> hits;    // [pictures, classes]
  std::vector<float> unions;  // [pictures, classes]
};

std::optional<Overlaps> overlaps_of(const SafetensorsFile& file) {
  const TensorView* intersection = find_tensor(file, "intersection");
  const TensorView* join = find_tensor(file, "union");
  if (intersection == nullptr || join == nullptr || intersection->shape.size() != 2 ||
      intersection->shape != join->shape || intersection->shape[1] == 0 || intersection->shape[1] > kMostSampledClasses)
    return std::nullopt;
  auto hits = numbers_of(*intersection);
  auto unions = numbers_of(*join);
  if (!hits || !unions) return std::nullopt;
  return Overlaps{.pictures = static_cast<std::size_t>(intersection->shape[0]),
                  .classes = static_cast<std::size_t>(intersection->shape[1]),
                  .hits = std::move(*hits),
                  .unions = std::move(*unions)};
}

// Intersection by union of each class.
PictureScores all_overlaps(Overlaps counts) {
  PictureScores scores = empty_scores(counts.pictures, counts.classes);
  scores.numerators = std::move(counts.hits);
  scores.denominators = std::move(counts.unions);
  return scores;
}

// Right pixels by all.
PictureScores pixel_accuracy(const Overlaps& counts) {
  PictureScores scores = empty_scores(counts.pictures, 1);
  for (std::size_t i = 0; i < counts.hits.size(); ++i) {
    scores.numerators[i / counts.classes] += counts.hits[i];
    // A right pixel is in one union, a wrong one in those of two classes.
    scores.denominators[i / counts.classes] += (counts.hits[i] + counts.unions[i]) / 2;
  }
  return scores;
}

PictureScores overlaps_of_class(const Overlaps& counts, std::size_t label) {
  PictureScores scores = empty_scores(counts.pictures, 1);
  for (std::size_t picture = 0; picture < counts.pictures; ++picture) {
    scores.numerators[picture] = counts.hits[picture * counts.classes + label];
    scores.denominators[picture] = counts.unions[picture * counts.classes + label];
  }
  return scores;
}

bool is_value(double found, double value) {
  constexpr double kRounding = 1e-5;
  return std::abs(found - value) <= kRounding * std::max(1.0, std::abs(value));
}

// The scores do not name their classes: the class is the one that has the value. Nothing where several have it.
std::optional<PictureScores> overlaps_of_class_with(const Overlaps& counts, double value) {
  std::optional<PictureScores> found;
  for (std::size_t label = 0; label < counts.classes; ++label) {
    PictureScores scores = overlaps_of_class(counts, label);
    if (!is_value(value_of(scores), value)) continue;
    if (found) return std::nullopt;
    found = std::move(scores);
  }
  return found;
}

// Right pictures by all pictures of each class.
std::optional<PictureScores> class_recalls(const SafetensorsFile& file) {
  const TensorView* label = find_tensor(file, "label");
  const TensorView* correct = find_tensor(file, "acc1");
  if (label == nullptr || correct == nullptr || label->shape.size() != 1 || label->shape != correct->shape ||
      label->shape[0] == 0)
    return std::nullopt;
  const auto labels = numbers_of(*label);
  const auto values = numbers_of(*correct);
  const auto is_beyond = [](float each) { return each < 0 || each >= static_cast<float>(kMostSampledClasses); };
  if (!labels || !values || std::ranges::any_of(*labels, is_beyond)) return std::nullopt;
  const auto classes = static_cast<std::size_t>(*std::ranges::max_element(*labels)) + 1;
  PictureScores scores = empty_scores(labels->size(), classes);
  for (std::size_t i = 0; i < labels->size(); ++i) {
    const std::size_t place = i * classes + static_cast<std::size_t>((*labels)[i]);
    scores.numerators[place] = (*values)[i];
    scores.denominators[place] = 1;
  }
  return scores;
}

std::optional<PictureScores> scores_of(const SafetensorsFile& file, const std::string& metric, double value) {
  if (metric == "mean_per_class_recall") return class_recalls(file);
  const bool of_class = metric.starts_with("iou/");
  if (metric != "miou" && metric != "pixel_accuracy" && !of_class) return mean_scores(file, metric);
  auto counts = overlaps_of(file);
  if (!counts) return std::nullopt;
  if (of_class) return overlaps_of_class_with(*counts, value);
  return metric == "miou" ? all_overlaps(std::move(*counts)) : pixel_accuracy(*counts);
}

// The mean of the ratios whose denominators are not zero; `sums`: numerators, then denominators.
template <class Number>
double mean_ratio(std::span<const Number> numerators, std::span<const Number> denominators, std::size_t step) {
  double sum = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < numerators.size(); i += step) {
    if (denominators[i] <= 0) continue;
    sum += static_cast<double>(numerators[i]) / static_cast<double>(denominators[i]);
    ++count;
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

std::string text_of(const std::map<std::string, std::string>& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

std::size_t groups_of(int64_t pictures, int64_t classes) {
  constexpr int64_t kMost = 1000, kFewest = 100, kWork = 8000;
  return static_cast<std::size_t>(std::min(pictures, std::clamp(kWork / (2 * classes), kFewest, kMost)));
}

// Percentile by linear interpolation, as numpy's default. `sorted`: ascending.
double percentile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

double mean_square(const std::vector<double>& deviations) {
  double squares = 0;
  for (const double deviation : deviations) squares += deviation * deviation;
  return squares / static_cast<double>(deviations.size());
}

}  // namespace

std::optional<std::vector<float>> numbers_of(const TensorView& tensor) {
  const auto read = [&]<class Number>(Number) {
    std::vector<float> numbers(tensor.bytes.size() / sizeof(Number));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      Number number;
      std::memcpy(&number, tensor.bytes.data() + i * sizeof(Number), sizeof(Number));
      numbers[i] = static_cast<float>(number);
    }
    return numbers;
  };
  if (tensor.dtype == "F32") return read(float{});
  if (tensor.dtype == "F64") return read(double{});
  if (tensor.dtype == "I64") return read(int64_t{});
  if (tensor.dtype == "I32") return read(int32_t{});
  if (tensor.dtype == "U8" || tensor.dtype == "BOOL") return read(uint8_t{});
  return std::nullopt;
}

double value_of(const PictureScores& scores) {
  const auto classes = static_cast<std::size_t>(scores.classes);
  std::vector<double> sums(2 * classes);
  for (std::size_t i = 0; i < scores.numerators.size(); ++i) {
    sums[i % classes] += static_cast<double>(scores.numerators[i]);
    sums[classes + i % classes] += static_cast<double>(scores.denominators[i]);
  }
  const std::span<const double> all(sums);
  return mean_ratio(all.first(classes), all.last(classes), 1);
}

SampleFiles::SampleFiles(const std::filesystem::path& folder) {
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    if (entry.path().extension() != ".safetensors") continue;
    try {
      SafetensorsFile file(entry.path());
      const auto key = std::pair(text_of(file.metadata(), "evaluator"), text_of(file.metadata(), "weights"));
      files_.emplace(key, std::move(file));
    } catch (const Error&) {
      // Damaged: the tests that need it are then over seeds alone, as the table says.
    }
  }
}

std::optional<PictureScores> SampleFiles::find(const std::string& evaluator, const std::string& weights,
                                               const std::string& metric, double value) const {
  const auto file = files_.find({evaluator, weights});
  if (file == files_.end()) return std::nullopt;
  auto scores = scores_of(file->second, metric, value);
  if (!scores || !is_value(value_of(*scores), value)) return std::nullopt;
  const auto& metadata = file->second.metadata();
  scores->data =
      text_of(metadata, "dataset") + "/" + text_of(metadata, "split") + "/" + std::to_string(scores->pictures);
  return scores;
}

const PictureBootstrap::Draws& PictureBootstrap::draws(int64_t pictures, int64_t classes) {
  const std::size_t groups = groups_of(pictures, classes);
  const auto [place, is_new] = draws_.try_emplace({pictures, groups});
  Draws& draws = place->second;
  if (!is_new) return draws;
  draws.groups = groups;
  draws.group.resize(static_cast<std::size_t>(pictures));
  std::iota(draws.group.begin(), draws.group.end(), 0U);
  if (groups < draws.group.size()) {
    Random random(static_cast<uint64_t>(pictures), kGroupStream, 0);
    for (std::size_t i = draws.group.size() - 1; i > 0; --i)
      std::swap(draws.group[i], draws.group[random.below(static_cast<uint32_t>(i + 1))]);
    for (uint32_t& place_in_order : draws.group) place_in_order %= static_cast<uint32_t>(groups);
  }
  draws.counts.assign(groups * kReplicates, 0);
  for (std::size_t replicate = 0; replicate < kReplicates; ++replicate) {
    Random random(static_cast<uint64_t>(pictures), kDrawStream, replicate);
    for (std::size_t i = 0; i < groups; ++i)
      ++draws.counts[random.below(static_cast<uint32_t>(groups)) * kReplicates + replicate];
  }
  return draws;
}

std::vector<double> PictureBootstrap::deviations(const PictureScores& scores) {
  constexpr int64_t kFewest = 10;
  if (scores.pictures < kFewest) return {};
  const Draws& draws = this->draws(scores.pictures, scores.classes);
  const auto classes = static_cast<std::size_t>(scores.classes);
  const std::size_t terms = 2 * classes;

  std::vector<float> groups(draws.groups * terms);  // [groups, numerators then denominators]
  for (std::size_t i = 0; i < scores.numerators.size(); ++i) {
    float* const group = &groups[draws.group[i / classes] * terms];
    group[i % classes] += scores.numerators[i];
    group[classes + i % classes] += scores.denominators[i];
  }
  std::vector<float> sums(terms * kReplicates);  // [terms, replicates]
  for (std::size_t group = 0; group < draws.groups; ++group) {
    const float* const counts = &draws.counts[group * kReplicates];
    for (std::size_t term = 0; term < terms; ++term) {
      const float value = groups[group * terms + term];
      if (value == 0) continue;
      float* const sum = &sums[term * kReplicates];
      for (std::size_t replicate = 0; replicate < kReplicates; ++replicate) sum[replicate] += counts[replicate] * value;
    }
  }
  const double value = value_of(scores);
  const auto number = static_cast<double>(draws.groups);
  const double widening = std::sqrt(number / (number - 1));
  std::vector<double> deviations(kReplicates);
  const std::span<const float> all(sums);
  for (std::size_t replicate = 0; replicate < kReplicates; ++replicate)
    deviations[replicate] = widening * (mean_ratio(all.first(classes * kReplicates).subspan(replicate),
                                                   all.last(classes * kReplicates).subspan(replicate), kReplicates) -
                                        value);
  return deviations;
}

double error_of(const std::vector<double>& deviations) { return std::sqrt(mean_square(deviations)); }

Interval percentile_interval(double value, std::vector<double> deviations, double alpha) {
  std::ranges::sort(deviations);
  return {value + percentile(deviations, alpha / 2), value + percentile(deviations, 1 - alpha / 2)};
}

double shared_error(const std::vector<std::vector<double>>& seeds) {
  const auto n = static_cast<double>(seeds.size());
  std::vector<double> means(seeds.front().size());
  double alone = 0;
  for (const std::vector<double>& deviations : seeds) {
    for (std::size_t i = 0; i < means.size(); ++i) means[i] += deviations[i] / n;
    alone += mean_square(deviations) / n;
  }
  const double together = mean_square(means);
  if (seeds.size() < 2) return std::sqrt(together);
  // alone = shared + mixed, together = shared + mixed / n.
  return std::sqrt(std::max(0.0, together - (alone - together) / (n - 1)));
}

}  // namespace silc
