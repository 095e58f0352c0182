// open_clip's models (src/open_clip/model.py: CLIP and CustomTextCLIP, with its own transformers, its ModifiedResNet
// and timm's vision transformers), and OpenAI's files, whose names open_clip has kept.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "silc/error.h"
#include "weights/model_builder.h"

namespace silc {
namespace {

using Json = nlohmann::json;

const BlockNames kBlocks{.norm_1 = "ln_1",
                         .query = "",
                         .key = "",
                         .value = "",
                         .out = "attn.out_proj",
                         .norm_2 = "ln_2",
                         .hidden = "mlp.c_fc",
                         .hidden_out = "mlp.c_proj",
                         .scale_1 = "ls_1.gamma",
                         .scale_2 = "ls_2.gamma",
                         .joined = "attn.in_proj_"};

// Settings of towers that silc's do not have, with the values at which they make no difference.
void check_settings(const Json& tower, const std::string& name, const std::filesystem::path& file) {
  const std::vector<std::pair<std::string, Json>> usual = {
      {"attentional_pool", false}, {"final_ln_after_pool", false}, {"pos_embed_type", "learnable"},
      {"block_type", nullptr},     {"scaled_cosine_attn", false},  {"scale_heads", false},
      {"scale_attn_inner", false}, {"scale_attn", false},          {"scale_fc", false},
      {"embed_cls", false},        {"hf_model_name", nullptr},     {"qk_norm", false},
      {"proj_type", "linear"}};
  // Of silc's towers, that of pictures can have norms within its blocks, which open_clip's "custom" blocks are for.
  static const std::set<std::string> kInnerNorms = {"block_type", "scale_attn_inner", "scale_fc", "qk_norm"};
  for (const auto& [key, standard] : usual) {
    const auto found = tower.find(key);
    if (found == tower.end() || found->is_null() || *found == standard) continue;
    if (key == "block_type" && *found == "default") continue;
    if (name == "vision_cfg" && kInnerNorms.contains(key)) continue;
    throw Error(
        fmt::format("{}: {}.{} = {} makes a model that silc does not have", file.string(), name, key, found->dump()));
  }
}

template <class T>
T value_or(const Json& table, const std::string& key, T standard) {
  const auto found = table.find(key);
  if (found == table.end() || found->is_null()) return standard;
  try {
    return found->get<T>();
  } catch (const Json::exception&) {
    throw Error(fmt::format("its setting {} is {}", key, found->dump()));
  }
}

class OpenClip {
 public:
  OpenClip(const std::filesystem::path& path, std::shared_ptr<const WeightsFile> weights, const std::string& prefix)
      : path_(path), openai_(weights->format() == "TorchScript"), prefix_(prefix), builder_(path, weights) {
    builder_.set_prefix(prefix);
    const std::filesystem::path file = settings_file();
    const Json settings = read_settings(file);
    if (settings.is_object()) {
      config_ = settings.value("model_cfg", settings);
      preprocess_ = settings.value("preprocess_cfg", Json::object());
      for (const char* const tower : {"vision_cfg", "text_cfg"}) {
        if (!config_.is_object() || !config_.value(tower, Json()).is_object())
          throw Error(fmt::format("{} has no {}", file.string(), tower));
        check_settings(config_[tower], tower, file);
      }
    }
  }

  ModelFile read() {
    const bool trunk = builder_.has("visual.trunk.patch_embed.proj.weight");
    if (trunk)
      add_trunk();
    else if (builder_.has("visual.layer1.0.conv1.weight"))
      add_resnet();
    else
      add_vit();
    add_text(builder_.has("text.token_embedding.weight") ? "text." : "");
    builder_.set_embed_dim(embed_dim_);
    builder_.add_temperature("logit_scale", "logit_bias", /*maybe_plain=*/true);
    set_preprocessing(builder_.image(), preprocessing(trunk));
    builder_.leave_if([&](std::string_view name) {
      if (!name.starts_with(prefix_)) return true;
      const std::string_view rest = name.substr(prefix_.size());
      return rest.ends_with("attn_mask") || rest.ends_with("num_batches_tracked") || rest == "input_resolution" ||
             rest == "context_length" || rest == "vocab_size";
    });
    return builder_.finish(openai_ ? "OpenAI's CLIP" : "open_clip");
  }

