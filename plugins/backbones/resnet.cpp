// Residual networks (He 2016) with average pooling, and CLIP's modification with attention pooling (Radford 2021,
// section 2.4).
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <cmath>

#include "feature_map.h"
#include "nn/patch_grid.h"
#include "nn/ranks.h"
#include "silc/backbone.h"

namespace silc::backbones::resnet {
namespace {

constexpr auto kVariant = choice_option("variant", "standard", "standard|clip",
                                        "standard: as in torchvision, with average pooling; clip: three convolutions "
                                        "as stem, pooling instead of strides, and attention pooling");
constexpr auto kBlock = choice_option("block", "bottleneck", "bottleneck|basic",
                                      "of a stage; basic: two 3x3 convolutions, as in ResNet-18");
constexpr auto kDepths = text_option("depths", "3,4,6,3",
                                     "blocks in each stage; a cell of the last feature map is 4 pixels wide, and each "
                                     "stage after the first doubles that");
constexpr auto kWidth = integer_option(
    "width", 64, 2, 4096, "channels of the stem and inside the first stage's blocks; each stage doubles them");
constexpr auto kHeads = integer_option(
    "heads", 0, 0, 1024, "heads of clip's attention pooling; 0: one for 64 channels of the last feature map");
constexpr auto kZeroInit = boolean_option("zero_init", false,
                                          "the last norm of each block starts at 0, and the block so as the identity "
                                          "(Goyal 2017); CLIP does that, torchvision does not");
constexpr auto kStatistics = choice_option("statistics", "global", "global|all",
                                           "views whose means and variances batch norm keeps for evaluation: global: "
                                           "those of image_size; all: smaller ones too");

// Batch normalisation over all ranks that can leave its running statistics alone.
class BatchNorm : public torch::nn::Module {
 public:
  explicit BatchNorm(int64_t channels)
      : weight(register_parameter("weight", at::ones({channels}))),
        bias_(register_parameter("bias", at::zeros({channels}))),
        mean_(register_buffer("running_mean", at::zeros({channels}))),
        variance_(register_buffer("running_var", at::ones({channels}))) {}

  // Batch statistics in training mode, which enter the running ones if `keep`; running statistics otherwise.
  at::Tensor forward(const at::Tensor& x, bool keep) {
    constexpr double kMomentum = 0.1;
    constexpr double kEps = 1e-5;
    const bool running = keep || !is_training();
    return batch_norm_over_ranks(x, weight, bias_, running ? mean_ : at::Tensor(), running ? variance_ : at::Tensor(),
                                 is_training(), kMomentum, kEps);
  }

  at::Tensor weight;  // [C]

