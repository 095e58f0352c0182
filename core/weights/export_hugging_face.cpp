// A folder of Hugging Face's transformers: config.json, model.safetensors and preprocessor_config.json, of a CLIPModel
// or, for a tower that pools by attention, a SiglipModel (models/{clip,siglip}/modeling_*.py).
#include <fmt/format.h>

#include "weights/export_builder.h"

namespace silc {
namespace {

using Json = nlohmann::ordered_json;

const ExportedBlockNames kBlocks{.norm_1 = "layer_norm1",
                                 .out = "self_attn.out_proj",
                                 .norm_2 = "layer_norm2",
                                 .hidden = "mlp.fc1",
                                 .hidden_out = "mlp.fc2",
                                 .projections = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}};

class HuggingFaceExport {
 public:
  HuggingFaceExport(const ModelFile& file, const ExportRequest& request)
      : builder_(file, request, "Hugging Face's transformers"),
        siglip_(builder_.text_setting("image", "pooling", "cls") == "map"),
        model_(siglip_ ? "SiglipModel" : "CLIPModel") {}

  ModelExport plan() {
    builder_.planned().weights = "model.safetensors";
    builder_.planned().metadata = {{"format", "pt"}};
    check_towers(builder_);
    check_settings();
    export_image();
    export_text();
    export_temperature();
    export_tokenizer(builder_);
    builder_.add_json("config.json", config());
    builder_.add_json("preprocessor_config.json", preprocessing());
    return builder_.finish();
  }

 private:
  [[nodiscard]] std::string why(const std::string& what) const { return fmt::format("a {} {}", model_, what); }

  void check_settings() {
    builder_.require("image", "layer_scale", 0.0, 0.0, why("has no LayerScale"));
    builder_.require("image", "qk_norm", false, false, why("has no norms of queries and keys"));
    builder_.require<std::string>("image", "sub_norm", "none", "none", why("has no norms within its blocks"));
    const std::string pooling = builder_.text_setting("image", "pooling", "cls");
    if (siglip_) {
      builder_.require("image", "pre_norm", false, true, why("has no norm before the first block"));
      builder_.require<std::string>("text", "mask", "bidirectional", "causal",
                                    why("has texts see all of their tokens"));
      builder_.require<std::string>("text", "pooling", "last", "eot", why("reads texts out at the last token"));
      if (builder_.has("model.image.projection_bias"))
        builder_.refuse("image", "projection_bias", why("has no projection of pictures"));
      if (!is_identity(builder_, "image"))
        builder_.refuse(fmt::format(
            "model.image.projection: {}, and this one is no identity matrix; --format open_clip has a place "
            "for it where timm knows the tower by name",
            why("has no projection of pictures")));
      builder_.drop("model.image.projection");
      return;
    }
    if (pooling != "cls")
      builder_.refuse("image", "pooling", why("pools at the class token; SiglipModel by attention, \"map\""));
    builder_.require("image", "pre_norm", true, true, why("has a norm before the first block"));
    builder_.require("image", "patch_bias", false, false, why("has no bias of patches"));
    for (const std::string tower : {"image", "text"})
      builder_.require(tower, "projection_bias", false, false, why("has projections without bias"));
    builder_.require<std::string>("text", "mask", "causal", "causal", why("has texts see the tokens before alone"));
    builder_.require<std::string>("text", "pooling", "eot", "eot", why("reads texts out at the end token"));
  }

  void export_image() {
    const std::string from = "model.image.backbone.", to = "vision_model.";
    builder_.copy(to + "embeddings.patch_embedding.weight", from + "conv1.weight");
    if (builder_.has(from + "conv1.bias") && siglip_)
      builder_.copy(to + "embeddings.patch_embedding.bias", from + "conv1.bias");
    else if (siglip_)
      builder_.zeros(to + "embeddings.patch_embedding.bias", {builder_.shape(from + "conv1.weight").at(0)});
    if (builder_.has(from + "positional_embedding"))
      builder_.copy(to + "embeddings.position_embedding.weight", from + "positional_embedding");
    if (!siglip_ && builder_.has(from + "class_embedding"))
      builder_.copy(to + "embeddings.class_embedding", from + "class_embedding");
    if (!siglip_ && builder_.has(from + "ln_pre.weight")) export_layer(builder_, to + "pre_layrnorm", from + "ln_pre");
    export_blocks(builder_, to + "encoder.layers", from + "transformer.resblocks",
                  builder_.setting<int64_t>("image", "layers", 12), kBlocks);
    export_layer(builder_, to + "post_layernorm", from + "ln_post");
    if (siglip_)
      export_attention_pool(to + "head.", from + "attn_pool.");
    else
      builder_.transpose("visual_projection.weight", "model.image.projection");
  }

  // torch's MultiheadAttention, whose query is `probe`.
  void export_attention_pool(const std::string& to, const std::string& from) {
    builder_.copy(to + "probe", from + "latent");
    for (const std::string part : {"weight", "bias"})
      builder_.stack(to + "attention.in_proj_" + part, {from + "q." + part, from + "kv." + part});
    export_layer(builder_, to + "attention.out_proj", from + "proj");
    export_layer(builder_, to + "layernorm", from + "norm");
    export_layer(builder_, to + "mlp.fc1", from + "mlp.c_fc");
    export_layer(builder_, to + "mlp.fc2", from + "mlp.c_proj");
  }

