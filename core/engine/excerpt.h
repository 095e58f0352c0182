// A few samples in the place of a dataset: whether an evaluation works, and what memory it takes, without its time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/tower_encoder.h"
#include "plugin/catalogue.h"
#include "silc/dataset.h"
#include "silc/evaluator.h"
#include "spec/cell.h"

namespace silc {

// Index k of n that are spread evenly over `size`, the first and the last among them.
int64_t spread(int64_t k, int64_t n, int64_t size);

// Samples of a dataset, spread evenly over it.
class Excerpt : public Dataset {
 public:
  Excerpt(std::shared_ptr<Dataset> whole, int64_t size);

  [[nodiscard]] int64_t size() const override { return size_; }
  [[nodiscard]] Sample sample(int64_t index) const override { return whole_->sample(place(index)); }
  [[nodiscard]] std::vector<std::string> captions(int64_t index) const override {
    return whole_->captions(place(index));
  }
  [[nodiscard]] std::vector<std::string> classes() const override { return whole_->classes(); }
  // One says as much as eighty.
  [[nodiscard]] std::vector<std::string> prompt_templates() const override;
  [[nodiscard]] std::string fingerprint() const override { return whole_->fingerprint(); }

 private:
  [[nodiscard]] int64_t place(int64_t index) const { return spread(index, size_, whole_->size()); }

  std::shared_ptr<Dataset> whole_;
  int64_t size_;
};

// The names of its metrics. Throws what the evaluator throws, and silc::Error for metrics that are not finite.
std::vector<std::string> evaluate_excerpt(const PluginChoice& evaluator, const PluginInfo& plugin,
                                          const Excerpt& excerpt, Encoder& encoder);

}  // namespace silc
