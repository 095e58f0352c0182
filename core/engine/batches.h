// Training batches as a pure function of the step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/assembly.h"
#include "engine/data_order.h"
#include "engine/unreadable.h"
#include "engine/views.h"
#include "silc/dataset.h"
#include "silc/objective.h"
#include "silc/tokenizer.h"

namespace silc {

struct BatchSettings {
  int64_t batch = 0;           // B, of this rank
  int64_t image_size = 0;      // side of views that do not say their own
  int64_t context_length = 0;  // T
  uint64_t seed = 0;
  int64_t captions = 1;     // C, drawn for each picture
  int64_t total_steps = 0;  // of training, one for each batch; 0: not known beforehand
  bool pinned = false;      // in memory that a GPU can read by itself
  ImageTransform transform = {};
  // Objective::prepare(); none: nothing is to be prepared
  std::function<void(Batch&, const Progress&)> prepare = {};
  int64_t accumulate = 1;  // batches of an update
  bool skip = false;       // samples that cannot be read give their place to the next in the dataset
  int64_t rank = 0;        // whose part of the whole batch, of ranks · B pictures, it is
  int64_t ranks = 1;
  std::string dataset_name;  // for messages
  std::string tokenizer_name;
};

// A batch, and which samples have no place in it because they cannot be read.
struct ReadBatch {
  Batch batch;
  std::vector<Unreadable> skipped = {};
};

class BatchSource {
 public:
  // Throws silc::Error for an empty dataset, and for views, or a number of captions, that make no sense.
  BatchSource(std::shared_ptr<const Dataset> dataset, std::shared_ptr<const Tokenizer> tokenizer,
              std::vector<ViewSpec> views, BatchSettings settings);

  // The batch number `step` ≥ 0, on the CPU: that of update `step` where an update has one batch, and the next
  // optimizer.accumulate of them where it has more. Called from several threads at once. Views that are not needed yet
  // (ViewSpec::from) are left out where the number of steps is known. Throws silc::Error naming the dataset for a
  // sample that cannot be read, or that lacks the mask that a view wants, unless such samples are skipped.
  [[nodiscard]] Batch batch(int64_t step) const { return read(step).batch; }
  [[nodiscard]] ReadBatch read(int64_t step) const;

 private:
  // Where the crops of a view go, and their masks; null: not needed yet, or not wanted.
  struct Target {
    float* pixels = nullptr;
    uint8_t* masks = nullptr;
  };

  [[nodiscard]] at::Tensor empty(at::IntArrayRef shape, at::ScalarType type) const;
  // What Objective::prepare() makes for the batch number `step`.
  void prepare(int64_t step, Batch& batch) const;
  [[nodiscard]] bool needed(const ViewSpec& view, int64_t step) const;
  // Room in `batch` for the views of update `step`.
  std::vector<Target> make_views(int64_t step, Batch& batch) const;
  // The crops of sample `position` of training that have a target, and their views.
  struct Cut {
    size_t view = 0;         // index into views_
    int64_t number = 0;      // of the crop in its view
    uint32_t of_sample = 0;  // of the crop over all views, needed or not, so that none depends on what is needed
    Crop crop;
  };
  [[nodiscard]] std::vector<Cut> plan_cuts(const Image& image, int64_t position, std::span<const Target> targets) const;
  void cut_views(Sample& sample, int64_t position, std::span<const Target> targets) const;
  // Reads sample `index` into place `position` of training: pixels into the targets; labels and captions are returned.
  [[nodiscard]] Sample place_sample(int64_t index, int64_t position, std::span<const Target> targets) const;
  // The same for the sample that belongs there, or the first after it that can be read.
  Sample place_readable(int64_t position, std::span<const Target> targets, ReadBatch& read) const;
  void check_mask(const Sample& sample, const std::string& name, const std::string& view) const;
  [[nodiscard]] std::vector<int64_t> tokens(const std::string& caption) const;

  std::shared_ptr<const Dataset> dataset_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<ViewSpec> views_;
  BatchSettings settings_;
  DataOrder order_;
  int64_t batch_bytes_ = 0;  // of a batch's views
};

// Threads that prepare batches and pictures for `device`: engine.data_threads, where that does not say how many one for
// the CPU, which has enough to do, and for a GPU as many as the engine has threads, up to eight.
int64_t data_threads(const EngineSettings& engine, const at::Device& device);

// What the objective of `assembly` trains on: this rank's part of it (nn/ranks.h). `total_steps` of 0: not known, so
// that all views are there from the start. Throws silc::Error where the batch cannot be shared out evenly.
BatchSource make_batch_source(const ResolvedCell& cell, const Assembly& assembly, int64_t total_steps);

template <class Visit>
void for_each_tensor(Batch& batch, const Visit& visit) {
  for (auto& [name, view] : batch.views) visit(view);
  for (auto& [name, mask] : batch.masks) visit(mask);
  for (auto& [name, tensor] : batch.prepared) visit(tensor);
  if (batch.tokens.defined()) visit(batch.tokens);
  if (batch.labels.defined()) visit(batch.labels);
}

// The batch on another device.
Batch to_device(Batch batch, const at::Device& device);

}  // namespace silc
