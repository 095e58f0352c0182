// open_clip's folder: open_clip_config.json and open_clip_model.safetensors (src/open_clip/{factory,model}.py, 3.3),
// read by create_model_and_transforms("local-dir:FOLDER"). Image towers are its own vision transformer, or of those
// that silc has beside that, the vision transformers that timm knows by name.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <optional>

#include "weights/export_builder.h"

namespace silc {
namespace {

using Json = nlohmann::ordered_json;

const ExportedBlockNames kTimmBlocks{.norm_1 = "norm1",
                                     .out = "attn.proj",
                                     .norm_2 = "norm2",
                                     .hidden = "mlp.fc1",
                                     .hidden_out = "mlp.fc2",
                                     .projections = {},
                                     .joined = "attn.qkv."};

// timm's vision transformers of SigLIP (timm 1.0: vision_transformer.py), "vit_NAME_siglip_SIZE" and, of those that
// take the mean of the patches, "vit_NAME_siglip_gap_SIZE".
struct TimmVit {
  std::string_view name;
  int64_t width, layers, heads, hidden, patch;
  std::vector<int64_t> sizes, gap_sizes;
  std::vector<int64_t> tanh_sizes;  // whose MLPs have GELU approximated by tanh
};

const std::vector<TimmVit>& timm_vits() {
  static const std::vector<TimmVit> kVits = {
      {"base_patch32", 768, 12, 12, 3072, 32, {256}, {256}, {256}},
      {"base_patch16", 768, 12, 12, 3072, 16, {224, 256, 384, 512}, {224, 256, 384, 512}, {}},
      {"large_patch16", 1024, 24, 16, 4096, 16, {256, 384, 512}, {256, 384, 512}, {512}},
      {"so400m_patch14", 1152, 27, 16, 4304, 14, {224, 378}, {224, 378, 448, 896}, {}},
      {"so400m_patch16", 1152, 27, 16, 4304, 16, {256, 384, 512}, {256, 384, 512}, {256, 384, 512}},
      {"giantopt_patch16", 1536, 40, 16, 6144, 16, {256, 384}, {256, 384}, {256, 384}}};
  return kVits;
}

bool contains(const std::vector<int64_t>& numbers, int64_t number) {
  return std::find(numbers.begin(), numbers.end(), number) != numbers.end();
}

// open_clip cuts width · ratio down to a whole number.
double mlp_ratio(int64_t hidden, int64_t width) {
  double ratio = static_cast<double>(hidden) / static_cast<double>(width);
  while (static_cast<int64_t>(static_cast<double>(width) * ratio) < hidden) ratio = std::nextafter(ratio, 2 * ratio);
  return ratio;
}

class OpenClipExport {
 public:
  OpenClipExport(const ModelFile& file, const ExportRequest& request) : builder_(file, request, "open_clip") {}

  ModelExport plan() {
    builder_.planned().weights = "open_clip_model.safetensors";
    builder_.planned().metadata = {{"format", "pt"}};
    check_towers(builder_);
    const std::string pooling = builder_.text_setting("image", "pooling", "cls");
    const bool trunk = pooling == "map" || (pooling == "mean" && !builder_.setting("image", "class_token", false));
    Json model = {{"embed_dim", builder_.embed_dim()}};
    if (quick("image") || quick("text")) model["quick_gelu"] = true;
    if (const auto bias = builder_.of_objective("logit_bias"))
      model["init_logit_bias"] = static_cast<double>(builder_.values(*bias).values.at(0));
    if (trunk) model["custom_text"] = true;
    model["vision_cfg"] = trunk ? trunk_settings(pooling) : vit_settings(pooling);
    model["text_cfg"] = text_settings(trunk ? "text." : "");
    export_temperature();
    const Json config = {{"model_cfg", std::move(model)}, {"preprocess_cfg", preprocessing()}};
    builder_.add_json("open_clip_config.json", config);
    return builder_.finish();
  }

 private:
  [[nodiscard]] bool quick(const std::string& tower) const {
    return builder_.text_setting(tower, "mlp", "gelu") == "quick_gelu";
  }

