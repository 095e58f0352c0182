// An image backbone that is written in Python: a TorchScript module whose forward(images [B, 3, H, W]) gives pooled
// features [B, D] and a map of features [B, D, h, w]. H and W may be smaller than image_size (local crops).
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/utils.h>

#include "nn/precision.h"
#include "plugins/torchscript/script.h"
#include "silc/backbone.h"

namespace silc::torchscript {
namespace {

constexpr auto kFrozen =
    boolean_option("frozen", false, "keep it as it is in the file, in eval mode: nothing of it is trained");

class TorchScriptImage : public ImageBackbone {
 public:
  explicit TorchScriptImage(const ImageBackboneContext& context)
      : frozen_(context.options[kFrozen]),
        script_(register_module("script", std::make_shared<Script>(context.options))) {
    if (frozen_)
      for (at::Tensor& parameter : script_->parameters()) parameter.set_requires_grad(false);
    // One blank picture tells the width, and whether forward() gives what it should. Without batch statistics: one
    // picture has none.
    const torch::NoGradGuard no_grad;
    script_->train(false);
    width_ = forward(at::zeros({1, 3, context.image_size, context.image_size})).pooled.size(1);
    train(true);
  }

  ImageFeatures forward(const at::Tensor& images) override {
    const c10::IValue returned = script_->call("forward", {images});
    script_->adopt_assigned();
    if (!returned.isTuple() || returned.toTupleRef().elements().size() != 2 ||
        !returned.toTupleRef().elements()[0].isTensor() || !returned.toTupleRef().elements()[1].isTensor())
      script_->fail("forward() must return two tensors: pooled features [B, D] and a map of features [B, D, h, w]");
    const at::Tensor& pooled = returned.toTupleRef().elements()[0].toTensor();
    const at::Tensor& map = returned.toTupleRef().elements()[1].toTensor();
    if (pooled.dim() != 2 || map.dim() != 4 || pooled.size(0) != images.size(0) || map.size(0) != images.size(0) ||
        pooled.size(1) != map.size(1))
      script_->fail(
          fmt::format("forward() of {} gives {} and {}; it must give pooled features [B, D] and a map of "
                      "features [B, D, h, w]",
                      c10::str(images.sizes()), c10::str(pooled.sizes()), c10::str(map.sizes())));
    return {pooled, map.flatten(2).transpose(1, 2), map.size(2), map.size(3)};
  }

  [[nodiscard]] int64_t width() const override { return width_; }

  void train(bool on) override { ImageBackbone::train(on && !frozen_); }

 private:
  bool frozen_;
  std::shared_ptr<Script> script_;
  int64_t width_ = 0;
};

}  // namespace
}  // namespace silc::torchscript

SILC_IMAGE_BACKBONE(torchscript_image, silc::torchscript::TorchScriptImage, 1,
                    "an image encoder written in Python: a TorchScript file that gets pictures and returns features",
                    silc::torchscript::kFile, silc::torchscript::kSet, silc::torchscript::kInit,
                    silc::torchscript::kFrozen);
