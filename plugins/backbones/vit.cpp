// The vision transformer (Dosovitskiy 2021) with the variants that vision-language pretraining uses.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/nn/init.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/normalization.h>

#include <bit>
#include <cmath>
#include <optional>

#include "nn/attention_pool.h"
#include "nn/patch_grid.h"
#include "nn/precision.h"
#include "nn/transformer.h"
#include "silc/backbone.h"

namespace silc::backbones::vit {
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
constexpr auto kClassToken = added(boolean_option(
    "class_token", false, "a class token that takes part in attention also where pooling does not read it"));
constexpr auto kPatchBias = added(
    boolean_option("patch_bias", false, "a bias of the linear layer of stem \"patch\", as SigLIP and DINOv2 have"));
constexpr auto kPreNorm = boolean_option("pre_norm", true, "a norm before the first block, as CLIP's ln_pre");
constexpr auto kPositions =
    choice_option("positions", "learned", "learned|rotary|both",
                  "position embeddings: learned ones added to the tokens (ViT); rotary: queries "
                  "and keys turned by row and column; both (EVA-02)");
constexpr auto kRotaryGrid = integer_option("rotary_grid", 0, 0, 4096,
                                            "side of the grid whose patches are one rotary step apart, to which other "
                                            "grids are stretched; 0: image_size / patch");
constexpr auto kRegisters = integer_option("registers", 0, 0, 256,
                                           "tokens beside the patches that nothing reads at the end, as in DINOv2 with "
                                           "registers (Darcet 2024)");
constexpr auto kMlp = choice_option("mlp", "gelu", "gelu|gelu_tanh|quick_gelu|swiglu",
                                    "activation of the MLP: gelu_tanh as in SigLIP, quick_gelu as in OpenAI's CLIP; "
                                    "swiglu: gated, as in EVA-02");
constexpr auto kLayerScale = number_option("layer_scale", 0, 0, 10,
                                           "initial value of learned gains on what each block adds (LayerScale); 0: "
                                           "without them");
constexpr auto kQkNorm = boolean_option("qk_norm", false, "norms of each head's queries and keys");
constexpr auto kSubNorm = choice_option("sub_norm", "none", "none|mlp|all",
                                        "mlp: a norm before the last layer of the MLP (EVA-02); all: and one before "
                                        "attention's last layer (EVA-02-CLIP)");
constexpr auto kNormEps = number_option("norm_eps", 1e-5, 1e-12, 0.1,
                                        "added to the variance in norms: 1e-5 in CLIP, 1e-6 in SigLIP, DINOv2, EVA-02");

TransformerShape shape_of(const Options& options) {
  return {.width = options[kWidth],
          .layers = options[kLayers],
          .heads = options[kHeads],
          .mlp_ratio = options[kMlpRatio],
          .mlp = parse_mlp(options[kMlp]),
          .layer_scale = options[kLayerScale],
          .qk_norm = options[kQkNorm],
          .attention_norm = options[kSubNorm] == "all",
          .mlp_norm = options[kSubNorm] != "none",
          .norm_eps = options[kNormEps]};
}

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

// Tokens are the class token, the registers and the patches, in this order. Parameters have open_clip's names where
// open_clip has them.
class Vit : public ImageBackbone {
 public:
  explicit Vit(const ImageBackboneContext& context)
      : shape_(shape_of(context.options)),
        patch_(context.options[kPatch]),
        pooling_(context.options[kPooling]),
        side_(patches_along(context.image_size, patch_, "vit")),
        interpolation_(side_) {
    check_shape(shape_, "vit");
    const auto& options = context.options;
    const double std = 1 / std::sqrt(static_cast<double>(shape_.width));
    if (options[kStem] == "conv") {
      stem_ = register_module("stem", conv_stem(shape_.width, patch_));
    } else {
      conv1_ = register_module(
          "conv1", torch::nn::Conv2d(
                       torch::nn::Conv2dOptions(3, shape_.width, patch_).stride(patch_).bias(options[kPatchBias])));
      if (options[kPatchBias]) torch::nn::init::zeros_(conv1_->bias);
    }
    const int64_t class_tokens = pooling_ == "cls" || options[kClassToken] ? 1 : 0;
    if (class_tokens > 0)
      class_embedding_ =
          register_parameter("class_embedding", torch::nn::init::normal_(at::empty({shape_.width}), 0, std));
    if (options[kPositions] != "rotary")
      positional_embedding_ =
          register_parameter("positional_embedding",
                             torch::nn::init::normal_(at::empty({side_ * side_ + class_tokens, shape_.width}), 0, std));
    if (options[kRegisters] > 0)
      register_tokens_ = register_parameter(
          "register_tokens", torch::nn::init::normal_(at::empty({options[kRegisters], shape_.width}), 0, std));
    prefix_ = class_tokens + options[kRegisters];
    if (options[kPositions] != "learned") rotary_ = rotary_grid(options[kRotaryGrid]);
    if (options[kPreNorm]) ln_pre_ = register_module("ln_pre", layer_norm(shape_.width, shape_.norm_eps));
    transformer_ = register_module("transformer", std::make_shared<Transformer>(shape_));
    ln_post_ = register_module("ln_post", layer_norm(shape_.width, shape_.norm_eps));
    if (pooling_ == "map") attn_pool_ = register_module("attn_pool", std::make_shared<AttentionPool>(shape_));
  }

