// Folders that transformers writes, of CLIP, SigLIP, SigLIP 2 and DINOv2: config.json beside the weights.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "silc/error.h"
#include "weights/model_builder.h"

namespace silc {
namespace {

using Json = nlohmann::json;

const BlockNames kClipBlocks{.norm_1 = "layer_norm1",
                             .query = "self_attn.q_proj",
                             .key = "self_attn.k_proj",
                             .value = "self_attn.v_proj",
                             .out = "self_attn.out_proj",
                             .norm_2 = "layer_norm2",
                             .hidden = "mlp.fc1",
                             .hidden_out = "mlp.fc2",
                             .scale_1 = "",
                             .scale_2 = ""};

const BlockNames kDinoBlocks{.norm_1 = "norm1",
                             .query = "attention.attention.query",
                             .key = "attention.attention.key",
                             .value = "attention.attention.value",
                             .out = "attention.output.dense",
                             .norm_2 = "norm2",
                             .hidden = "mlp.fc1",
                             .hidden_out = "mlp.fc2",
                             .scale_1 = "layer_scale1.lambda1",
                             .scale_2 = "layer_scale2.lambda1",
                             .gated = "mlp.weights_in",
                             .gated_out = "mlp.weights_out"};

class HuggingFace {
 public:
  HuggingFace(const std::filesystem::path& path, Json config, std::shared_ptr<const WeightsFile> weights)
      : folder_(path.parent_path()), config_(std::move(config)), builder_(path, std::move(weights)) {}

  ModelFile read(const std::string& type) {
    if (type == "clip")
      read_clip();
    else if (type == "siglip" || type == "siglip2")
      read_siglip(type == "siglip2" && builder_.dimensions("vision_model.embeddings.patch_embedding.weight") == 2);
    else
      read_dino();
    builder_.leave_if([](std::string_view name) { return name.ends_with("position_ids"); });
    return builder_.finish("Hugging Face's " + type);
  }

 private:
  // A setting of a tower's configuration, or the value that transformers has where it is not written.
  template <class T>
  [[nodiscard]] T setting(const std::string& tower, const std::string& key, T standard) const {
    const Json* table = &config_;
    if (!tower.empty()) {
      const auto found = config_.find(tower);
      if (found == config_.end() || !found->is_object()) return standard;
      table = &*found;
    }
    const auto found = table->find(key);
    if (found == table->end() || found->is_null()) return standard;
    try {
      return found->get<T>();
    } catch (const Json::exception&) {
      throw Error(fmt::format("{}: {} is {}, which is none of its values", (folder_ / "config.json").string(), key,
                              found->dump()));
    }
  }

  [[nodiscard]] std::string activation(const std::string& tower, const std::string& standard) const {
    const auto act = setting<std::string>(tower, "hidden_act", standard);
    if (act == "quick_gelu" || act == "gelu") return act;
    if (act == "gelu_pytorch_tanh" || act == "gelu_new") return "gelu_tanh";
    throw Error(fmt::format("{}: hidden_act \"{}\" is none that silc has: gelu, gelu_pytorch_tanh, quick_gelu",
                            (folder_ / "config.json").string(), act));
  }

  void set_shape(Json& tower, const BlockShape& blocks, int64_t width, const std::string& name, int64_t heads) const {
    tower["width"] = width;
    tower["layers"] = blocks.layers;
    tower["heads"] = checked_heads(setting(name, "num_attention_heads", heads), width,
                                   (folder_ / "config.json").string() + ": num_attention_heads");
    tower["mlp_ratio"] = static_cast<double>(blocks.hidden) / static_cast<double>(width);
  }