 private:
  [[nodiscard]] Json vision() const { return config_.is_object() ? config_["vision_cfg"] : Json::object(); }
  [[nodiscard]] Json language() const { return config_.is_object() ? config_["text_cfg"] : Json::object(); }

  // Of a tower's MLP; asks where nothing says it. `quick` where the model's setting quick_gelu counts.
  void set_activation(Json& tower, const std::string& name, const Json& settings) {
    if (openai_ || (config_.is_object() && value_or(config_, "quick_gelu", false))) {
      tower["mlp"] = "quick_gelu";
    } else if (config_.is_object()) {
      const Json act = value_or(settings, "act_kwargs", Json::object());
      tower["mlp"] = value_or<std::string>(act, "approximate", "none") == "tanh" ? "gelu_tanh" : "gelu";
    } else {
      builder_.ask(name + ".mlp", fmt::format("the activation of the {} tower's MLP, which the file does not say: "
                                              "\"quick_gelu\" for OpenAI's weights and those trained from them (names "
                                              "with -quickgelu), else \"gelu\", for SigLIP 2 \"gelu_tanh\"",
                                              name));
    }
  }

  [[nodiscard]] static double norm_eps(const Json& settings, double standard) {
    return value_or(value_or(settings, "norm_kwargs", Json::object()), "eps", standard);
  }

  void add_vit() {
    const std::string to = "model.image.backbone.", from = "visual.";
    const int64_t width = builder_.extent(from + "conv1.weight", 0), patch = builder_.extent(from + "conv1.weight", 3);
    const Json settings = vision();
    Json& image = builder_.image();
    image = {{"backbone", "vit"}, {"width", width}, {"patch", patch}, {"norm_eps", norm_eps(settings, 1e-5)}};
    builder_.add(to + "conv1.weight", from + "conv1.weight", {width, 3, patch, patch});
    builder_.add(to + "class_embedding", from + "class_embedding", {width});
    const int64_t positions = builder_.extent(from + "positional_embedding", 0);
    builder_.add(to + "positional_embedding", from + "positional_embedding", {positions, width});
    image["image_size"] = grid_side(positions - 1, from + "positional_embedding") * patch;
    image["pre_norm"] = builder_.has(from + "ln_pre.weight");
    if (image["pre_norm"]) add_norm(builder_, to + "ln_pre", from + "ln_pre", width);
    const BlockShape blocks =
        add_blocks(builder_, to + "transformer.resblocks", from + "transformer.resblocks.", width, kBlocks);
    add_norm(builder_, to + "ln_post", from + "ln_post", width);
    set_shape(image, blocks, width);
    add_inner_norms(to + "transformer.resblocks", from + "transformer.resblocks.", blocks, width);
    image["heads"] = settings.contains("width") ? heads_of_width(value_or(settings, "head_width", int64_t{64}), width)
                                                : usual_heads(builder_, width, "image");
    set_activation(image, "image", settings);
    const auto pool = value_or<std::string>(settings, "pool_type", "tok");
    if (pool != "tok" && pool != "avg")
      throw Error(
          fmt::format("{}: vision_cfg.pool_type = \"{}\" makes a model that silc does not have", path_.string(), pool));
    // The mean is over patches alone, but the class token is there and takes part in attention.
    image["pooling"] = pool == "tok" ? "cls" : "mean";
    if (pool == "avg") image["class_token"] = true;
    embed_dim_ = builder_.extent(from + "proj", 1);
    builder_.add("model.image.projection", from + "proj", {width, embed_dim_});
  }

  [[nodiscard]] std::filesystem::path settings_file() const { return path_.parent_path() / "open_clip_config.json"; }

  // How many heads of so many channels there are.
  [[nodiscard]] int64_t heads_of_width(int64_t channels, int64_t width) const {
    const std::string setting = settings_file().string() + ": vision_cfg.head_width";
    if (channels < 1 || width % channels != 0)
      throw Error(fmt::format("{} is {}, which does not divide the width of {}", setting, channels, width));
    return width / channels;
  }

