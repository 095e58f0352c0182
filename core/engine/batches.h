// Training batches as a pure function of the step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/data_order.h"
#include "silc/dataset.h"
#include "silc/objective.h"
#include "silc/tokenizer.h"

namespace silc {

struct BatchSettings {
  int64_t batch = 0;           // B
  int64_t image_size = 0;      // side of views that do not say their own
  int64_t context_length = 0;  // T
  uint64_t seed = 0;
  int64_t total_steps = 0;   // of training; 0: not known beforehand
  std::string dataset_name;  // for messages
  std::string tokenizer_name;
};

class BatchSource {
 public:
  // Throws silc::Error for an empty dataset or views that make no sense.
  BatchSource(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Tokenizer> tokenizer,
              std::vector<ViewSpec> views, BatchSettings settings);

  // The batch of update `step` ≥ 0, on the CPU. Called from several threads at once. Views that are not needed yet
  // (ViewSpec::from) are left out where the number of steps is known.
  [[nodiscard]] Batch batch(int64_t step) const;

 private:
  [[nodiscard]] bool needed(const ViewSpec& view, int64_t step) const;
  [[nodiscard]] Sample read_sample(int64_t index) const;
  [[nodiscard]] std::vector<int64_t> tokens(const std::string& caption) const;

  std::shared_ptr<const Dataset> dataset_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<ViewSpec> views_;
  BatchSettings settings_;
  DataOrder order_;
};

// The batch on another device.
Batch to_device(Batch batch, const at::Device& device);

}  // namespace silc
