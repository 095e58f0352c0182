// ConvNeXt (Liu 2022): depthwise convolutions and pointwise MLPs with layer norms.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/normalization.h>

#include <cmath>

#include "feature_map.h"
#include "nn/transformer.h"
#include "silc/backbone.h"

namespace silc::backbones::convnext {
namespace {

constexpr auto kDepths = text_option("depths", "3,3,9,3", "blocks in each stage");
constexpr auto kWidths = text_option("widths", "96,192,384,768", "channels of each stage");
constexpr auto kPatch = integer_option("patch", 4, 1, 64,
                                       "side of the stem's patches in pixels; each stage after the first doubles the "
                                       "width of a cell");
constexpr auto kKernel = integer_option("kernel", 7, 1, 63, "side of the depthwise convolutions; odd");
constexpr auto kMlpRatio =
    number_option("mlp_ratio", 4, 0.01, 64, "width of the MLP's hidden layer over that of a stage");
constexpr auto kLayerScale =
    number_option("layer_scale", 1e-6, 0, 10, "initial value of learned gains on what a block adds; 0: without them");

constexpr double kNormEps = 1e-6;

torch::nn::Conv2d convolution(const torch::nn::Conv2dOptions& options) {
  torch::nn::Conv2d layer(options);
  torch::nn::init::normal_(layer->weight, 0, 0.02);
  torch::nn::init::zeros_(layer->bias);
  return layer;
}

// The norm of each cell's channels, of a map in channels-last order.
at::Tensor norm_cells(torch::nn::LayerNorm& norm, const at::Tensor& map) {
  return norm->forward(map.permute({0, 2, 3, 1})).permute({0, 3, 1, 2});
}

// x + gain · mlp(norm(depthwise convolution(x))).
class ConvNextBlock : public torch::nn::Module {
 public:
  ConvNextBlock(int64_t width, int64_t kernel, double mlp_ratio, double layer_scale)
      : conv_dw_(register_module(
            "conv_dw", convolution(torch::nn::Conv2dOptions(width, width, kernel).padding(kernel / 2).groups(width)))),
        norm_(register_module("norm", layer_norm(width, kNormEps))),
        mlp_(register_module(
            "mlp", std::make_shared<Mlp>(width, static_cast<int64_t>(static_cast<double>(width) * mlp_ratio)))) {
    for (const auto& linear : {mlp_->c_fc, mlp_->c_proj}) {
      torch::nn::init::normal_(linear->weight, 0, 0.02);
      torch::nn::init::zeros_(linear->bias);
    }
    if (layer_scale != 0) gamma_ = register_parameter("gamma", at::full({width}, layer_scale));
  }

  // [B, D, H, W] → [B, D, H, W]
  at::Tensor forward(const at::Tensor& x) {
    auto cells = mlp_->forward(norm_->forward(conv_dw_->forward(x).permute({0, 2, 3, 1})));  // [B, H, W, D]
    if (gamma_.defined()) cells = cells * gamma_.to(cells.scalar_type());
    return x + cells.permute({0, 3, 1, 2});
  }

 private:
  torch::nn::Conv2d conv_dw_;
  torch::nn::LayerNorm norm_;
  std::shared_ptr<Mlp> mlp_;
  at::Tensor gamma_;  // [D]
};

// Blocks of one width, after a norm and a convolution that halves the map (none in the first stage).
class ConvNextStage : public torch::nn::Module {
 public:
  ConvNextStage(int64_t in, int64_t out, bool halves) {
    if (!halves) return;
    norm_ = layer_norm(in, kNormEps);
    halving_ = convolution(torch::nn::Conv2dOptions(in, out, 2).stride(2));
    torch::nn::ModuleList downsample;
    downsample->push_back(norm_);
    downsample->push_back(halving_);
    register_module("downsample", downsample);
  }

  void add(std::shared_ptr<ConvNextBlock> block) {
    if (blocks_->is_empty()) register_module("blocks", blocks_);
    blocks_->push_back(std::move(block));
  }

  at::Tensor forward(at::Tensor x) {
    if (halving_) x = halving_->forward(norm_cells(norm_, x));
    for (const auto& block : *blocks_) x = block->as<ConvNextBlock>()->forward(x);
    return x;
  }

 private:
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Conv2d halving_{nullptr};
  torch::nn::ModuleList blocks_;
};

// Pictures are averaged before the last norm. Parameters have timm's names, but for the layers of the MLPs.
class ConvNext : public ImageBackbone {
 public:
  explicit ConvNext(const ImageBackboneContext& context) {
    const auto& options = context.options;
    const auto depths = parse_stages(options[kDepths], "convnext", "depths");
    const auto widths = parse_stages(options[kWidths], "convnext", "widths");
    if (depths.size() != widths.size())
      throw Error(fmt::format("backbone \"convnext\": depths has {} stages and widths {}; give both as many",
                              depths.size(), widths.size()));
    if (options[kKernel] % 2 == 0)
      throw Error(fmt::format("backbone \"convnext\": kernel {} is even; choose an odd one", options[kKernel]));
    stride_ = options[kPatch] << (depths.size() - 1);
    check_image_size(context.image_size, stride_, "convnext");

    patches_ = convolution(torch::nn::Conv2dOptions(3, widths[0], options[kPatch]).stride(options[kPatch]));
    patch_norm_ = layer_norm(widths[0], kNormEps);
    torch::nn::ModuleList stem;
    stem->push_back(patches_);
    stem->push_back(patch_norm_);
    register_module("stem", stem);
    register_module("stages", stages_);
    for (std::size_t i = 0; i < depths.size(); ++i) {
      auto stage = std::make_shared<ConvNextStage>(i > 0 ? widths[i - 1] : widths[0], widths[i], i > 0);
      for (int64_t block = 0; block < depths[i]; ++block)
        stage->add(
            std::make_shared<ConvNextBlock>(widths[i], options[kKernel], options[kMlpRatio], options[kLayerScale]));
      stages_->push_back(std::move(stage));
    }
    width_ = widths.back();
    norm_ = register_module("norm", layer_norm(width_, kNormEps));
  }

  ImageFeatures forward(const at::Tensor& images) override {
    check_view_size(images, stride_, "convnext");
    auto x = norm_cells(patch_norm_, patches_->forward(images.contiguous(at::MemoryFormat::ChannelsLast)));
    for (const auto& stage : *stages_) x = stage->as<ConvNextStage>()->forward(x);  // [B, D, H, W]
    const auto cells = patch_tokens(x);                                             // [B, N, D]
    return {norm_->forward(cells.mean(1)), norm_->forward(cells), x.size(2), x.size(3)};
  }

  [[nodiscard]] int64_t width() const override { return width_; }

 private:
  int64_t stride_ = 0;  // pixels a cell of the last map
  int64_t width_ = 0;
  torch::nn::Conv2d patches_{nullptr};
  torch::nn::LayerNorm patch_norm_{nullptr};
  torch::nn::ModuleList stages_;
  torch::nn::LayerNorm norm_{nullptr};
};

}  // namespace

SILC_IMAGE_BACKBONE(convnext, ConvNext, 1, "ConvNeXt: depthwise convolutions and pointwise MLPs", kDepths, kWidths,
                    kPatch, kKernel, kMlpRatio, kLayerScale);

}  // namespace silc::backbones::convnext
