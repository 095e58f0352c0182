// Several sources of training data as one dataset, with exact shares.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "silc/dataset.h"

namespace silc {

// Shares are exact in an epoch, and in each of the slices that it is made of where one of the sources lies in shards.
// An epoch shows every sample of one source once, and of no source fewer than there are: those with too few for their
// share come again.
//
// Classes, and with them labels, masks and boxes, are those of the sources where all have the same.
class Mixture : public Dataset {
 public:
  struct Part {
    std::shared_ptr<Dataset> dataset;
    std::string name;   // of its plugin, for messages
    double weight = 1;  // > 0
  };

  // Throws silc::Error for a part without samples.
  explicit Mixture(std::vector<Part> parts);

  [[nodiscard]] int64_t size() const override { return size_; }
  [[nodiscard]] Sample sample(int64_t index) const override;
  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override;
  [[nodiscard]] std::vector<std::string> classes() const override { return classes_; }
  [[nodiscard]] std::vector<std::string> prompt_templates() const override;
  [[nodiscard]] std::vector<int64_t> shard_starts() const override;
  [[nodiscard]] std::string fingerprint() const override;

  // Samples of part k in an epoch.
  [[nodiscard]] int64_t share(std::size_t k) const { return shares_[k]; }

 private:
  struct Place {
    std::size_t part = 0;
    int64_t index = 0;  // in it
  };

  [[nodiscard]] Place place(int64_t index) const;
  // Where slice `number` of part k begins among its samples of an epoch.
  [[nodiscard]] int64_t slice_begin(std::size_t k, int64_t number) const { return shares_[k] * number / slices_; }
  [[nodiscard]] int64_t slice_start(int64_t number) const;

  std::vector<Part> parts_;
  std::vector<int64_t> shares_;  // by part
  std::vector<std::string> classes_;
  bool same_classes_ = false;
  int64_t slices_ = 1;
  int64_t size_ = 0;
};

}  // namespace silc
