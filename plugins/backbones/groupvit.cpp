// GroupViT (Xu 2022, arXiv:2202.11094): group tokens gather the patches of one object each, stage by stage.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>

#include <cmath>

#include "feature_map.h"
#include "nn/patch_grid.h"
#include "nn/precision.h"
#include "nn/transformer.h"
#include "silc/backbone.h"

namespace silc::backbones::groupvit {
namespace {

constexpr auto kWidth = integer_option("width", 384, 2, 16384, "width of the tokens");
constexpr auto kHeads = integer_option("heads", 6, 1, 256, "attention heads");
constexpr auto kPatch =
    integer_option("patch", 16, 1, 256, "side of a patch in pixels; a divisor of every view's size");
constexpr auto kDepths = text_option("depths", "6,3,3", "transformer blocks in each stage");
constexpr auto kGroups =
    text_option("groups", "64,8", "group tokens of each stage but the last, into which it gathers what it is given");

constexpr double kTokenStd = 0.02;  // of group tokens and positions

torch::nn::Linear linear(int64_t in, int64_t out) {
  torch::nn::Linear layer(in, out);
  torch::nn::init::normal_(layer->weight, 0, 1 / std::sqrt(static_cast<double>(in)));
  torch::nn::init::zeros_(layer->bias);
  return layer;
}

// An MLP along the tokens, the same for every channel (Tolstikhin 2021).
class TokenMixer : public torch::nn::Module {
 public:
  TokenMixer(int64_t in, int64_t hidden, int64_t out)
      : fc1_(register_module("fc1", linear(in, hidden))), fc2_(register_module("fc2", linear(hidden, out))) {}

  // [B, in, D] → [B, out, D]
  at::Tensor forward(const at::Tensor& tokens) {
    return fc2_->forward(at::gelu(fc1_->forward(tokens.transpose(1, 2)))).transpose(1, 2);
  }

 private:
  torch::nn::Linear fc1_, fc2_;
};

// Multi-head attention of some tokens to others.
class CrossAttention : public torch::nn::Module {
 public:
  CrossAttention(int64_t width, int64_t heads)
      : heads_(heads),
        q_proj_(register_module("q_proj", linear(width, width))),
        k_proj_(register_module("k_proj", linear(width, width))),
        v_proj_(register_module("v_proj", linear(width, width))),
        proj_(register_module("proj", linear(width, width))) {}

  // [B, G, D], [B, N, D] → [B, G, D]
  at::Tensor forward(const at::Tensor& groups, const at::Tensor& tokens) {
    const auto split = [&](const at::Tensor& x) { return x.unflatten(2, {heads_, -1}).transpose(1, 2); };
    const auto mixed = at::scaled_dot_product_attention(
        split(q_proj_->forward(groups)), split(k_proj_->forward(tokens)), split(v_proj_->forward(tokens)));
    return proj_->forward(mixed.transpose(1, 2).flatten(2));
  }

 private:
  int64_t heads_;
  torch::nn::Linear q_proj_, k_proj_, v_proj_, proj_;
};

struct Grouped {
  at::Tensor tokens;      // [B, G, D]
  at::Tensor assignment;  // [B, G, N], adds up to 1 over the groups of each token
};

// Gives each token to one group (section 3.2.2): A = softmax over groups of (q_g · k_n / √D + noise), rounded to the
// greatest with the gradient of A itself; a group's update is the sum of its tokens' values over their number plus 1.
class Assignment : public torch::nn::Module {
 public:
  explicit Assignment(int64_t width)
      : q_proj_(register_module("q_proj", linear(width, width))),
        k_proj_(register_module("k_proj", linear(width, width))),
        v_proj_(register_module("v_proj", linear(width, width))),
        proj_(register_module("proj", linear(width, width))) {}

  Grouped forward(const at::Tensor& groups, const at::Tensor& tokens) {
    const double scale = 1 / std::sqrt(static_cast<double>(groups.size(2)));
    const auto logits =
        full_precision(at::bmm(q_proj_->forward(groups), k_proj_->forward(tokens).transpose(1, 2))) * scale;
    const auto chosen = hard(is_training() ? logits + gumbel_like(logits) : logits);  // [B, G, N]
    const auto weights = chosen / (chosen.sum(2, /*keepdim=*/true) + 1);
    const auto values = v_proj_->forward(tokens);
    return {proj_->forward(at::bmm(weights.to(values.scalar_type()), values)), logits.softmax(1)};
  }

