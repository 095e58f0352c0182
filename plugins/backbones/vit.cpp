// The vision transformer (Dosovitskiy 2021) with the variants that vision-language pretraining uses.
#include <fmt/format.h>
#include <torch/torch.h>

#include <bit>
#include <cmath>
#include <map>

#include "nn/attention_pool.h"
#include "nn/precision.h"
#include "nn/transformer.h"
#include "silc/backbone.h"

namespace silc {
namespace {

constexpr auto kWidth = integer_option("width", 768, 1, 16384, "width of the tokens");
constexpr auto kLayers = integer_option("layers", 12, 1, 256, "transformer blocks");
constexpr auto kHeads = integer_option("heads", 12, 1, 256, "attention heads");
constexpr auto kMlpRatio = number_option("mlp_ratio", 4, 0.01, 64, "width of the MLP's hidden layer over width");
constexpr auto kPatch =
    integer_option("patch", 16, 1, 256, "side of a patch in pixels; a divisor of every view's size");
constexpr auto kStem =
    choice_option("stem", "patch", "patch|conv",
                  "patch: one linear layer (ViT); conv: stride-2 3x3 convolutions with GroupNorm and "
                  "GELU, then 1x1 (Xiao 2021); patch must then be a power of two");
constexpr auto kPooling = choice_option("pooling", "cls", "cls|mean|map",
                                        "cls: class token (CLIP); mean: of the patch tokens, without a class token; "
                                        "map: attention pooling with an MLP (SigLIP)");
constexpr auto kPreNorm = boolean_option("pre_norm", true, "a norm before the first block, as CLIP's ln_pre");

TransformerShape shape_of(const Options& options) {
  return {
      .width = options[kWidth], .layers = options[kLayers], .heads = options[kHeads], .mlp_ratio = options[kMlpRatio]};
}

torch::nn::LayerNorm layer_norm(int64_t width) { return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})); }

// Early convolutions (Xiao 2021, appendix A): log2(patch) convolutions with stride 2 whose channels double up to the
// width, then 1×1. GroupNorm in place of batch norm keeps pictures, and views, independent of each other.
torch::nn::Sequential conv_stem(int64_t width, int64_t patch) {
  constexpr int64_t kGroups = 8;
  const auto unsigned_patch = static_cast<uint64_t>(patch);
  if (patch < 2 || !std::has_single_bit(unsigned_patch))
    throw Error(
        fmt::format("backbone \"vit\": stem \"conv\" halves the picture step by step, so patch {} must be a power "
                    "of two, 2 or more",
                    patch));
  const int steps = std::bit_width(unsigned_patch) - 1;
  if (width % (kGroups << (steps - 1)) != 0)
    throw Error(
        fmt::format("backbone \"vit\": stem \"conv\" with patch {} needs a width that is a multiple of {}; it is "
                    "{}",
                    patch, kGroups << (steps - 1), width));
  torch::nn::Sequential stem;
  int64_t in = 3;
  for (int i = 0; i < steps; ++i) {
    const auto out = width >> (steps - 1 - i);
    stem->push_back(torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).stride(2).padding(1).bias(false)));
    stem->push_back(torch::nn::GroupNorm(kGroups, out));
    stem->push_back(torch::nn::GELU());
    in = out;
  }
  stem->push_back(torch::nn::Conv2d(torch::nn::Conv2dOptions(in, width, 1)));
  return stem;
}