  void read_clip() {
    const std::string to = "model.image.backbone.", from = "vision_model.";
    const std::string patches = from + "embeddings.patch_embedding.weight";
    const int64_t width = builder_.extent(patches, 0), patch = builder_.extent(patches, 3);
    const std::string positions_name = from + "embeddings.position_embedding.weight";
    const int64_t positions = builder_.extent(positions_name, 0);
    Json& image = builder_.image();
    image = {{"backbone", "vit"},
             {"patch", patch},
             {"pooling", "cls"},
             {"pre_norm", true},
             {"norm_eps", setting("vision_config", "layer_norm_eps", 1e-5)},
             {"mlp", activation("vision_config", "quick_gelu")},
             {"image_size", grid_side(positions - 1, positions_name) * patch}};
    builder_.add(to + "conv1.weight", patches, {width, 3, patch, patch});
    builder_.add(to + "class_embedding", from + "embeddings.class_embedding", {width});
    builder_.add(to + "positional_embedding", positions_name, {positions, width});
    add_norm(builder_, to + "ln_pre", from + "pre_layrnorm", width);
    const BlockShape blocks =
        add_blocks(builder_, to + "transformer.resblocks", from + "encoder.layers.", width, kClipBlocks);
    add_norm(builder_, to + "ln_post", from + "post_layernorm", width);
    set_shape(image, blocks, width, "vision_config", 12);
    const int64_t embed_dim = builder_.extent("visual_projection.weight", 0);
    builder_.add_transposed("model.image.projection", "visual_projection.weight", {width, embed_dim});
    set_preprocessing(image, preprocessing(kClipPreprocessing));

    Json& text = builder_.text();
    const int64_t text_width = add_text_tower(text, 8);
    text["mask"] = "causal";
    text["pooling"] = "eot";
    text["norm_eps"] = setting("text_config", "layer_norm_eps", 1e-5);
    text["mlp"] = activation("text_config", "quick_gelu");
    builder_.add_transposed("model.text.projection", "text_projection.weight", {text_width, embed_dim});
    builder_.set_embed_dim(embed_dim);
    builder_.add_temperature("logit_scale", "logit_bias");
    constexpr int64_t kClipVocabulary = 49408;
    const int64_t vocabulary = builder_.extent("text_model.embeddings.token_embedding.weight", 0);
    if (vocabulary == kClipVocabulary)
      text["tokenizer"] = {{"tokenizer", "clip_bpe"}};
    else
      builder_.ask("text.tokenizer", fmt::format("the tokenizer that the text tower was trained with, of {} tokens, as "
                                                 "in {{ tokenizer = \"clip_bpe\", vocabulary = \"FILE\" }}",
                                                 vocabulary));
  }

  int64_t add_text_tower(Json& text, int64_t heads) {
    const std::string to = "model.text.backbone.", from = "text_model.";
    const int64_t vocabulary = builder_.extent(from + "embeddings.token_embedding.weight", 0);
    const int64_t width = builder_.extent(from + "embeddings.token_embedding.weight", 1);
    const int64_t length = builder_.extent(from + "embeddings.position_embedding.weight", 0);
    text = {{"backbone", "text_transformer"}, {"context_length", length}};
    builder_.add(to + "token_embedding.weight", from + "embeddings.token_embedding.weight", {vocabulary, width});
    builder_.add(to + "positional_embedding", from + "embeddings.position_embedding.weight", {length, width});
    const BlockShape blocks =
        add_blocks(builder_, to + "transformer.resblocks", from + "encoder.layers.", width, kClipBlocks);
    add_norm(builder_, to + "ln_final", from + "final_layer_norm", width);
    set_shape(text, blocks, width, "text_config", heads);
    return width;
  }

