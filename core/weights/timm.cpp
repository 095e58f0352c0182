// Vision transformers with timm's names (timm/models/vision_transformer.py), which DINO's and DINOv2's authors use too.
#include <fmt/format.h>

#include <optional>

#include "weights/model_builder.h"

namespace silc {
namespace {

const BlockNames kBlocks{.norm_1 = "norm1",
                         .query = "",
                         .key = "",
                         .value = "",
                         .out = "attn.proj",
                         .norm_2 = "norm2",
                         .hidden = "mlp.fc1",
                         .hidden_out = "mlp.fc2",
                         .scale_1 = "ls1.gamma",
                         .scale_2 = "ls2.gamma",
                         .joined = "attn.qkv.",
                         .gated = "mlp.w12",
                         .gated_out = "mlp.w3"};

// timm's attention pooling, SigLIP's.
void add_attention_pool(ModelBuilder& builder, const std::string& to, const std::string& from, int64_t width) {
  builder.add(to + "latent", from + "latent", {1, 1, width});
  add_linear(builder, to + "q", from + "q", width, width);
  add_linear(builder, to + "kv", from + "kv", 2 * width, width);
  add_linear(builder, to + "proj", from + "proj", width, width);
  add_norm(builder, to + "norm", from + "norm", width);
  const int64_t hidden = builder.extent(from + "mlp.fc1.weight", 0);
  add_linear(builder, to + "mlp.c_fc", from + "mlp.fc1", hidden, width);
  add_linear(builder, to + "mlp.c_proj", from + "mlp.fc2", width, hidden);
}

}  // namespace

int64_t add_timm_vit(ModelBuilder& builder, const std::string& from, const std::string& act) {
  const std::string to = "model.image.backbone.";
  const std::string patches = from + "patch_embed.proj.weight";
  const int64_t width = builder.extent(patches, 0), patch = builder.extent(patches, 3);
  nlohmann::json& image = builder.image();
  image = {{"backbone", "vit"}, {"width", width}, {"patch", patch}, {"norm_eps", 1e-6}};
  builder.add(to + "conv1.weight", patches, {width, 3, patch, patch});
  const bool bias = builder.has(from + "patch_embed.proj.bias");
  if (bias) builder.add(to + "conv1.bias", from + "patch_embed.proj.bias", {width});
  image["patch_bias"] = bias;

  const bool cls = builder.has(from + "cls_token");
  if (cls) builder.add(to + "class_embedding", from + "cls_token", {width});
  const std::string registers = from + (builder.has(from + "reg_token") ? "reg_token" : "register_tokens");
  if (builder.has(registers)) {
    image["registers"] = builder.extent(registers, 1);
    builder.add(to + "register_tokens", registers, {builder.extent(registers, 1), width});
  }
  const int64_t positions = builder.extent(from + "pos_embed", 1);
  const int64_t side = grid_side(positions - (cls ? 1 : 0), from + "pos_embed");
  builder.add(to + "positional_embedding", from + "pos_embed", {positions, width});
  image["image_size"] = side * patch;

  image["pre_norm"] = builder.has(from + "norm_pre.weight");
  if (image["pre_norm"]) add_norm(builder, to + "ln_pre", from + "norm_pre", width);
  const BlockShape blocks = add_blocks(builder, to + "transformer.resblocks", from + "blocks.", width, kBlocks);
  add_norm(builder, to + "ln_post", from + "norm", width);
  image["layers"] = blocks.layers;
  image["mlp_ratio"] = static_cast<double>(blocks.hidden) / static_cast<double>(width);
  if (blocks.scaled) image["layer_scale"] = 1.0;
  image["heads"] = usual_heads(builder, width, "image");
  if (blocks.gated)
    image["mlp"] = "swiglu";
  else if (!act.empty())
    image["mlp"] = act;
  else
    builder.ask("image.mlp",
                "the activation of the image tower's MLP: \"gelu\" for most of timm's, \"gelu_tanh\" for "
                "some of SigLIP's, \"quick_gelu\" for OpenAI's weights");
  const bool map = builder.has(from + "attn_pool.latent");
  if (map) add_attention_pool(builder, to + "attn_pool.", from + "attn_pool.", width);
  image["pooling"] = map ? "map" : cls ? "cls" : "mean";
  return width;
}

std::optional<ModelFile> read_timm(const std::filesystem::path& path, std::shared_ptr<const WeightsFile> weights) {
  std::string prefix;
  for (const std::string before : {"", "model.", "state_dict.", "teacher.", "teacher.backbone.", "module."})
    if (weights->tensors().contains(before + "patch_embed.proj.weight")) prefix = before;
  if (!weights->tensors().contains(prefix + "patch_embed.proj.weight")) return std::nullopt;
  ModelBuilder builder(path, std::move(weights));
  builder.set_prefix(prefix);
  add_timm_vit(builder, "", builder.has("ls1.gamma") || builder.has("blocks.0.ls1.gamma") ? "gelu" : "");
  set_preprocessing(builder.image(), {.mean = {0.485, 0.456, 0.406},
                                      .std = {0.229, 0.224, 0.225},
                                      .interpolation = "bicubic",
                                      .resize_mode = "shortest"});
  builder.assume("pictures are normalised as for ImageNet; model.image.mean and std say otherwise");
  // Of masked training, of classification, and beside the state dict.
  builder.leave_if([&](std::string_view name) {
    if (!name.starts_with(prefix)) return true;
    const std::string_view rest = name.substr(prefix.size());
    return rest == "mask_token" || rest.starts_with("head.") || rest.starts_with("dino_head") ||
           rest.starts_with("ibot_head");
  });
  return builder.finish("timm");
}

}  // namespace silc