// Parameters have open_clip's names where open_clip has them.
class Vit : public ImageBackbone {
 public:
  explicit Vit(const ImageBackboneContext& context)
      : shape_(shape_of(context.options)), patch_(context.options[kPatch]), pooling_(context.options[kPooling]) {
    check_shape(shape_, "vit");
    check_size(context.image_size);
    grid_ = context.image_size / patch_;
    const double std = 1 / std::sqrt(static_cast<double>(shape_.width));
    if (context.options[kStem] == "conv") {
      stem_ = register_module("stem", conv_stem(shape_.width, patch_));
    } else {
      conv1_ = register_module(
          "conv1", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, shape_.width, patch_).stride(patch_).bias(false)));
    }
    const bool class_token = pooling_ == "cls";
    if (class_token)
      class_embedding_ =
          register_parameter("class_embedding", torch::nn::init::normal_(at::empty({shape_.width}), 0, std));
    positional_embedding_ = register_parameter(
        "positional_embedding",
        torch::nn::init::normal_(at::empty({grid_ * grid_ + (class_token ? 1 : 0), shape_.width}), 0, std));
    if (context.options[kPreNorm]) ln_pre_ = register_module("ln_pre", layer_norm(shape_.width));
    transformer_ = register_module("transformer", std::make_shared<Transformer>(shape_));
    ln_post_ = register_module("ln_post", layer_norm(shape_.width));
    if (pooling_ == "map")
      attn_pool_ =
          register_module("attn_pool", std::make_shared<AttentionPool>(shape_.width, shape_.heads, shape_.mlp_ratio));
  }

  ImageFeatures forward(const at::Tensor& images) override {
    check_size(images.size(2));
    check_size(images.size(3));
    const auto height = images.size(2) / patch_, width = images.size(3) / patch_;
    auto x = stem_ ? convolved(images) : projected(images, height, width);  // [B, N, D]
    x = x + patch_positions(height, width).to(x.scalar_type());
    if (class_embedding_.defined()) {
      const auto token = (class_embedding_ + positional_embedding_[0]).to(x.scalar_type());
      x = at::cat({token.expand({x.size(0), 1, -1}), x}, 1);  // [B, 1 + N, D]
    }
    if (ln_pre_) x = ln_pre_->forward(x);
    x = ln_post_->forward(transformer_->forward(x, /*causal=*/false));
    if (pooling_ == "cls") return {x.select(1, 0), x.slice(1, 1), height, width};
    if (pooling_ == "map") return {attn_pool_->forward(x), x, height, width};
    return {x.mean(1), x, height, width};
  }

  at::Tensor localize(const ImageFeatures& features) override {
    return attn_pool_ ? attn_pool_->each(features.patches) : features.patches;
  }

  [[nodiscard]] int64_t width() const override { return shape_.width; }

 private:
  void check_size(int64_t pixels) const {
    if (pixels % patch_ != 0 || pixels == 0)
      throw Error(
          fmt::format("backbone \"vit\": a view of {0} pixels cannot be cut into patches of {1}; choose image_size "
                      "and the objective's view sizes as multiples of {1}",
                      pixels, patch_));
  }

  at::Tensor convolved(const at::Tensor& images) {
    return stem_->forward(images.contiguous(at::MemoryFormat::ChannelsLast)).flatten(2).transpose(1, 2);
  }

  // The convolution with stride and kernel of one patch as the matrix product that it is.
  at::Tensor projected(const at::Tensor& images, int64_t height, int64_t width) {
    const auto patches = images.to(compute_type(images))
                             .view({-1, 3, height, patch_, width, patch_})
                             .permute({0, 2, 4, 1, 3, 5})
                             .reshape({images.size(0), height * width, -1});  // [B, N, 3·P·P]
    return at::linear(patches, conv1_->weight.flatten(1));
  }

  // Position embeddings of another grid than the trained one are interpolated, bicubic as in DINO (Caron 2021) and with
  // antialiasing as in open_clip's and timm's resampling. Interpolation is linear, so it is kept as a
  // matrix for each size: its gradient is then a product too, the same to the bit on every run and device.
  at::Tensor patch_positions(int64_t height, int64_t width) {
    const auto trained = positional_embedding_.slice(0, class_embedding_.defined() ? 1 : 0);  // [N, D]
    if (height == grid_ && width == grid_) return trained;
    auto& matrix = interpolation_[{height, width}];
    if (!matrix.defined() || matrix.device() != trained.device()) {
      const torch::NoGradGuard no_grad;
      matrix = at::_upsample_bicubic2d_aa(at::eye(grid_ * grid_).view({1, -1, grid_, grid_}), {height, width},
                                          /*align_corners=*/false)
                   .flatten(2)
                   .squeeze(0)
                   .t()
                   .to(trained.options());  // [N', N]
    }
    const NoAutocast guard;
    return at::matmul(matrix, trained);  // [N', D]
  }

  TransformerShape shape_;
  int64_t patch_;
  std::string pooling_;
  int64_t grid_ = 0;  // side of the trained grid of patches
  torch::nn::Sequential stem_{nullptr};
  torch::nn::Conv2d conv1_{nullptr};  // [D, 3, P, P]
  at::Tensor class_embedding_;        // [D]
  at::Tensor positional_embedding_;   // [N, D], with the class token [1 + N, D]
  torch::nn::LayerNorm ln_pre_{nullptr};
  std::shared_ptr<Transformer> transformer_;
  torch::nn::LayerNorm ln_post_{nullptr};
  std::shared_ptr<AttentionPool> attn_pool_;
  std::map<std::pair<int64_t, int64_t>, at::Tensor> interpolation_;  // by height and width of the grid
};

}  // namespace
}  // namespace silc

using silc::kHeads, silc::kLayers, silc::kMlpRatio, silc::kPatch, silc::kPooling, silc::kPreNorm, silc::kStem,
    silc::kWidth;
SILC_IMAGE_BACKBONE(vit, silc::Vit, 1, "vision transformer with patch or convolutional stem", kWidth, kLayers, kHeads,
                    kMlpRatio, kPatch, kStem, kPooling, kPreNorm);