  // `flat`: SigLIP 2's towers for pictures of any shape (NaFlex), whose patches are flattened row by row, colours last,
  // before a linear layer. They are read as towers for square pictures.
  void read_siglip(bool flat) {
    const std::string to = "model.image.backbone.", from = "vision_model.";
    const std::string patches = from + "embeddings.patch_embedding";
    const int64_t width = builder_.extent(patches + ".weight", 0);
    const int64_t patch =
        flat ? setting("vision_config", "patch_size", int64_t{16}) : builder_.extent(patches + ".weight", 3);
    const std::string positions_name = from + "embeddings.position_embedding.weight";
    const int64_t positions = builder_.extent(positions_name, 0);
    Json& image = builder_.image();
    image = {{"backbone", "vit"},
             {"patch", patch},
             {"patch_bias", true},
             {"pooling", "map"},
             {"pre_norm", false},
             {"norm_eps", setting("vision_config", "layer_norm_eps", 1e-6)},
             {"mlp", activation("vision_config", "gelu_pytorch_tanh")},
             {"image_size", grid_side(positions, positions_name) * patch}};
    if (flat) {
      builder_.add(to + "conv1.weight", Recipe{.parts = {{.source = patches + ".weight",
                                                          .shape = {width, patch, patch, 3},
                                                          .permutation = {0, 3, 1, 2}}},
                                               .shape = {width, 3, patch, patch}});
      builder_.assume("pictures are squashed to a square, where SigLIP 2's NaFlex models can also keep their shape");
    } else {
      builder_.add(to + "conv1.weight", patches + ".weight", {width, 3, patch, patch});
    }
    builder_.add(to + "conv1.bias", patches + ".bias", {width});
    builder_.add(to + "positional_embedding", positions_name, {positions, width});
    const BlockShape blocks =
        add_blocks(builder_, to + "transformer.resblocks", from + "encoder.layers.", width, kClipBlocks);
    add_norm(builder_, to + "ln_post", from + "post_layernorm", width);
    set_shape(image, blocks, width, "vision_config", 12);
    add_attention_pool(to + "attn_pool.", from + "head.", width, blocks.hidden);
    builder_.add("model.image.projection", Recipe{.parts = {}, .shape = {width, width}});
    set_preprocessing(image, preprocessing(kHalfPreprocessing));

    Json& text = builder_.text();
    const int64_t text_width = add_text_tower(text, 12);
    text["mask"] = "bidirectional";
    text["pooling"] = "last";
    text["norm_eps"] = setting("text_config", "layer_norm_eps", 1e-6);
    text["mlp"] = activation("text_config", "gelu_pytorch_tanh");
    text["projection_bias"] = true;
    builder_.add_transposed("model.text.projection", "text_model.head.weight", {text_width, width});
    builder_.add("model.text.projection_bias", "text_model.head.bias", {width});
    builder_.set_embed_dim(width);
    builder_.add_temperature("logit_scale", "logit_bias");
    set_pieces(text);
  }

  // torch's MultiheadAttention, whose query is `probe`.
  void add_attention_pool(const std::string& to, const std::string& from, int64_t width, int64_t hidden) {
    builder_.add(to + "latent", from + "probe", {1, 1, width});
    for (const std::string kind : {"weight", "bias"}) {
      const bool weight = kind == "weight";
      const std::string source = from + "attention.in_proj_" + kind;
      const auto shape = [&](int64_t rows) { return weight ? std::vector{rows, width} : std::vector{rows}; };
      builder_.add(to + "q." + kind, Recipe{.parts = {{.source = source, .count = width}}, .shape = shape(width)});
      builder_.add(to + "kv." + kind, Recipe{.parts = {{.source = source, .begin = width, .count = 2 * width}},
                                             .shape = shape(2 * width)});
    }
    add_linear(builder_, to + "proj", from + "attention.out_proj", width, width);
    add_norm(builder_, to + "norm", from + "layernorm", width);
    add_linear(builder_, to + "mlp.c_fc", from + "mlp.fc1", hidden, width);
    add_linear(builder_, to + "mlp.c_proj", from + "mlp.fc2", width, hidden);
  }