  ImageFeatures forward(const at::Tensor& images) override { return encode(embed(images)); }

  ImageFeatures forward_masked(const at::Tensor& images, const at::Tensor& mask,
                               const at::Tensor& mask_token) override {
    auto patches = embed(images);
    patches.tokens = mask_patches(patches.tokens, mask, mask_token);
    return encode(patches);
  }

  at::Tensor localize(const ImageFeatures& features) override {
    return attn_pool_ ? attn_pool_->each(features.patches) : features.patches;
  }

  [[nodiscard]] PatchGrid patch_grid(int64_t height, int64_t width) const override {
    return {patches_along(height, patch_, "vit"), patches_along(width, patch_, "vit")};
  }

  [[nodiscard]] int64_t width() const override { return shape_.width; }

 private:
  struct Patches {
    at::Tensor tokens;  // [B, N, D]
    int64_t height;
    int64_t width;
  };

  [[nodiscard]] std::optional<RotaryGrid> rotary_grid(int64_t reference) const {
    const auto head = shape_.width / shape_.heads;
    if (head % 4 != 0)
      throw Error(
          fmt::format("backbone \"vit\": rotary positions need width / heads to be a multiple of 4; it is {} / {} = {}",
                      shape_.width, shape_.heads, head));
    return RotaryGrid(head, reference == 0 ? side_ : reference, prefix_);
  }

  Patches embed(const at::Tensor& images) {
    const auto grid = patch_grid(images.size(2), images.size(3));
    return {.tokens = stem_ ? convolved(images) : project_patches(images, conv1_->weight, conv1_->bias),
            .height = grid.height,
            .width = grid.width};
  }

  ImageFeatures encode(const Patches& patches) {
    const auto height = patches.height, width = patches.width;
    auto x = patches.tokens;  // [B, N, D]
    if (positional_embedding_.defined()) x = x + patch_positions(height, width).to(x.scalar_type());
    if (prefix_ > 0) {
      const auto before = prefix_tokens().to(x.scalar_type());
      x = at::cat({before.expand({x.size(0), -1, -1}), x}, 1);  // [B, P + N, D]
    }
    if (ln_pre_) x = ln_pre_->forward(x);
    const auto rotary = rotary_ ? rotary_->angles(height, width, x.device()) : Rotary{};
    x = ln_post_->forward(transformer_->forward(x, /*causal=*/false, rotary));
    const auto tokens = x.slice(1, prefix_);
    if (pooling_ == "cls") return {x.select(1, 0), tokens, height, width};
    if (pooling_ == "map") return {attn_pool_->forward(tokens), tokens, height, width};
    return {tokens.mean(1), tokens, height, width};
  }

  at::Tensor convolved(const at::Tensor& images) {
    return stem_->forward(images.contiguous(at::MemoryFormat::ChannelsLast)).flatten(2).transpose(1, 2);
  }

  at::Tensor patch_positions(int64_t height, int64_t width) {
    const auto trained = positional_embedding_.slice(0, class_embedding_.defined() ? 1 : 0);  // [N, D]
    return interpolation_.resample(trained, height, width);
  }

  // [1, P, D]. Registers have no position.
  at::Tensor prefix_tokens() {
    std::vector<at::Tensor> tokens;
    if (class_embedding_.defined()) {
      const auto token =
          positional_embedding_.defined() ? class_embedding_ + positional_embedding_[0] : class_embedding_;
      tokens.push_back(token.unsqueeze(0));
    }
    if (register_tokens_.defined()) tokens.push_back(register_tokens_);
    return (tokens.size() == 1 ? tokens[0] : at::cat(tokens)).unsqueeze(0);
  }

  TransformerShape shape_;
  int64_t patch_;
  std::string pooling_;
  int64_t side_;        // of the trained grid of patches
  int64_t prefix_ = 0;  // P, tokens before the patches
  GridInterpolation interpolation_;
  std::optional<RotaryGrid> rotary_;
  torch::nn::Sequential stem_{nullptr};
  torch::nn::Conv2d conv1_{nullptr};  // [D, 3, P, P]
  at::Tensor class_embedding_;        // [D]
  at::Tensor positional_embedding_;   // [N, D], with the class token [1 + N, D]
  at::Tensor register_tokens_;        // [R, D]
  torch::nn::LayerNorm ln_pre_{nullptr};
  std::shared_ptr<Transformer> transformer_;
  torch::nn::LayerNorm ln_post_{nullptr};
  std::shared_ptr<AttentionPool> attn_pool_;
};

}  // namespace

SILC_IMAGE_BACKBONE(vit, Vit, 1, "vision transformer with patch or convolutional stem", kWidth, kLayers, kHeads,
                    kMlpRatio, kPatch, kStem, kPooling, kClassToken, kPatchBias, kPreNorm, kPositions, kRotaryGrid,
                    kRegisters, kMlp, kLayerScale, kQkNorm, kSubNorm, kNormEps);

}  // namespace silc::backbones::vit