  void export_text() {
    const std::string from = "model.text.backbone.", to = "text_model.";
    builder_.copy(to + "embeddings.token_embedding.weight", from + "token_embedding.weight");
    builder_.copy(to + "embeddings.position_embedding.weight", from + "positional_embedding");
    export_blocks(builder_, to + "encoder.layers", from + "transformer.resblocks",
                  builder_.setting<int64_t>("text", "layers", 12), kBlocks);
    export_layer(builder_, to + "final_layer_norm", from + "ln_final");
    if (!siglip_) {
      builder_.transpose("text_projection.weight", "model.text.projection");
      return;
    }
    builder_.transpose(to + "head.weight", "model.text.projection");
    if (builder_.has("model.text.projection_bias"))
      builder_.copy(to + "head.bias", "model.text.projection_bias");
    else
      builder_.zeros(to + "head.bias", {builder_.embed_dim()});
  }

  void export_temperature() {
    const std::vector<int64_t> shape = siglip_ ? std::vector<int64_t>{1} : std::vector<int64_t>{};
    if (const auto scale = builder_.of_objective("logit_scale")) {
      builder_.copy("logit_scale", *scale, shape);
    } else {
      builder_.zeros("logit_scale", shape);
      builder_.remark("the objective has no temperature: logit_scale is 0, so that logits are cosines");
    }
    const auto bias = builder_.of_objective("logit_bias");
    if (siglip_ && bias)
      builder_.copy("logit_bias", *bias, shape);
    else if (siglip_)
      builder_.zeros("logit_bias", shape);
    else if (bias)
      builder_.remark(
          fmt::format("a CLIPModel has no logit_bias: its logits are those of silc less {:.4g}, its features "
                      "the same",
                      builder_.values(*bias).values.at(0)));
  }

  [[nodiscard]] Json tower_config(const std::string& tower, const std::string& blocks, int64_t layers,
                                  int64_t heads) const {
    const auto& hidden = builder_.shape(blocks + "0.mlp.c_fc.weight");
    const std::string mlp = builder_.text_setting(tower, "mlp", "gelu");
    return {{"hidden_size", hidden.at(1)},
            {"intermediate_size", hidden.at(0)},
            {"num_hidden_layers", layers},
            {"num_attention_heads", heads},
            {"hidden_act", mlp == "gelu_tanh" ? "gelu_pytorch_tanh" : mlp},
            {"layer_norm_eps", builder_.setting(tower, "norm_eps", 1e-5)},
            {"attention_dropout", 0.0}};
  }

  [[nodiscard]] Json config() const {
    const std::string family = siglip_ ? "siglip" : "clip";
    Json vision = {{"model_type", family + "_vision_model"},
                   {"image_size", builder_.setting<int64_t>("image", "image_size", 64)},
                   {"patch_size", builder_.setting<int64_t>("image", "patch", 16)},
                   {"num_channels", 3}};
    vision.update(tower_config("image", "model.image.backbone.transformer.resblocks.",
                               builder_.setting<int64_t>("image", "layers", 12),
                               builder_.setting<int64_t>("image", "heads", 12)));
    const auto& embedding = builder_.shape("model.text.backbone.token_embedding.weight");
    Json text = {{"model_type", family + "_text_model"},
                 {"vocab_size", embedding.at(0)},
                 {"max_position_embeddings", builder_.shape("model.text.backbone.positional_embedding").at(0)}};
    text.update(tower_config("text", "model.text.backbone.transformer.resblocks.",
                             builder_.setting<int64_t>("text", "layers", 12),
                             builder_.setting<int64_t>("text", "heads", 8)));
    const int64_t end = end_id(builder_);
    text.update({{"bos_token_id", start_id(builder_)}, {"eos_token_id", end}, {"pad_token_id", padding_id(builder_)}});
    const int64_t width = builder_.embed_dim();
    if (siglip_)
      text["projection_size"] = width;
    else
      vision["projection_dim"] = text["projection_dim"] = width;
    Json config = {{"architectures", Json::array({model_})}, {"model_type", family}};
    if (!siglip_) config["projection_dim"] = width;
    config.update({{"dtype", "float32"}, {"torch_dtype", "float32"}});
    config["text_config"] = std::move(text);
    config["vision_config"] = std::move(vision);
    return config;
  }

  [[nodiscard]] Json preprocessing() const {
    const Preprocessing chosen = preprocessing_of(builder_);
    const auto size = builder_.setting<int64_t>("image", "image_size", 64);
    const Json square = {{"height", size}, {"width", size}};
    const bool shortest = chosen.resize_mode == "shortest";
    // SiglipImageProcessor does not crop.
    Json settings = {{"image_processor_type", siglip_ && !shortest ? "SiglipImageProcessor" : "CLIPImageProcessor"},
                     {"do_convert_rgb", true},
                     {"do_resize", true},
                     {"size", shortest ? Json{{"shortest_edge", size}} : square},
                     {"resample", chosen.interpolation == "bilinear" ? 2 : 3},
                     {"do_center_crop", shortest}};
    if (shortest) settings["crop_size"] = square;
    settings.update({{"do_rescale", true},
                     {"rescale_factor", 1.0 / 255},
                     {"do_normalize", true},
                     {"image_mean", chosen.mean},
                     {"image_std", chosen.std}});
    return settings;
  }

  ExportBuilder builder_;
  bool siglip_;
  std::string model_;
};

}  // namespace

ModelExport export_hugging_face(const ModelFile& file, const ExportRequest& request) {
  return HuggingFaceExport(file, request).plan();
}

}  // namespace silc
