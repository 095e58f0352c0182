// An image backbone of one's own: ConvMixer (Trockman & Kolter 2022).
//
// Patches are embedded as in a vision transformer and keep their number and width to the end; each layer mixes them
// across the picture by a depthwise convolution (which is added to what comes in), then across channels by a 1×1
// convolution. There are no position embeddings, so that views of any size go through. The paper's batch norm is a
// group norm here: a picture's features do not depend on the others of its batch.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/normalization.h>

#include <string>

#include "silc/backbone.h"

namespace {

using silc::integer_option;

constexpr auto kWidth = integer_option("width", 256, 1, 16384, "channels of the patch tokens");
constexpr auto kLayers = integer_option("layers", 8, 1, 256, "pairs of depthwise and 1x1 convolution");
constexpr auto kPatch = integer_option("patch", 8, 1, 256, "side of a patch in pixels; a divisor of every view's size");
constexpr auto kKernel = integer_option("kernel", 5, 1, 63, "side of the depthwise filters in patches; odd");

torch::nn::Sequential convolution(torch::nn::Conv2dOptions options) {
  const auto width = options.out_channels();
  return torch::nn::Sequential(torch::nn::Conv2d(options), torch::nn::GELU(), torch::nn::GroupNorm(1, width));
}

class ConvMixer : public silc::ImageBackbone {
 public:
  explicit ConvMixer(const silc::ImageBackboneContext& context)
      : width_(context.options[kWidth]), patch_(context.options[kPatch]) {
    using Convolution = torch::nn::Conv2dOptions;
    const auto kernel = context.options[kKernel];
    if (kernel % 2 == 0) throw silc::Error("backbone \"conv_mixer\": kernel must be odd, as 5 is");
    stem_ = register_module("stem", convolution(Convolution(3, width_, patch_).stride(patch_)));
    for (int64_t i = 0; i < context.options[kLayers]; ++i) {
      across_picture_->push_back(convolution(Convolution(width_, width_, kernel).padding(kernel / 2).groups(width_)));
      across_channels_->push_back(convolution(Convolution(width_, width_, 1)));
    }
    register_module("across_picture", across_picture_);
    register_module("across_channels", across_channels_);
  }

  silc::ImageFeatures forward(const at::Tensor& images) override {  // [B, 3, H, W]
    if (images.size(2) % patch_ != 0 || images.size(3) % patch_ != 0)
      throw silc::Error("backbone \"conv_mixer\": the sizes of views must be multiples of patch = " +
                        std::to_string(patch_));
    auto x = stem_->forward(images);  // [B, D, H/P, W/P]
    for (std::size_t i = 0; i < across_picture_->size(); ++i) {
      x = x + (*across_picture_)[i]->as<torch::nn::Sequential>()->forward(x);
      x = (*across_channels_)[i]->as<torch::nn::Sequential>()->forward(x);
    }
    return {.pooled = x.mean({2, 3}),
            .patches = x.flatten(2).transpose(1, 2),
            .grid_height = x.size(2),
            .grid_width = x.size(3)};
  }

  int64_t width() const override { return width_; }

 private:
  int64_t width_;
  int64_t patch_;
  torch::nn::Sequential stem_;
  torch::nn::ModuleList across_picture_, across_channels_;
};

}  // namespace

SILC_IMAGE_BACKBONE(conv_mixer, ConvMixer, 1, "convolutions over patches", kWidth, kLayers, kPatch, kKernel);