  // Of the image tower's blocks. One that has them within attention alone is none of silc's, and its tensors are
  // unknown.
  void add_inner_norms(const std::string& to, const std::string& from, const BlockShape& blocks, int64_t width) {
    const std::string first = from + "0.";
    const bool of_heads = builder_.has(first + "attn.ln_q.weight"), of_mlp = builder_.has(first + "mlp.ln.weight");
    const bool of_attention = of_mlp && builder_.has(first + "attn.ln_inner.weight");
    if (of_heads) builder_.image()["qk_norm"] = true;
    if (of_mlp) builder_.image()["sub_norm"] = of_attention ? "all" : "mlp";
    for (int64_t i = 0; i < blocks.layers; ++i) {
      const std::string block = fmt::format("{}.{}.", to, i), source = fmt::format("{}{}.", from, i);
      if (of_heads)
        for (const std::string norm : {"attn.ln_q", "attn.ln_k"})
          add_norm(builder_, block + norm, source + norm, builder_.extent(first + "attn.ln_q.weight", 0));
      if (of_attention) add_norm(builder_, block + "attn.ln_inner", source + "attn.ln_inner", width);
      if (of_mlp) add_norm(builder_, block + "mlp.ln_inner", source + "mlp.ln", blocks.hidden);
    }
  }

  static void set_shape(Json& tower, const BlockShape& blocks, int64_t width) {
    tower["layers"] = blocks.layers;
    tower["mlp_ratio"] = static_cast<double>(blocks.hidden) / static_cast<double>(width);
    if (blocks.scaled) tower["layer_scale"] = 1.0;
  }

  void add_resnet() {
    const std::string to = "model.image.backbone.", from = "visual.";
    const int64_t width = builder_.extent(from + "layer1.0.conv1.weight", 0);
    std::string depths;
    const auto convolution = [&](const std::string& name, int64_t out, int64_t in, int64_t kernel) {
      builder_.add(to + name + ".weight", from + name + ".weight", {out, in, kernel, kernel});
    };
    const auto batch_norm = [&](const std::string& name, int64_t channels) {
      for (const std::string part : {"weight", "bias", "running_mean", "running_var"})
        builder_.add(to + name + "." + part, from + name + "." + part, {channels});
    };
    for (int64_t i = 1, in = 3; i <= 3; ++i) {
      const int64_t out = i == 3 ? width : width / 2;
      convolution(fmt::format("conv{}", i), out, in, 3);
      batch_norm(fmt::format("bn{}", i), out);
      in = out;
    }
    int64_t in = width;
    for (int64_t stage = 0; builder_.has(fmt::format("{}layer{}.0.conv1.weight", from, stage + 1)); ++stage) {
      const std::string layer = fmt::format("layer{}.", stage + 1);
      const int64_t depth = builder_.count(from + layer), inner = width << stage, out = 4 * inner;
      depths += (depths.empty() ? "" : ",") + std::to_string(depth);
      for (int64_t i = 0; i < depth; ++i) {
        const std::string block = fmt::format("{}{}.", layer, i);
        convolution(block + "conv1", inner, in, 1);
        convolution(block + "conv2", inner, inner, 3);
        convolution(block + "conv3", out, inner, 1);
        for (const int64_t norm : {1, 2, 3}) batch_norm(fmt::format("{}bn{}", block, norm), norm == 3 ? out : inner);
        if (i == 0) {
          convolution(block + "downsample.0", out, in, 1);
          batch_norm(block + "downsample.1", out);
        }
        in = out;
      }
    }
    Json& image = builder_.image();
    const int64_t positions = builder_.extent(from + "attnpool.positional_embedding", 0);
    const auto stages = std::count(depths.begin(), depths.end(), ',') + 1;
    image = {{"backbone", "resnet"},
             {"variant", "clip"},
             {"depths", depths},
             {"width", width},
             {"image_size", grid_side(positions - 1, "attnpool.positional_embedding") * (int64_t{4} << (stages - 1))}};
    builder_.add(to + "attnpool.positional_embedding", from + "attnpool.positional_embedding", {positions, in});
    for (const std::string part : {"q_proj", "k_proj", "v_proj"})
      add_linear(builder_, to + "attnpool." + part, from + "attnpool." + part, in, in);
    // The head's last layer goes to the joint space already: below it stand zeros, and the projection leaves them out.
    const std::string last = from + "attnpool.c_proj";
    embed_dim_ = builder_.extent(last + ".weight", 0);
    if (embed_dim_ > in)
      throw Error(fmt::format("{}: its embedding is wider than the image tower's features", path_.string()));
    builder_.add(to + "attnpool.c_proj.weight",
                 Recipe{.parts = {{.source = last + ".weight"}, {.source = "", .shape = {in - embed_dim_, in}}},
                        .shape = {in, in}});
    builder_.add(
        to + "attnpool.c_proj.bias",
        Recipe{.parts = {{.source = last + ".bias"}, {.source = "", .shape = {in - embed_dim_}}}, .shape = {in}});
    builder_.add("model.image.projection", Recipe{.parts = {}, .shape = {in, embed_dim_}});
  }

