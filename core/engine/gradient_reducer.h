// Gradients averaged over ranks, while the backward pass goes on.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/parameters.h"
#include "nn/ranks.h"

namespace silc {

// Parameters share buckets of about 25 MB, from the last registered to the first, which is about the order in which
// gradients come (Li 2020, PyTorch Distributed, section 3.2). A bucket whose gradients are all there is summed over the
// ranks while the backward pass computes the others. Buckets begin in the same order on all ranks, and their parts in
// memory never change, so that the same number of ranks gives the same bits.
class GradientReducer {
 public:
  // `parameters`: that want a gradient.
  explicit GradientReducer(const std::vector<NamedTensor>& parameters);
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  // Before the last backward pass of an update …
  void begin();
  // … and after it: each parameter's gradient is the mean over the ranks, where at least one of them has one.
  void finish();

 private:
  struct Bucket {
    std::vector<std::size_t> members;  // indices into parameters_
    std::vector<int64_t> offsets;      // of the members in `memory`
    at::Tensor memory;
    std::size_t ready = 0;  // members whose gradients are there
    std::unique_ptr<Ranks::Pending> sum = nullptr;
  };
  class Hook;

  void add_to_buckets(std::size_t parameter, int64_t capacity);
  void is_ready(std::size_t parameter);
  void launch_ready();
  void launch(Bucket& bucket);
  [[nodiscard]] at::Tensor part(const Bucket& bucket, std::size_t member) const;

  std::vector<at::Tensor> parameters_;
  std::vector<std::size_t> bucket_of_;
  std::vector<Bucket> buckets_;
  std::vector<bool> ready_;
  std::size_t launched_ = 0;  // buckets, in order
  bool active_ = false;
};

}  // namespace silc
