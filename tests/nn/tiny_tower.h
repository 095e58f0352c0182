// An image tower that is as small as can be, with a buffer of each kind.
#pragma once

#include <ATen/ATen.h>
#include <torch/nn/modules/linear.h>

#include "silc/model.h"

namespace silc::testing {

// Pooled: a linear function of the mean colour. Counts its forward passes.
class TinyBackbone : public ImageBackbone {
 public:
  TinyBackbone() {
    linear_ = register_module("linear", torch::nn::Linear(3, 4));
    mean_ = register_buffer("mean", at::zeros({2}));
    count_ = register_buffer("count", at::zeros({}, at::kLong));
  }
  ImageFeatures forward(const at::Tensor& images) override {
    count_ += 1;
    const auto pooled = linear_->forward(images.mean({2, 3}));
    return {pooled, pooled.unsqueeze(1), 1, 1};
  }
  [[nodiscard]] int64_t width() const override { return 4; }
  [[nodiscard]] int64_t passes() const { return count_.item<int64_t>(); }

 private:
  torch::nn::Linear linear_{nullptr};
  at::Tensor mean_, count_;
};

inline std::shared_ptr<ImageTower> tiny_tower() {
  return std::make_shared<ImageTower>(std::make_shared<TinyBackbone>(), 2);
}

}  // namespace silc::testing