  // Width, layers, MLP, norms and activation of a tower of open_clip's own.
  void add_shape(Json& settings, const std::string& tower, const std::string& blocks, int64_t width, int64_t heads,
                 double eps) {
    settings["width"] = width;
    settings["layers"] = builder_.setting<int64_t>(tower, "layers", 12);
    if (tower == "image")
      settings["head_width"] = width / heads;
    else
      settings["heads"] = heads;
    settings["mlp_ratio"] = mlp_ratio(builder_.shape(blocks + "0.mlp.c_fc.weight").at(0), width);
    if (builder_.text_setting(tower, "mlp", "gelu") == "gelu_tanh") settings["act_kwargs"] = {{"approximate", "tanh"}};
    if (eps != 1e-5) settings["norm_kwargs"] = {{"eps", eps}};
  }

  Json vit_settings(const std::string& pooling) {
    const std::string why = "open_clip's own vision transformer has none";
    builder_.require("image", "patch_bias", false, false, why);
    builder_.require("image", "projection_bias", false, false, why);
    if (quick("image") != quick("text"))
      builder_.refuse("image", "mlp", "open_clip's quick_gelu holds for both towers, and here they differ");
    const std::string backbone = "model.image.backbone.";
    const auto width = builder_.setting<int64_t>("image", "width", 768);
    Json settings = {{"image_size", builder_.setting<int64_t>("image", "image_size", 64)},
                     {"patch_size", builder_.setting<int64_t>("image", "patch", 16)}};
    add_shape(settings, "image", backbone + "transformer.resblocks.", width,
              builder_.setting<int64_t>("image", "heads", 12), builder_.setting("image", "norm_eps", 1e-5));
    if (pooling == "mean") settings["pool_type"] = "avg";
    if (!builder_.setting("image", "pre_norm", true)) settings["no_ln_pre"] = true;
    if (const double scale = builder_.setting("image", "layer_scale", 0.0); scale != 0)
      settings["ls_init_value"] = scale;
    if (builder_.setting("image", "qk_norm", false)) settings["qk_norm"] = true;
    const std::string norms = builder_.text_setting("image", "sub_norm", "none");
    if (norms == "all") settings["scale_attn_inner"] = true;
    if (norms != "none") settings["scale_fc"] = true;
    for (const std::string& name : builder_.below(backbone)) {
      if (name == "conv1.bias") continue;
      const std::size_t norm = name.find(".mlp.ln_inner.");
      builder_.copy("visual." + (norm == std::string::npos ? name : std::string(name).replace(norm, 14, ".mlp.ln.")),
                    backbone + name);
    }
    builder_.copy("visual.proj", "model.image.projection");
    return settings;
  }

  [[nodiscard]] std::optional<std::string> timm_name(const std::string& pooling, int64_t hidden) const {
    const auto number = [&](const std::string& key, int64_t standard) {
      return builder_.setting<int64_t>("image", key, standard);
    };
    const int64_t size = number("image_size", 64);
    const std::string mlp = builder_.text_setting("image", "mlp", "gelu");
    for (const TimmVit& vit : timm_vits()) {
      const bool same = number("width", 768) == vit.width && number("layers", 12) == vit.layers &&
                        number("heads", 12) == vit.heads && hidden == vit.hidden && number("patch", 16) == vit.patch;
      if (same && contains(pooling == "map" ? vit.sizes : vit.gap_sizes, size) &&
          mlp == (contains(vit.tanh_sizes, size) ? "gelu_tanh" : "gelu"))
        return fmt::format("vit_{}_siglip_{}{}", vit.name, pooling == "map" ? "" : "gap_", size);
    }
    return std::nullopt;
  }