 private:
  at::Tensor bias_;             // [C]
  at::Tensor mean_, variance_;  // [C]
};

torch::nn::Conv2d convolution(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1) {
  torch::nn::Conv2d layer(torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
  torch::nn::init::kaiming_normal_(layer->weight, 0, torch::kFanOut, torch::kReLU);
  return layer;
}

struct BlockKind {
  bool bottleneck = true;
  bool pools = false;      // averages where others have a stride (CLIP)
  bool zero_init = false;  // the last norm starts at 0

  [[nodiscard]] int64_t expansion() const { return bottleneck ? 4 : 1; }
};

// relu(x + convolutions(x)).
class ResidualBlock : public torch::nn::Module {
 public:
  ResidualBlock(int64_t in, int64_t width, int64_t stride, const BlockKind& kind) : pooled_(kind.pools ? stride : 1) {
    const int64_t convolved = kind.pools ? 1 : stride;
    const int64_t out = width * kind.expansion();
    if (kind.bottleneck) {
      add("1", in, width, 1);
      add("2", width, width, 3, convolved);
      add("3", width, out, 1);
    } else {
      add("1", in, width, 3, convolved);
      add("2", width, out, 3);
    }
    if (kind.zero_init) torch::nn::init::zeros_(norms_.back()->weight);
    if (stride != 1 || in != out) {
      shortcut_ = convolution(in, out, 1, convolved);
      shortcut_norm_ = std::make_shared<BatchNorm>(out);
      downsample_->push_back(shortcut_);
      downsample_->push_back(shortcut_norm_);
      register_module("downsample", downsample_);
    }
  }

  at::Tensor forward(const at::Tensor& x, bool keep) {
    auto out = x;
    for (std::size_t i = 0; i < convolutions_.size(); ++i) {
      if (i == 2) out = pooled(out);
      out = norms_[i]->forward(convolutions_[i]->forward(out), keep);
      if (i + 1 < convolutions_.size()) out = out.relu();
    }
    return (out + (shortcut_ ? shortcut_norm_->forward(shortcut_->forward(pooled(x)), keep) : x)).relu();
  }

 private:
  void add(const std::string& number, int64_t in, int64_t out, int64_t kernel, int64_t stride = 1) {
    convolutions_.push_back(register_module("conv" + number, convolution(in, out, kernel, stride)));
    norms_.push_back(register_module("bn" + number, std::make_shared<BatchNorm>(out)));
  }

  [[nodiscard]] at::Tensor pooled(const at::Tensor& x) const { return pooled_ == 1 ? x : at::avg_pool2d(x, pooled_); }

  int64_t pooled_;
  std::vector<torch::nn::Conv2d> convolutions_;
  std::vector<std::shared_ptr<BatchNorm>> norms_;
  torch::nn::ModuleList downsample_;
  torch::nn::Conv2d shortcut_{nullptr};
  std::shared_ptr<BatchNorm> shortcut_norm_;
};

// The head of CLIP's residual networks: the mean of the cells attends to itself and to all of them.
class MapAttentionPool : public torch::nn::Module {
 public:
  MapAttentionPool(int64_t side, int64_t width, int64_t heads) : heads_(heads), interpolation_(side) {
    const double std = 1 / std::sqrt(static_cast<double>(width));
    const auto linear = [&](const char* name) {
      auto layer = register_module(name, torch::nn::Linear(width, width));
      torch::nn::init::normal_(layer->weight, 0, std);
      return layer;
    };
    positional_embedding_ = register_parameter("positional_embedding",
                                               torch::nn::init::normal_(at::empty({side * side + 1, width}), 0, std));
    k_proj_ = linear("k_proj");
    q_proj_ = linear("q_proj");
    v_proj_ = linear("v_proj");
    c_proj_ = linear("c_proj");
  }

  // cells: [B, H·W, D] → [B, D].
  at::Tensor forward(const at::Tensor& cells, int64_t height, int64_t width) {
    const auto places = at::cat({positional_embedding_.slice(0, 0, 1),
                                 interpolation_.resample(positional_embedding_.slice(0, 1), height, width)});
    const auto tokens = at::cat({cells.mean(1, /*keepdim=*/true), cells}, 1) + places.to(cells.scalar_type());
    const auto split = [&](const at::Tensor& x) { return x.unflatten(2, {heads_, -1}).transpose(1, 2); };
    const auto mixed =
        at::scaled_dot_product_attention(split(q_proj_->forward(tokens.slice(1, 0, 1))),
                                         split(k_proj_->forward(tokens)), split(v_proj_->forward(tokens)));
    return c_proj_->forward(mixed.flatten(1));  // [B, H, 1, D/H] → [B, D]
  }

  // Value and output projection of each cell, without its position: MaskCLIP (Zhou C. 2022, section 3.2).
  at::Tensor each(const at::Tensor& cells) { return c_proj_->forward(v_proj_->forward(cells)); }

 private:
  int64_t heads_;
  GridInterpolation interpolation_;
  at::Tensor positional_embedding_;  // [1 + N, D]
  torch::nn::Linear k_proj_{nullptr}, q_proj_{nullptr}, v_proj_{nullptr}, c_proj_{nullptr};
};

// Parameters have the names of torchvision's ResNet and open_clip's ModifiedResNet.
class ResNet : public ImageBackbone {
 public:
  explicit ResNet(const ImageBackboneContext& context)
      : clip_(context.options[kVariant] == "clip"),
        keep_all_(context.options[kStatistics] == "all"),
        image_size_(context.image_size) {
    const auto& options = context.options;
    const auto depths = parse_stages(options[kDepths], "resnet", "depths");
    const BlockKind kind{
        .bottleneck = options[kBlock] == "bottleneck", .pools = clip_, .zero_init = options[kZeroInit]};
    if (clip_ && !kind.bottleneck)
      throw Error("backbone \"resnet\": variant \"clip\" has bottleneck blocks; set block = \"bottleneck\"");
    stride_ = int64_t{4} << (depths.size() - 1);
    check_image_size(image_size_, stride_, "resnet");
    add_stem(options[kWidth]);
    int64_t in = options[kWidth];
    for (std::size_t stage = 0; stage < depths.size(); ++stage) {
      torch::nn::ModuleList layer;
      const auto width = options[kWidth] << stage;
      for (int64_t i = 0; i < depths[stage]; ++i) {
        layer->push_back(std::make_shared<ResidualBlock>(in, width, stage > 0 && i == 0 ? 2 : 1, kind));
        in = width * kind.expansion();
      }
      layers_.push_back(register_module(fmt::format("layer{}", stage + 1), layer));
    }
    width_ = in;
    if (clip_) add_attention_pool(options);
  }

  ImageFeatures forward(const at::Tensor& images) override {
    check_view_size(images, stride_, "resnet");
    check_batch(images);
    const bool keep = keep_all_ || (images.size(2) == image_size_ && images.size(3) == image_size_);
    auto x = stem(images.contiguous(at::MemoryFormat::ChannelsLast), keep);
    for (const auto& layer : layers_)
      for (const auto& block : *layer) x = block->as<ResidualBlock>()->forward(x, keep);  // [B, D, H, W]
    const auto height = x.size(2), width = x.size(3);
    const auto cells = patch_tokens(x);  // [B, N, D]
    return {attnpool_ ? attnpool_->forward(cells, height, width) : cells.mean(1), cells, height, width};
  }

  at::Tensor localize(const ImageFeatures& features) override {
    return attnpool_ ? attnpool_->each(features.patches) : features.patches;
  }

  [[nodiscard]] int64_t width() const override { return width_; }

 private:
  void add_stem(int64_t width) {
    if (clip_ && width % 2 != 0)
      throw Error(fmt::format("backbone \"resnet\": variant \"clip\" needs an even width; it is {}", width));
    const std::vector<int64_t> channels = clip_ ? std::vector{width / 2, width / 2, width} : std::vector{width};
    int64_t in = 3;
    for (std::size_t i = 0; i < channels.size(); ++i) {
      const auto number = std::to_string(i + 1);
      convolutions_.push_back(
          register_module("conv" + number, convolution(in, channels[i], clip_ ? 3 : 7, i == 0 ? 2 : 1)));
      norms_.push_back(register_module("bn" + number, std::make_shared<BatchNorm>(channels[i])));
      in = channels[i];
    }
  }

  void add_attention_pool(const Options& options) {
    constexpr int64_t kHeadWidth = 64;
    const auto heads = options[kHeads] > 0 ? options[kHeads] : std::max<int64_t>(1, width_ / kHeadWidth);
    if (width_ % heads != 0)
      throw Error(
          fmt::format("backbone \"resnet\": the {} channels of the last feature map are no multiple of heads {}; "
                      "choose heads that divide them",
                      width_, heads));
    attnpool_ = register_module("attnpool", std::make_shared<MapAttentionPool>(image_size_ / stride_, width_, heads));
  }

  at::Tensor stem(at::Tensor x, bool keep) {
    for (std::size_t i = 0; i < convolutions_.size(); ++i)
      x = norms_[i]->forward(convolutions_[i]->forward(x), keep).relu();
    return clip_ ? at::avg_pool2d(x, 2) : at::max_pool2d(x, 3, 2, 1);
  }

  void check_batch(const at::Tensor& images) const {
    // Pooling rounds down, and strides with padding round up.
    const auto cells = [&](int64_t pixels) { return (pixels + (clip_ ? 1 : stride_ - 1)) / stride_; };
    if (is_training() && images.size(0) * cells(images.size(2)) * cells(images.size(3)) < 2)
      throw Error(
          "backbone \"resnet\": batch norm has nothing to compare in a batch of one picture with a feature map of one "
          "cell; choose a larger batch, larger views or fewer stages");
  }

  bool clip_;
  bool keep_all_;
  int64_t image_size_;
  int64_t stride_ = 0;  // pixels a cell
  int64_t width_ = 0;   // D, channels of the last feature map
  std::vector<torch::nn::Conv2d> convolutions_;
  std::vector<std::shared_ptr<BatchNorm>> norms_;
  std::vector<torch::nn::ModuleList> layers_;
  std::shared_ptr<MapAttentionPool> attnpool_;
};

}  // namespace

SILC_IMAGE_BACKBONE(resnet, ResNet, 1, "residual network with average pooling, or CLIP's with attention pooling",
                    kVariant, kBlock, kDepths, kWidth, kHeads, kZeroInit, kStatistics);

}  // namespace silc::backbones::resnet