  // The model of SentencePiece lies in the folder, or is asked for.
  void set_pieces(Json& text) {
    const int64_t vocabulary = builder_.extent("text_model.embeddings.token_embedding.weight", 0);
    text["tokenizer"] = {{"tokenizer", "sentencepiece"}, {"padding", vocabulary > 200'000 ? "model" : "end"}};
    for (const std::string name : {"spiece.model", "tokenizer.model"})
      if (std::filesystem::exists(folder_ / name)) {
        text["tokenizer"]["model"] = name;
        return;
      }
    builder_.ask("text.tokenizer.model",
                 fmt::format("the .model file of SentencePiece, of {} pieces; the folder has no spiece.model or "
                             "tokenizer.model",
                             vocabulary));
  }

  void read_dino() {
    if (builder_.has("dinov2.embeddings.cls_token")) builder_.set_prefix("dinov2.");
    const std::string to = "model.image.backbone.";
    const std::string patches = "embeddings.patch_embeddings.projection";
    const int64_t width = builder_.extent(patches + ".weight", 0), patch = builder_.extent(patches + ".weight", 3);
    const int64_t positions = builder_.extent("embeddings.position_embeddings", 1);
    Json& image = builder_.image();
    image = {{"backbone", "vit"},
             {"patch", patch},
             {"patch_bias", true},
             {"pooling", "cls"},
             {"pre_norm", false},
             {"norm_eps", setting("", "layer_norm_eps", 1e-6)},
             {"image_size", grid_side(positions - 1, "embeddings.position_embeddings") * patch}};
    builder_.add(to + "conv1.weight", patches + ".weight", {width, 3, patch, patch});
    builder_.add(to + "conv1.bias", patches + ".bias", {width});
    builder_.add(to + "class_embedding", "embeddings.cls_token", {width});
    builder_.add(to + "positional_embedding", "embeddings.position_embeddings", {positions, width});
    if (builder_.has("embeddings.register_tokens")) {
      const int64_t registers = builder_.extent("embeddings.register_tokens", 1);
      image["registers"] = registers;
      builder_.add(to + "register_tokens", "embeddings.register_tokens", {registers, width});
    }
    const BlockShape blocks = add_blocks(builder_, to + "transformer.resblocks", "encoder.layer.", width, kDinoBlocks);
    add_norm(builder_, to + "ln_post", "layernorm", width);
    set_shape(image, blocks, width, "", 12);
    image["mlp"] = blocks.gated ? "swiglu" : activation("", "gelu");
    if (blocks.scaled) image["layer_scale"] = 1.0;
    set_preprocessing(image, preprocessing({.mean = {0.485, 0.456, 0.406},
                                            .std = {0.229, 0.224, 0.225},
                                            .interpolation = "bicubic",
                                            .resize_mode = "shortest"}));
    builder_.assume(
        fmt::format("pictures are seen at {} pixels, the size that the position embeddings are for; "
                    "preprocessors of classifiers often show 224, which model.image.image_size says",
                    image["image_size"].get<int64_t>()));
    builder_.leave_if([](std::string_view name) {
      return name.ends_with("embeddings.mask_token") || name.starts_with("classifier.");
    });
  }

  // As preprocessor_config.json says.
  [[nodiscard]] Preprocessing preprocessing(Preprocessing result) {
    const Json settings = read_settings(folder_ / "preprocessor_config.json");
    if (!settings.is_object()) {
      builder_.assume("there is no preprocessor_config.json: pictures are prepared as is usual for the family");
      return result;
    }
    try {
      if (settings.contains("image_mean")) result.mean = settings["image_mean"].get<std::vector<double>>();
      if (settings.contains("image_std")) result.std = settings["image_std"].get<std::vector<double>>();
      if (settings.contains("resample")) result.interpolation = settings["resample"] == 2 ? "bilinear" : "bicubic";
      const Json size = settings.value("size", Json());
      if (size.is_number() || (size.is_object() && size.contains("shortest_edge"))) result.resize_mode = "shortest";
      if (size.is_object() && size.contains("height")) result.resize_mode = "squash";
    } catch (const Json::exception&) {
      throw Error(fmt::format("{} has values of another kind than transformers writes",
                              (folder_ / "preprocessor_config.json").string()));
    }
    return result;
  }

  std::filesystem::path folder_;
  Json config_;
  ModelBuilder builder_;
};

}  // namespace

std::optional<ModelFile> read_hugging_face(const std::filesystem::path& path,
                                           std::shared_ptr<const WeightsFile> weights) {
  // Many folders hold the model a second time, as open_clip saves it.
  for (const char* const other : {"visual.conv1.weight", "visual.trunk.patch_embed.proj.weight"})
    if (weights->tensors().contains(other)) return std::nullopt;
  Json config = read_settings(path.parent_path() / "config.json");
  if (!config.is_object() || !config.contains("model_type")) return std::nullopt;
  const std::string type = config["model_type"].is_string() ? config["model_type"].get<std::string>() : "";
  constexpr std::array<std::string_view, 5> kTypes = {"clip", "siglip", "siglip2", "dinov2", "dinov2_with_registers"};
  if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end())
    throw Error(fmt::format("{} is of type \"{}\"; known are clip, siglip, siglip2, dinov2 and dinov2_with_registers",
                            (path.parent_path() / "config.json").string(), type));
  return HuggingFace(path, std::move(config), std::move(weights)).read(type);
}

}  // namespace silc