  void add_trunk() {
    const auto name = value_or<std::string>(vision(), "timm_model_name", "");
    const int64_t width = add_timm_vit(builder_, "visual.trunk.", trunk_activation(name));
    const auto pool = value_or<std::string>(vision(), "timm_pool", "");
    if (!pool.empty() && pool != "map" && pool != "avg" && pool != "token")
      throw Error(
          fmt::format("{}: vision_cfg.timm_pool = \"{}\" makes a model that silc does not have", path_.string(), pool));
    if (pool == "avg" && builder_.image()["pooling"] == "cls") builder_.image()["class_token"] = true;
    if (pool == "avg") builder_.image()["pooling"] = "mean";
    const std::string head = "visual.head.proj";
    if (!builder_.has(head + ".weight")) {
      embed_dim_ = width;
      builder_.add("model.image.projection", Recipe{.parts = {}, .shape = {width, width}});
      return;
    }
    embed_dim_ = builder_.extent(head + ".weight", 0);
    add_projection("model.image.", head, builder_.image(), width);
  }

  // timm's vision transformers of SigLIP: those that it gives the approximation by tanh. Other names: not known.
  static std::string trunk_activation(const std::string& name) {
    if (name.find("siglip") == std::string::npos) return "";
    constexpr std::array<std::string_view, 5> kTanh = {"so400m_patch16_siglip", "patch32_siglip",
                                                       "giantopt_patch16_siglip", "large_patch16_siglip_512",
                                                       "large_patch16_siglip_gap_512"};
    const bool tanh = std::any_of(kTanh.begin(), kTanh.end(),
                                  [&](std::string_view part) { return name.find(part) != std::string::npos; });
    return tanh ? "gelu_tanh" : "gelu";
  }

  // A linear layer as the tower's projection.
  void add_projection(const std::string& to, const std::string& from, Json& tower, int64_t width) {
    builder_.add_transposed(to + "projection", from + ".weight", {width, embed_dim_});
    const bool bias = builder_.has(from + ".bias");
    if (bias) builder_.add(to + "projection_bias", from + ".bias", {embed_dim_});
    if (bias) tower["projection_bias"] = true;
  }

  void add_text(const std::string& from) {
    const std::string to = "model.text.backbone.";
    const Json settings = language();
    const int64_t vocabulary = builder_.extent(from + "token_embedding.weight", 0);
    const int64_t width = builder_.extent(from + "token_embedding.weight", 1);
    const int64_t length = builder_.extent(from + "positional_embedding", 0);
    const bool linear = builder_.has(from + "text_projection.weight");
    const bool siglip = linear && builder_.has(from + "text_projection.bias");
    Json& text = builder_.text();
    text = {{"backbone", "text_transformer"}, {"width", width}, {"context_length", length}};
    builder_.add(to + "token_embedding.weight", from + "token_embedding.weight", {vocabulary, width});
    builder_.add(to + "positional_embedding", from + "positional_embedding", {length, width});
    const BlockShape blocks =
        add_blocks(builder_, to + "transformer.resblocks", from + "transformer.resblocks.", width, kBlocks);
    add_norm(builder_, to + "ln_final", from + "ln_final", width);
    set_shape(text, blocks, width);
    if (blocks.scaled)
      throw Error(fmt::format("{}: its text tower has LayerScale, which silc's has not", path_.string()));
    text.erase("layer_scale");
    text["heads"] = settings.contains("heads") ? checked_heads(value_or(settings, "heads", int64_t{8}), width,
                                                               settings_file().string() + ": text_cfg.heads")
                                               : usual_heads(builder_, width, "text");
    set_activation(text, "text", settings);
    if (linear)
      add_projection("model.text.", from + "text_projection", text, width);
    else
      builder_.add("model.text.projection", from + "text_projection", {width, embed_dim_});
    set_reading(text, settings, siglip);
    set_tokenizer(text, settings, vocabulary);
  }

