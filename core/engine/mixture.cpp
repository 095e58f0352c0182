#include "engine/mixture.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/failure.h"
#include "silc/error.h"

namespace silc {

Mixture::Mixture(std::vector<Part> parts) : parts_(std::move(parts)) {
  const double weights = std::accumulate(parts_.begin(), parts_.end(), 0.0,
                                         [](double sum, const Part& part) { return sum + part.weight; });
  double epoch = 0;  // in which each part's samples come once at least
  for (const Part& part : parts_) {
    if (part.dataset->size() < 1) throw Error("dataset \"" + part.name + "\" of the mixture has no samples");
    epoch = std::max(epoch, static_cast<double>(part.dataset->size()) * weights / part.weight);
    slices_ = std::max(slices_, static_cast<int64_t>(part.dataset->shard_starts().size()));
  }
  for (const Part& part : parts_) {
    shares_.push_back(std::max<int64_t>(1, std::llround(epoch * part.weight / weights)));
    size_ += shares_.back();
  }
  classes_ = parts_.front().dataset->classes();
  same_classes_ =
      std::all_of(parts_.begin(), parts_.end(), [&](const Part& part) { return part.dataset->classes() == classes_; });
  if (!same_classes_) classes_.clear();
}

int64_t Mixture::slice_start(int64_t number) const {
  int64_t start = 0;
  for (std::size_t k = 0; k < parts_.size(); ++k) start += slice_begin(k, number);
  return start;
}

Mixture::Place Mixture::place(int64_t index) const {
  if (index < 0 || index >= size_) throw std::out_of_range("there is no such sample");
  int64_t low = 0, high = slices_ - 1;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (slice_start(middle) <= index)
      low = middle;
    else
      high = middle - 1;
  }
  int64_t rest = index - slice_start(low);
  std::size_t k = 0;
  for (; rest >= slice_begin(k, low + 1) - slice_begin(k, low); ++k)
    rest -= slice_begin(k, low + 1) - slice_begin(k, low);
  return {k, (slice_begin(k, low) + rest) % parts_[k].dataset->size()};
}

Sample Mixture::sample(int64_t index) const {
  const Place place = this->place(index);
  Sample sample = in_plugin(PluginKind::dataset, parts_[place.part].name,
                            [&] { return parts_[place.part].dataset->sample(place.index); });
  if (same_classes_) return sample;
  sample.label = kNoLabel;
  sample.mask.clear();
  sample.boxes.clear();
  return sample;
}

std::vector<std::string> Mixture::captions(int64_t index) const {
  const Place place = this->place(index);
  return in_plugin(PluginKind::dataset, parts_[place.part].name,
                   [&] { return parts_[place.part].dataset->captions(place.index); });
}

std::vector<std::string> Mixture::prompt_templates() const { return parts_.front().dataset->prompt_templates(); }

std::vector<int64_t> Mixture::shard_starts() const {
  if (slices_ == 1) return {};
  std::vector<int64_t> starts;
  for (int64_t number = 0; number < slices_; ++number) starts.push_back(slice_start(number));
  return starts;
}

std::string Mixture::fingerprint() const {
  std::string all;
  for (const Part& part : parts_) all += (all.empty() ? "" : "+") + part.dataset->fingerprint();
  return all;
}

}  // namespace silc
