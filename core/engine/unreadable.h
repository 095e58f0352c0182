// Samples that cannot be read, where on_error = "skip" says to go on without them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "files/run_folder.h"
#include "silc/dataset.h"
#include "spec/cell.h"

namespace silc {

struct Unreadable {
  int64_t sample = 0;  // index in the dataset
  std::string reason;
};

bool may_skip(const DataSource& source);

// The sample with its picture's pixels. Throws silc::Error where one of both cannot be had, or there is no caption.
Sample read_decoded(const Dataset& dataset, int64_t index);

// Those that a cell has met. Which they are is a function of the data and the steps taken, and goes into the
// checkpoint.
class UnreadableSamples {
 public:
  explicit UnreadableSamples(const DataSource& source) : dataset_(source.dataset.name), limit_(source.skip_limit) {}

  // A warning where the number of different ones reaches 1, 10, 100, … Throws silc::Error beyond the limit.
  std::optional<HealthWarning> add(const Unreadable& unreadable, int64_t step);

  [[nodiscard]] std::string state() const;  // empty where there are none
  void restore(const std::string& state);

 private:
  std::string dataset_;
  int64_t limit_;
  std::map<int64_t, std::string> reasons_;  // by sample
};

// Some samples of a dataset.
class Subset : public Dataset {
 public:
  Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> places)
      : whole_(std::move(whole)), places_(std::move(places)) {}

  [[nodiscard]] int64_t size() const override { return static_cast<int64_t>(places_.size()); }
  [[nodiscard]] Sample sample(int64_t index) const override { return whole_->sample(place(index)); }
  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override {
    return whole_->captions(place(index));
  }
  [[nodiscard]] std::vector<std::string> classes() const override { return whole_->classes(); }
  [[nodiscard]] std::vector<std::string> prompt_templates() const override { return whole_->prompt_templates(); }
  [[nodiscard]] std::string fingerprint() const override { return whole_->fingerprint(); }

 private:
  [[nodiscard]] int64_t place(int64_t index) const { return places_.at(static_cast<size_t>(index)); }

  std::shared_ptr<const Dataset> whole_;
  std::vector<int64_t> places_;
};

// Reads the samples of `places`. What can be read, and what cannot.
struct Readable {
  std::vector<int64_t> places;
  std::vector<Unreadable> others;
};
Readable find_readable(const Dataset& dataset, const std::vector<int64_t>& places, int64_t threads);

}  // namespace silc