 private:
  // Gumbel(0, 1), whose addition makes the greatest logit a draw from the softmax.
  static at::Tensor gumbel_like(const at::Tensor& logits) {
    constexpr double kMargin = 1e-7;
    return -at::log(-at::log(at::rand_like(logits).clamp(kMargin, 1 - kMargin)));
  }

  static at::Tensor hard(const at::Tensor& logits) {
    const auto soft = logits.softmax(1);
    const auto rounded = at::zeros_like(soft).scatter_(1, soft.argmax(1, /*keepdim=*/true), 1.0);
    return rounded - soft.detach() + soft;
  }

  torch::nn::Linear q_proj_, k_proj_, v_proj_, proj_;
};

// The grouping block at the end of a stage.
class GroupingBlock : public torch::nn::Module {
 public:
  GroupingBlock(int64_t width, int64_t heads, int64_t groups)
      : norm_tokens_(register_module("norm_tokens", layer_norm(width))),
        mlp_inter_(register_module("mlp_inter", std::make_shared<TokenMixer>(groups, width / 2, groups))),
        norm_post_tokens_(register_module("norm_post_tokens", layer_norm(width))),
        norm_x_(register_module("norm_x", layer_norm(width))),
        attn_(register_module("attn", std::make_shared<CrossAttention>(width, heads))),
        norm_mlp_(register_module("norm_mlp", layer_norm(width))),
        mlp_(register_module("mlp", std::make_shared<Mlp>(width, 4 * width))),
        norm_post_(register_module("norm_post", layer_norm(width))),
        assign_(register_module("assign", std::make_shared<Assignment>(width))),
        norm_new_x_(register_module("norm_new_x", layer_norm(width))),
        mlp_channels_(register_module("mlp_channels", std::make_shared<Mlp>(width, 4 * width))) {}

  // tokens: [B, N, D], groups: [B, G, D].
  Grouped forward(const at::Tensor& tokens, const at::Tensor& groups) {
    const auto x = norm_x_->forward(tokens);
    auto g = norm_post_tokens_->forward(mlp_inter_->forward(norm_tokens_->forward(groups)));
    g = g + attn_->forward(g, x);
    g = norm_post_->forward(g + mlp_->forward(norm_mlp_->forward(g)));
    auto grouped = assign_->forward(g, x);
    g = grouped.tokens + g;
    grouped.tokens = g + mlp_channels_->forward(norm_new_x_->forward(g));
    return grouped;
  }

 private:
  torch::nn::LayerNorm norm_tokens_;
  std::shared_ptr<TokenMixer> mlp_inter_;
  torch::nn::LayerNorm norm_post_tokens_;
  torch::nn::LayerNorm norm_x_;
  std::shared_ptr<CrossAttention> attn_;
  torch::nn::LayerNorm norm_mlp_;
  std::shared_ptr<Mlp> mlp_;
  torch::nn::LayerNorm norm_post_;
  std::shared_ptr<Assignment> assign_;
  torch::nn::LayerNorm norm_new_x_;
  std::shared_ptr<Mlp> mlp_channels_;
};

// Transformer blocks over tokens and group tokens, then the grouping block. Group tokens of a later stage start from
// those of the stage before.
class GroupingStage : public torch::nn::Module {
 public:
  // groups 0: the last stage, without grouping. groups_before 0: the first stage.
  GroupingStage(const TransformerShape& shape, int64_t groups, int64_t groups_before) {
    transformer_ = register_module("transformer", std::make_shared<Transformer>(shape));
    if (groups == 0) return;
    group_token_ = register_parameter("group_token", at::zeros({groups, shape.width}));
    if (groups_before == 0) {
      torch::nn::init::normal_(group_token_, 0, kTokenStd);
    } else {
      projector_norm_ = register_module("projector_norm", layer_norm(shape.width));
      projector_ = register_module("projector", std::make_shared<TokenMixer>(groups_before, shape.width / 2, groups));
    }
    grouping_ = register_module("grouping", std::make_shared<GroupingBlock>(shape.width, shape.heads, groups));
  }

  // tokens: [B, N, D]; groups: the group tokens of the stage before ([B, G', D]), overwritten by this stage's. Without
  // grouping, the assignment is undefined.
  Grouped forward(const at::Tensor& tokens, at::Tensor& groups) {
    if (!grouping_) return {transformer_->forward(tokens, /*causal=*/false), {}};
    auto own = group_token_.to(tokens.scalar_type()).expand({tokens.size(0), -1, -1});  // [B, G, D]
    if (projector_) own = own + projector_->forward(projector_norm_->forward(groups));
    const auto all = transformer_->forward(at::cat({tokens, own}, 1), /*causal=*/false);
    groups = all.slice(1, tokens.size(1));
    return grouping_->forward(all.slice(1, 0, tokens.size(1)), groups);
  }