  // How the text tower reads its tokens. Without settings, a projection with a bias is taken for SigLIP's.
  void set_reading(Json& text, const Json& settings, bool siglip) {
    if (!config_.is_object() && siglip)
      builder_.assume(
          "the text tower's projection has a bias, as SigLIP's: it is taken to see all tokens, padding too, "
          "and to read out the last one");
    const bool like_siglip = !config_.is_object() && siglip;
    text["mask"] = value_or(settings, "no_causal_mask", like_siglip) ? "bidirectional" : "causal";
    text["norm_eps"] = norm_eps(settings, like_siglip ? 1e-6 : 1e-5);
    const auto pool = value_or<std::string>(settings, "pool_type", like_siglip ? "last" : "argmax");
    if (pool != "argmax" && pool != "eos" && pool != "last")
      throw Error(
          fmt::format("{}: text_cfg.pool_type = \"{}\" makes a model that silc does not have", path_.string(), pool));
    text["pooling"] = pool == "last" ? "last" : "eot";
  }

  void set_tokenizer(Json& text, const Json& settings, int64_t vocabulary) {
    constexpr int64_t kClipVocabulary = 49408;
    const bool hugging_face = settings.contains("hf_tokenizer_name") && settings["hf_tokenizer_name"].is_string();
    const auto clean = value_or<std::string>(value_or(settings, "tokenizer_kwargs", Json::object()), "clean", "");
    if (!hugging_face && vocabulary == kClipVocabulary) {
      text["tokenizer"] = {{"tokenizer", "clip_bpe"}};
      if (!clean.empty()) text["tokenizer"]["clean"] = clean;
      return;
    }
    if (text["mask"] == "bidirectional") {
      text["tokenizer"] = {{"tokenizer", "sentencepiece"}, {"padding", vocabulary > 200'000 ? "model" : "end"}};
      if (!clean.empty()) text["tokenizer"]["clean"] = clean;
      builder_.ask("text.tokenizer.model",
                   fmt::format("the .model file of SentencePiece that the text tower was trained with, of {} pieces",
                               vocabulary));
      return;
    }
    builder_.ask("text.tokenizer",
                 fmt::format("the tokenizer that the text tower was trained with, of {} tokens, as in {{ tokenizer = "
                             "\"clip_bpe\", vocabulary = \"FILE\" }}",
                             vocabulary));
  }

  [[nodiscard]] Preprocessing preprocessing(bool trunk) {
    Preprocessing result = trunk && !preprocess_.contains("mean") ? kHalfPreprocessing : kClipPreprocessing;
    if (!preprocess_.is_object() || preprocess_.empty()) {
      builder_.assume(
          fmt::format("pictures are prepared as {} does; model.image.mean, std, interpolation and "
                      "resize_mode say otherwise",
                      trunk ? "SigLIP" : "CLIP"));
      return result;
    }
    result.mean = value_or(preprocess_, "mean", result.mean);
    result.std = value_or(preprocess_, "std", result.std);
    result.interpolation = value_or(preprocess_, "interpolation", result.interpolation);
    result.resize_mode = value_or(preprocess_, "resize_mode", result.resize_mode);
    return result;
  }

  std::filesystem::path path_;
  bool openai_;
  std::string prefix_;
  Json config_;  // null: there is none
  Json preprocess_;
  ModelBuilder builder_;
  int64_t embed_dim_ = 0;
};

}  // namespace

std::optional<ModelFile> read_open_clip(const std::filesystem::path& path, std::shared_ptr<const WeightsFile> weights) {
  for (const std::string prefix : {"", "module.", "state_dict.", "state_dict.module.", "model.", "model.module."})
    for (const std::string first : {"visual.conv1.weight", "visual.trunk.patch_embed.proj.weight"})
      if (weights->tensors().contains(prefix + first)) return OpenClip(path, std::move(weights), prefix).read();
  return std::nullopt;
}

}  // namespace silc