  Json trunk_settings(const std::string& pooling) {
    const std::string backbone = "model.image.backbone.", trunk = "visual.trunk.";
    const std::string why = "timm's vision transformers of SigLIP, which open_clip takes for this pooling, have none";
    builder_.require("image", "pre_norm", false, true, why);
    builder_.require("image", "layer_scale", 0.0, 0.0, why);
    builder_.require("image", "qk_norm", false, false, why);
    builder_.require<std::string>("image", "sub_norm", "none", "none", why);
    builder_.require("image", "norm_eps", 1e-6, 1e-5, "timm's vision transformers have 1e-6");
    const int64_t hidden = builder_.shape(backbone + "transformer.resblocks.0.mlp.c_fc.weight").at(0);
    const auto name = timm_name(pooling, hidden);
    if (!name)
      builder_.refuse("image", "pooling",
                      "open_clip takes vision transformers with this pooling from timm by name, and timm has none of "
                      "this width, depth, heads, MLP, patch and image_size");
    const auto width = builder_.setting<int64_t>("image", "width", 768);
    builder_.copy(trunk + "patch_embed.proj.weight", backbone + "conv1.weight");
    if (builder_.has(backbone + "conv1.bias"))
      builder_.copy(trunk + "patch_embed.proj.bias", backbone + "conv1.bias");
    else
      builder_.zeros(trunk + "patch_embed.proj.bias", {width});
    if (builder_.has(backbone + "positional_embedding")) {
      const auto& positions = builder_.shape(backbone + "positional_embedding");
      builder_.copy(trunk + "pos_embed", backbone + "positional_embedding", {1, positions.at(0), positions.at(1)});
    }
    export_blocks(builder_, trunk + "blocks", backbone + "transformer.resblocks",
                  builder_.setting<int64_t>("image", "layers", 12), kTimmBlocks);
    export_layer(builder_, trunk + "norm", backbone + "ln_post");
    if (pooling == "map") {
      const std::string pool = backbone + "attn_pool.", other = trunk + "attn_pool.";
      builder_.copy(other + "latent", pool + "latent");
      for (const std::string part : {"q", "kv", "proj", "norm"}) export_layer(builder_, other + part, pool + part);
      export_layer(builder_, other + "mlp.fc1", pool + "mlp.c_fc");
      export_layer(builder_, other + "mlp.fc2", pool + "mlp.c_proj");
    }
    Json settings = {{"image_size", builder_.setting<int64_t>("image", "image_size", 64)},
                     {"timm_model_name", name.value_or("")},
                     {"timm_model_pretrained", false},
                     {"timm_pool", pooling == "map" ? "map" : "avg"}};
    const bool bias = builder_.has("model.image.projection_bias");
    if (!bias && is_identity(builder_, "image")) {
      settings["timm_proj"] = "none";
      builder_.drop("model.image.projection");
    } else {
      settings["timm_proj"] = "linear";
      settings["timm_proj_bias"] = bias;
      builder_.transpose("visual.head.proj.weight", "model.image.projection");
      if (bias) builder_.copy("visual.head.proj.bias", "model.image.projection_bias");
    }
    return settings;
  }

  Json text_settings(const std::string& to) {
    const std::string backbone = "model.text.backbone.";
    const auto& embedding = builder_.shape(backbone + "token_embedding.weight");
    Json settings = {{"context_length", builder_.shape(backbone + "positional_embedding").at(0)},
                     {"vocab_size", embedding.at(0)}};
    add_shape(settings, "text", backbone + "transformer.resblocks.", embedding.at(1),
              builder_.setting<int64_t>("text", "heads", 8), builder_.setting("text", "norm_eps", 1e-5));
    if (builder_.text_setting("text", "mask", "causal") == "bidirectional") settings["no_causal_mask"] = true;
    const int64_t end = end_id(builder_);
    if (builder_.text_setting("text", "pooling", "eot") == "last")
      settings["pool_type"] = "last";
    else if (end != embedding.at(0) - 1)
      settings.update({{"pool_type", "eos"}, {"eos_id", end}});
    for (const std::string& name : builder_.below(backbone)) builder_.copy(to + name, backbone + name);
    if (builder_.has("model.text.projection_bias")) {
      settings["proj_bias"] = true;
      builder_.transpose(to + "text_projection.weight", "model.text.projection");
      builder_.copy(to + "text_projection.bias", "model.text.projection_bias");
    } else {
      builder_.copy(to + "text_projection", "model.text.projection");
    }
    settings.update(export_tokenizer(builder_));
    return settings;
  }

  void export_temperature() {
    if (const auto scale = builder_.of_objective("logit_scale")) {
      builder_.copy("logit_scale", *scale, {});
    } else {
      builder_.zeros("logit_scale", {});
      builder_.remark("the objective has no temperature: logit_scale is 0, so that logits are cosines");
    }
    if (const auto bias = builder_.of_objective("logit_bias")) builder_.copy("logit_bias", *bias, {});
  }

  Json preprocessing() {
    const Preprocessing chosen = preprocessing_of(builder_);
    return {{"size", builder_.setting<int64_t>("image", "image_size", 64)},
            {"mode", "RGB"},
            {"mean", chosen.mean},
            {"std", chosen.std},
            {"interpolation", chosen.interpolation},
            {"resize_mode", chosen.resize_mode},
            {"fill_color", 0}};
  }

  ExportBuilder builder_;
};

}  // namespace

ModelExport export_open_clip(const ModelFile& file, const ExportRequest& request) {
  return OpenClipExport(file, request).plan();
}

}  // namespace silc