 private:
  std::shared_ptr<Transformer> transformer_;
  at::Tensor group_token_;  // [G, D]
  torch::nn::LayerNorm projector_norm_{nullptr};
  std::shared_ptr<TokenMixer> projector_;
  std::shared_ptr<GroupingBlock> grouping_;
};

// A patch token, for segmentation, is the mean of the last groups' tokens weighted by how much the patch belongs to
// each, through all stages.
class GroupVit : public ImageBackbone {
 public:
  explicit GroupVit(const ImageBackboneContext& context)
      : width_(context.options[kWidth]),
        patch_(context.options[kPatch]),
        side_(patches_along(context.image_size, patch_, "groupvit")),
        interpolation_(side_) {
    const auto& options = context.options;
    const auto depths = parse_stages(options[kDepths], "groupvit", "depths");
    auto groups = parse_stages(options[kGroups], "groupvit", "groups");
    if (groups.size() + 1 != depths.size())
      throw Error(
          fmt::format("backbone \"groupvit\": groups has {} numbers for {} stages; every stage but the last has "
                      "group tokens, so give one number less than depths has",
                      groups.size(), depths.size()));
    groups.push_back(0);

    conv1_ = register_module("conv1", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, width_, patch_).stride(patch_)));
    patch_norm_ = register_module("patch_norm", layer_norm(width_));
    positional_embedding_ = register_parameter(
        "positional_embedding", torch::nn::init::normal_(at::empty({side_ * side_, width_}), 0, kTokenStd));
    register_module("stages", stages_);
    for (std::size_t i = 0; i < depths.size(); ++i) {
      const TransformerShape shape{.width = width_, .layers = depths[i], .heads = options[kHeads]};
      check_shape(shape, "groupvit");
      stages_->push_back(std::make_shared<GroupingStage>(shape, groups[i], i > 0 ? groups[i - 1] : 0));
    }
    norm_ = register_module("norm", layer_norm(width_));
  }

  ImageFeatures forward(const at::Tensor& images) override { return encode(images, embed(images)); }

  ImageFeatures forward_masked(const at::Tensor& images, const at::Tensor& mask,
                               const at::Tensor& mask_token) override {
    return encode(images, mask_patches(embed(images), mask, mask_token));
  }

  [[nodiscard]] PatchGrid patch_grid(int64_t height, int64_t width) const override {
    return {patches_along(height, patch_, "groupvit"), patches_along(width, patch_, "groupvit")};
  }

  [[nodiscard]] int64_t width() const override { return width_; }

 private:
  at::Tensor embed(const at::Tensor& images) {
    static_cast<void>(patch_grid(images.size(2), images.size(3)));  // refuses other sizes
    return patch_norm_->forward(project_patches(images, conv1_->weight, conv1_->bias));
  }

  ImageFeatures encode(const at::Tensor& images, const at::Tensor& patches) {
    const auto height = images.size(2) / patch_, width = images.size(3) / patch_;
    auto x = patches + interpolation_.resample(positional_embedding_, height, width).to(patches.scalar_type());
    at::Tensor groups, belongs;  // [B, G, D], [B, N, G]
    for (const auto& stage : *stages_) {
      const auto grouped = stage->as<GroupingStage>()->forward(x, groups);
      x = grouped.tokens;
      if (!grouped.assignment.defined()) continue;
      const auto step = grouped.assignment.transpose(1, 2);
      belongs = belongs.defined() ? at::bmm(belongs, step) : step;
    }
    x = norm_->forward(x);  // [B, G, D]
    return {x.mean(1), at::bmm(belongs.to(x.scalar_type()), x), height, width};
  }

  int64_t width_;
  int64_t patch_;
  int64_t side_;  // of the trained grid of patches
  GridInterpolation interpolation_;
  torch::nn::Conv2d conv1_{nullptr};
  torch::nn::LayerNorm patch_norm_{nullptr};
  at::Tensor positional_embedding_;  // [N, D]
  torch::nn::ModuleList stages_;
  torch::nn::LayerNorm norm_{nullptr};
};

}  // namespace

SILC_IMAGE_BACKBONE(groupvit, GroupVit, 1, "GroupViT: group tokens that gather the patches of objects", kWidth, kHeads,
                    kPatch, kDepths, kGroups);

}  // namespace silc::backbones::groupvit
