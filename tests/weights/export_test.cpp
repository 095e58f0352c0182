#include "weights/export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <numeric>

#include "files/durable_file.h"
#include "files/safetensors.h"
#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr int64_t kVocabulary = 259;  // of the tokenizer "bytes"

// A small model of CLIP's shape, changed by a JSON merge patch.
Json settings_with(const Json& changes = Json::object()) {
  Json settings = {{"embed_dim", 4},
                   {"image",
                    {{"backbone", "vit"},
                     {"width", 8},
                     {"layers", 2},
                     {"heads", 2},
                     {"mlp_ratio", 4.0},
                     {"patch", 4},
                     {"image_size", 8},
                     {"resize_mode", "shortest"},
                     {"interpolation", "bicubic"},
                     {"mean", {0.48, 0.46, 0.41}},
                     {"std", {0.27, 0.26, 0.28}}}},
                   {"text",
                    {{"backbone", "text_transformer"},
                     {"width", 12},
                     {"layers", 1},
                     {"heads", 3},
                     {"mlp_ratio", 2.0},
                     {"context_length", 6},
                     {"tokenizer", {{"tokenizer", "bytes"}}}}}};
  settings.merge_patch(changes);
  return settings;
}

// SigLIP's shape.
Json siglip_with(const Json& changes = Json::object()) {
  Json settings = settings_with({{"embed_dim", 8},
                                 {"image", {{"pooling", "map"}, {"pre_norm", false}, {"norm_eps", 1e-6}}},
                                 {"text", {{"pooling", "last"}, {"mask", "bidirectional"}, {"norm_eps", 1e-6}}}});
  settings.merge_patch(changes);
  return settings;
}

using Shapes = std::map<std::string, std::vector<int64_t>>;

void add_layer(Shapes& shapes, const std::string& name, std::vector<int64_t> weight) {
  shapes[name + ".bias"] = {weight.front()};
  shapes[name + ".weight"] = std::move(weight);
}

void add_blocks(Shapes& shapes, const std::string& tower, const Json& settings) {
  const int64_t width = settings["width"];
  const auto hidden = static_cast<int64_t>(static_cast<double>(width) * settings["mlp_ratio"].get<double>());
  for (int64_t i = 0; i < settings["layers"].get<int64_t>(); ++i) {
    const std::string block = tower + "backbone.transformer.resblocks." + std::to_string(i) + ".";
    for (const char* const norm : {"ln_1", "ln_2"}) add_layer(shapes, block + norm, {width});
    shapes[block + "attn.in_proj_weight"] = {3 * width, width};
    shapes[block + "attn.in_proj_bias"] = {3 * width};
    add_layer(shapes, block + "attn.out_proj", {width, width});
    add_layer(shapes, block + "mlp.c_fc", {hidden, width});
    add_layer(shapes, block + "mlp.c_proj", {width, hidden});
    if (settings.value("qk_norm", false))
      for (const char* const norm : {"attn.ln_q", "attn.ln_k"})
        add_layer(shapes, block + norm, {width / settings["heads"].get<int64_t>()});
    const std::string norms = settings.value("sub_norm", "none");
    if (norms == "all") add_layer(shapes, block + "attn.ln_inner", {width});
    if (norms != "none") add_layer(shapes, block + "mlp.ln_inner", {hidden});
    if (settings.value("layer_scale", 0.0) != 0)
      for (const char* const scale : {"ls_1.gamma", "ls_2.gamma"}) shapes[block + scale] = {width};
  }
}

// Of the vit and the text_transformer.
Shapes shapes_of(const Json& settings) {
  Shapes shapes = {{"objective.contrastive.logit_scale", {}}};
  const Json& image = settings["image"];
  const int64_t width = image["width"], patch = image["patch"], side = image["image_size"].get<int64_t>() / patch;
  const std::string pooling = image.value("pooling", "cls"), vit = "model.image.backbone.";
  const bool class_token = pooling == "cls" || image.value("class_token", false);
  shapes[vit + (image.value("stem", "patch") == "conv" ? "stem.0.weight" : "conv1.weight")] = {width, 3, patch, patch};
  if (image.value("patch_bias", false)) shapes[vit + "conv1.bias"] = {width};
  if (class_token) shapes[vit + "class_embedding"] = {width};
  shapes[vit + "positional_embedding"] = {side * side + (class_token ? 1 : 0), width};
  if (image.value("pre_norm", true)) add_layer(shapes, vit + "ln_pre", {width});
  add_blocks(shapes, "model.image.", image);
  add_layer(shapes, vit + "ln_post", {width});
  if (pooling == "map") {
    shapes[vit + "attn_pool.latent"] = {1, 1, width};
    add_layer(shapes, vit + "attn_pool.q", {width, width});
    add_layer(shapes, vit + "attn_pool.kv", {2 * width, width});
    add_layer(shapes, vit + "attn_pool.proj", {width, width});
    add_layer(shapes, vit + "attn_pool.norm", {width});
    add_layer(shapes, vit + "attn_pool.mlp.c_fc", {4 * width, width});
    add_layer(shapes, vit + "attn_pool.mlp.c_proj", {width, 4 * width});
  }
  shapes["model.image.projection"] = {width, settings["embed_dim"]};
  const Json& text = settings["text"];
  const std::string tower = "model.text.backbone.";
  shapes[tower + "token_embedding.weight"] = {kVocabulary, text["width"]};
  shapes[tower + "positional_embedding"] = {text["context_length"], text["width"]};
  add_blocks(shapes, "model.text.", text);
  add_layer(shapes, tower + "ln_final", {text["width"]});
  shapes["model.text.projection"] = {text["width"], settings["embed_dim"]};
  for (const std::string which : {"image", "text"})
    if (settings[which].value("projection_bias", false))
      shapes["model." + which + ".projection_bias"] = {settings["embed_dim"]};
  return shapes;
}

std::string fault_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class Exports : public ::testing::Test {
 protected:
  // A file with these tensors, no two of whose elements are the same, and an identity matrix as the projection of
  // pictures where `identity`.
  ModelFile write_model(const Json& settings, bool identity = false, const Shapes& others = {}) {
    Shapes shapes = shapes_of(settings);
    shapes.insert(others.begin(), others.end());
    std::map<std::string, std::vector<float>> values;
    float next = 0;
    for (const auto& [name, shape] : shapes) {
      auto& tensor = values[name];
      tensor.resize(
          static_cast<std::size_t>(std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>())));
      for (float& value : tensor) value = ++next;
      if (shape.empty()) tensor[0] = 2.5;
      if (identity && name == "model.image.projection")
        for (std::size_t i = 0; i < tensor.size(); ++i)
          tensor[i] = i % static_cast<std::size_t>(shape[1]) == i / static_cast<std::size_t>(shape[1]) ? 1 : 0;
    }
    std::map<std::string, TensorView> views;
    for (const auto& [name, shape] : shapes) views[name] = {"F32", shape, std::as_bytes(std::span(values[name]))};
    write_safetensors(root_ / "silc.safetensors", views, {{std::string(kModelMetadata), settings.dump()}});
    return read_model_file(root_ / "silc.safetensors");
  }

  ModelExport planned(const Json& settings, ExportFormat format, bool identity = false) {
    return plan_export(write_model(settings, identity), {.format = format});
  }

  std::string refusal(const Json& settings, ExportFormat format) {
    return fault_of([&] { static_cast<void>(planned(settings, format)); });
  }

  void write(const ModelFile& file, ExportFormat format, bool replace = false) {
    write_export(plan_export(file, {.format = format}), file, folder_, replace);
  }

  std::vector<std::string> written() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename());
    return names;
  }

  TemporaryFolder temporary_;
  fs::path root_ = temporary_.path();
  fs::path folder_ = root_ / "export";
};

std::map<std::string, std::vector<int64_t>> shapes_of(const ModelExport& planned) {
  std::map<std::string, std::vector<int64_t>> shapes;
  for (const auto& [name, recipe] : planned.tensors) shapes[name] = recipe.shape;
  return shapes;
}

TEST_F(Exports, ToOpenClipHaveItsNamesAndSettings) {
  const ModelExport planned = this->planned(settings_with(), ExportFormat::open_clip);
  const auto shapes = shapes_of(planned);
  EXPECT_EQ(shapes.size(), shapes_of(settings_with()).size());
  EXPECT_THAT(shapes.at("visual.conv1.weight"), ElementsAre(8, 3, 4, 4));
  EXPECT_THAT(shapes.at("visual.positional_embedding"), ElementsAre(5, 8));
  EXPECT_THAT(shapes.at("visual.transformer.resblocks.1.attn.in_proj_weight"), ElementsAre(24, 8));
  EXPECT_THAT(shapes.at("visual.proj"), ElementsAre(8, 4));
  EXPECT_THAT(shapes.at("token_embedding.weight"), ElementsAre(259, 12));
  EXPECT_THAT(shapes.at("transformer.resblocks.0.mlp.c_fc.weight"), ElementsAre(24, 12));
  EXPECT_THAT(shapes.at("text_projection"), ElementsAre(12, 4));
  EXPECT_THAT(shapes.at("logit_scale"), IsEmpty());
  EXPECT_EQ(planned.weights, "open_clip_model.safetensors");
  EXPECT_EQ(Json::parse(planned.files.at("open_clip_config.json")), Json::parse(R"({
    "model_cfg": {
      "embed_dim": 4,
      "vision_cfg": {"image_size": 8, "patch_size": 4, "width": 8, "layers": 2, "head_width": 4, "mlp_ratio": 4.0},
      "text_cfg": {"context_length": 6, "vocab_size": 259, "width": 12, "layers": 1, "heads": 3, "mlp_ratio": 2.0,
                   "hf_tokenizer_name": ".", "tokenizer_kwargs": {"clean": "whitespace"}}
    },
    "preprocess_cfg": {"size": 8, "mode": "RGB", "mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28],
                       "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}
  })"));
}

TEST_F(Exports, ToOpenClipSayWhatIsUnusual) {
  const Json settings = settings_with(
      {{"image",
        {{"mlp", "quick_gelu"},
         {"pooling", "mean"},
         {"class_token", true},
         {"layer_scale", 0.5},
         {"qk_norm", true},
         {"sub_norm", "all"},
         {"norm_eps", 1e-6},
         {"pre_norm", false}}},
       {"text", {{"mlp", "quick_gelu"}, {"mask", "bidirectional"}, {"pooling", "last"}, {"projection_bias", true}}}});
  const ModelFile file = write_model(settings, false, {{"objective.contrastive.logit_bias", {}}});
  const ModelExport planned = plan_export(file, {.format = ExportFormat::open_clip});
  const Json model = Json::parse(planned.files.at("open_clip_config.json"))["model_cfg"];
  EXPECT_EQ(model["quick_gelu"], true);
  EXPECT_TRUE(model["init_logit_bias"].is_number());
  EXPECT_EQ(model["vision_cfg"]["pool_type"], "avg");
  EXPECT_EQ(model["vision_cfg"]["ls_init_value"], 0.5);
  EXPECT_EQ(model["vision_cfg"]["qk_norm"], true);
  EXPECT_EQ(model["vision_cfg"]["scale_attn_inner"], true);
  EXPECT_EQ(model["vision_cfg"]["scale_fc"], true);
  EXPECT_EQ(model["vision_cfg"]["no_ln_pre"], true);
  EXPECT_EQ(model["vision_cfg"]["norm_kwargs"]["eps"], 1e-6);
  EXPECT_EQ(model["text_cfg"]["no_causal_mask"], true);
  EXPECT_EQ(model["text_cfg"]["pool_type"], "last");
  EXPECT_EQ(model["text_cfg"]["proj_bias"], true);
  EXPECT_THAT(shapes_of(planned).at("text_projection.weight"), ElementsAre(4, 12));
  EXPECT_TRUE(planned.tensors.contains("logit_bias"));
}

TEST_F(Exports, ToOpenClipTakeTimmsVisionTransformersForOtherPooling) {
  const Json settings = siglip_with(
      {{"embed_dim", 4},
       {"image",
        {{"width", 768}, {"layers", 12}, {"heads", 12}, {"patch", 32}, {"image_size", 256}, {"mlp", "gelu_tanh"}}}});
  // Values are read of the projection alone, so that no file of this size is needed.
  ModelFile file = write_model(settings_with({{"embed_dim", 4}}));
  const auto projection = file.tensors.at("model.image.projection");
  file.model = settings;
  for (const auto& [name, shape] : shapes_of(settings))
    file.tensors[name] = {.parts = {{.source = name}}, .shape = shape};
  file.tensors["model.image.projection"] = projection;
  file.tensors.erase("model.image.backbone.class_embedding");
  for (const char* const part : {"weight", "bias"})
    file.tensors.erase(std::string("model.image.backbone.ln_pre.") + part);
  const ModelExport planned = plan_export(file, {.format = ExportFormat::open_clip});
  const Json model = Json::parse(planned.files.at("open_clip_config.json"))["model_cfg"];
  EXPECT_EQ(model["custom_text"], true);
  EXPECT_EQ(model["vision_cfg"]["timm_model_name"], "vit_base_patch32_siglip_256");
  EXPECT_EQ(model["vision_cfg"]["timm_pool"], "map");
  EXPECT_EQ(model["vision_cfg"]["timm_proj"], "linear");
  const auto shapes = shapes_of(planned);
  EXPECT_THAT(shapes.at("visual.trunk.patch_embed.proj.bias"), ElementsAre(768));  // zeros
  EXPECT_THAT(shapes.at("visual.trunk.pos_embed"), ElementsAre(1, 64, 768));
  EXPECT_THAT(shapes.at("visual.trunk.attn_pool.kv.weight"), ElementsAre(1536, 768));
  EXPECT_TRUE(shapes.contains("text.token_embedding.weight"));
}

TEST_F(Exports, ToTransformersAreACLIPModel) {
  const ModelExport planned = this->planned(settings_with(), ExportFormat::hugging_face);
  const auto shapes = shapes_of(planned);
  EXPECT_THAT(shapes.at("vision_model.embeddings.class_embedding"), ElementsAre(8));
  EXPECT_THAT(shapes.at("vision_model.encoder.layers.1.self_attn.k_proj.weight"), ElementsAre(8, 8));
  EXPECT_THAT(shapes.at("visual_projection.weight"), ElementsAre(4, 8));
  EXPECT_THAT(shapes.at("text_projection.weight"), ElementsAre(4, 12));
  EXPECT_THAT(shapes.at("logit_scale"), IsEmpty());
  EXPECT_EQ(Json::parse(planned.files.at("config.json")), Json::parse(R"({
    "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": 4, "dtype": "float32",
    "torch_dtype": "float32",
    "text_config": {"model_type": "clip_text_model", "vocab_size": 259, "max_position_embeddings": 6,
                    "hidden_size": 12, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 3,
                    "hidden_act": "gelu", "layer_norm_eps": 1e-05, "attention_dropout": 0.0, "bos_token_id": 1,
                    "eos_token_id": 258, "pad_token_id": 0, "projection_dim": 4},
    "vision_config": {"model_type": "clip_vision_model", "image_size": 8, "patch_size": 4, "num_channels": 3,
                      "hidden_size": 8, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
                      "hidden_act": "gelu", "layer_norm_eps": 1e-05, "attention_dropout": 0.0, "projection_dim": 4}
  })"));
  EXPECT_EQ(Json::parse(planned.files.at("preprocessor_config.json")), Json::parse(R"({
    "image_processor_type": "CLIPImageProcessor", "do_convert_rgb": true, "do_resize": true,
    "size": {"shortest_edge": 8}, "resample": 3, "do_center_crop": true, "crop_size": {"height": 8, "width": 8},
    "do_rescale": true, "rescale_factor": 0.00392156862745098, "do_normalize": true,
    "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28]
  })"));
}

TEST_F(Exports, ToTransformersAreASiglipModelWherePicturesArePooledByAttention) {
  const ModelExport planned = this->planned(siglip_with(), ExportFormat::hugging_face, /*identity=*/true);
  const auto shapes = shapes_of(planned);
  EXPECT_THAT(shapes.at("vision_model.head.attention.in_proj_weight"), ElementsAre(24, 8));
  EXPECT_THAT(shapes.at("vision_model.embeddings.patch_embedding.bias"), ElementsAre(8));
  EXPECT_THAT(shapes.at("text_model.head.bias"), ElementsAre(8));
  EXPECT_THAT(shapes.at("logit_bias"), ElementsAre(1));
  const Json config = Json::parse(planned.files.at("config.json"));
  EXPECT_EQ(config["architectures"], Json::array({"SiglipModel"}));
  EXPECT_EQ(config["text_config"]["projection_size"], 8);
}

struct RoundTrip {
  std::string name;
  ExportFormat format;
  Json settings;
  bool identity = false;
};

void PrintTo(const RoundTrip& trip, std::ostream* out) { *out << trip.name; }

class ExportsAndBack : public Exports, public ::testing::WithParamInterface<RoundTrip> {};

TEST_P(ExportsAndBack, GiveEveryTensorToTheByte) {
  const ModelFile file = write_model(GetParam().settings, GetParam().identity);
  write(file, GetParam().format);
  const ModelFile back = read_model_file(folder_);
  for (const auto& [name, recipe] : file.tensors) {
    ASSERT_TRUE(back.tensors.contains(name)) << name;
    const HostTensor before = follow(recipe, *file.weights), after = follow(back.tensors.at(name), *back.weights);
    EXPECT_EQ(before.shape, after.shape) << name;
    EXPECT_EQ(before.values, after.values) << name;
  }
  for (const char* const tower : {"image", "text"})
    for (const auto& [key, value] : file.model[tower].items()) {
      if (key == "tokenizer") continue;
      EXPECT_EQ(back.model[tower][key], value) << tower << "." << key;
    }
  EXPECT_EQ(back.model["embed_dim"], file.model["embed_dim"]);
}

INSTANTIATE_TEST_SUITE_P(
    Formats, ExportsAndBack,
    ::testing::Values(
        RoundTrip{"open_clip", ExportFormat::open_clip, settings_with()},
        RoundTrip{"open_clip_unusual", ExportFormat::open_clip,
                  settings_with({{"image", {{"mlp", "gelu_tanh"}, {"norm_eps", 1e-6}, {"pre_norm", false}}},
                                 {"text", {{"mask", "bidirectional"}, {"pooling", "last"}}}})},
        RoundTrip{"open_clip_inner_norms", ExportFormat::open_clip,
                  settings_with({{"image", {{"qk_norm", true}, {"sub_norm", "all"}, {"layer_scale", 1.0}}}})},
        RoundTrip{"open_clip_mlp_norm", ExportFormat::open_clip,
                  settings_with({{"image", {{"sub_norm", "mlp"}, {"pooling", "mean"}, {"class_token", true}}}})},
        RoundTrip{"huggingface", ExportFormat::hugging_face, settings_with()},
        RoundTrip{"huggingface_siglip", ExportFormat::hugging_face,
                  siglip_with({{"image", {{"patch_bias", true}, {"mlp", "gelu_tanh"}}},
                               {"text", {{"projection_bias", true}}}}),
                  true},
        RoundTrip{"safetensors", ExportFormat::safetensors, siglip_with()}),
    [](const auto& info) { return info.param.name; });

TEST_F(Exports, OfOtherBackbonesAreRefusedBeforeTheirTensorsAreLookedFor) {
  ModelFile file = write_model(settings_with({{"image", {{"backbone", "resnet"}}}}));
  std::erase_if(file.tensors, [](const auto& tensor) { return tensor.first.starts_with("model.image.backbone."); });
  for (const ExportFormat format : {ExportFormat::open_clip, ExportFormat::hugging_face})
    EXPECT_THAT(fault_of([&] { static_cast<void>(plan_export(file, {.format = format})); }),
                HasSubstr("model.image.backbone = \"resnet\": only a vision transformer is written"));
}

struct Refusal {
  std::string name;
  ExportFormat format;
  Json changes;
  std::string why;
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class ExportsThatDoNotFit : public Exports, public ::testing::WithParamInterface<Refusal> {};

TEST_P(ExportsThatDoNotFit, AreRefusedWithTheSettingAndTheReason) {
  EXPECT_THAT(refusal(settings_with(GetParam().changes), GetParam().format),
              AllOf(HasSubstr(GetParam().why), HasSubstr("--format safetensors takes every model")));
}

INSTANTIATE_TEST_SUITE_P(
    Settings, ExportsThatDoNotFit,
    ::testing::Values(
        Refusal{"stem", ExportFormat::open_clip, {{"image", {{"stem", "conv"}}}}, "model.image.stem = \"conv\": "},
        Refusal{"stem_of_transformers",
                ExportFormat::hugging_face,
                {{"image", {{"stem", "conv"}}}},
                "model.image.stem = \"conv\": "},
        Refusal{"rotary",
                ExportFormat::open_clip,
                {{"image", {{"positions", "both"}}}},
                "model.image.positions = \"both\""},
        Refusal{"registers", ExportFormat::hugging_face, {{"image", {{"registers", 4}}}}, "model.image.registers = 4"},
        Refusal{"gated", ExportFormat::open_clip, {{"text", {{"mlp", "swiglu"}}}}, "model.text.mlp = \"swiglu\""},
        Refusal{"convnext",
                ExportFormat::open_clip,
                {{"image", {{"backbone", "convnext"}}}},
                "model.image.backbone = \"convnext\""},
        Refusal{
            "text_mean", ExportFormat::open_clip, {{"text", {{"pooling", "mean"}}}}, "model.text.pooling = \"mean\""},
        Refusal{"patch_bias",
                ExportFormat::hugging_face,
                {{"image", {{"patch_bias", true}}}},
                "model.image.patch_bias = true"},
        Refusal{"qk_norm", ExportFormat::hugging_face, {{"image", {{"qk_norm", true}}}}, "model.image.qk_norm = true"},
        Refusal{"sub_norm",
                ExportFormat::hugging_face,
                {{"image", {{"sub_norm", "mlp"}}}},
                "model.image.sub_norm = \"mlp\""},
        Refusal{"layer_scale",
                ExportFormat::hugging_face,
                {{"image", {{"layer_scale", 0.1}}}},
                "model.image.layer_scale = 0.1"},
        Refusal{"one_quick", ExportFormat::open_clip, {{"image", {{"mlp", "quick_gelu"}}}}, "holds for both towers"},
        Refusal{
            "mean", ExportFormat::hugging_face, {{"image", {{"pooling", "mean"}}}}, "model.image.pooling = \"mean\""},
        Refusal{"small_map",
                ExportFormat::open_clip,
                {{"image", {{"pooling", "map"}, {"pre_norm", false}}}},
                "timm has none of this width"},
        Refusal{"projected_map",
                ExportFormat::hugging_face,
                {{"image", {{"pooling", "map"}, {"pre_norm", false}}}},
                "no identity matrix"},
        Refusal{"words",
                ExportFormat::open_clip,
                {{"text", {{"tokenizer", {{"tokenizer", "words"}}}}}},
                "--without-tokenizer writes the model alone"}),
    [](const auto& info) { return info.param.name; });

TEST_F(Exports, AreRefusedWithAllReasonsAtOnce) {
  EXPECT_THAT(refusal(settings_with({{"image", {{"registers", 4}, {"stem", "conv"}}}, {"text", {{"mlp", "swiglu"}}}}),
                      ExportFormat::open_clip),
              AllOf(HasSubstr("model.image.registers"), HasSubstr("model.image.stem"), HasSubstr("model.text.mlp")));
}

TEST_F(Exports, OfSettingsThatDoNotGoWithTheirTensorsAreRefused) {
  const Json changes = {{{"image", {{"heads", 0}}}},
                        {{"image", {{"layers", "two"}}}},
                        {{"text", {{"layers", 9}}}},
                        {{"embed_dim", "four"}},
                        {{"image", {{"mean", 1}}}}};
  for (const Json& change : changes) {
    ModelFile file = write_model(settings_with());
    file.model.merge_patch(change);
    for (const ExportFormat format : {ExportFormat::open_clip, ExportFormat::hugging_face})
      EXPECT_NE(fault_of([&] { static_cast<void>(plan_export(file, {.format = format})); }), "") << change;
  }
  ModelFile file = write_model(settings_with());
  file.model["image"]["layers"] = "two";
  EXPECT_THAT(fault_of([&] { static_cast<void>(plan_export(file, {.format = ExportFormat::hugging_face})); }),
              HasSubstr("values of another kind"));
}

TEST_F(Exports, AskWhatAFileOfOthersDoesNotSay) {
  ModelFile file = write_model(settings_with());
  file.questions = {{"image.mlp", "the activation"}, {"text.tokenizer.model", "the model"}};
  const ExportRequest request{.format = ExportFormat::open_clip, .tokenizer = false};
  EXPECT_THAT(fault_of([&] { static_cast<void>(plan_export(file, request)); }),
              AllOf(HasSubstr("model.image.mlp: the activation"), Not(HasSubstr("tokenizer"))));
  file.model["image"]["mlp"] = "gelu";
  EXPECT_EQ(fault_of([&] { static_cast<void>(plan_export(file, request)); }), "");
}

TEST_F(Exports, AreRefusedWhereATensorHasNoPlace) {
  const ModelFile file = write_model(settings_with(), false, {{"model.image.patch_head.mlp.weight", {2, 2}}});
  EXPECT_THAT(fault_of([&] { static_cast<void>(plan_export(file, {.format = ExportFormat::open_clip})); }),
              HasSubstr("patch head"));
}

TEST_F(Exports, LeaveACaptionDecoderOutOnRequestAlone) {
  const ModelFile file =
      write_model(settings_with(), false, {{"objective.decoder.blocks.0.cross_attention.key.weight", {2, 2}}});
  for (const ExportFormat format : {ExportFormat::open_clip, ExportFormat::safetensors}) {
    EXPECT_THAT(fault_of([&] { static_cast<void>(plan_export(file, {.format = format})); }),
                HasSubstr("--without-decoder"));
    const auto left_out = plan_export(file, {.format = format, .decoder = false});
    EXPECT_FALSE(left_out.tensors.contains("objective.decoder.blocks.0.cross_attention.key.weight"));
  }
}

TEST_F(Exports, OfTheTeacherHaveItsImageTower) {
  Shapes teacher;
  for (const auto& [name, shape] : shapes_of(settings_with()))
    if (name.starts_with("model.image.")) teacher["objective.teacher.image." + name.substr(12)] = shape;
  const ModelFile file = write_model(settings_with(), false, teacher);
  write(with_teacher(file), ExportFormat::open_clip);
  const ModelFile back = read_model_file(folder_);
  const std::string bias = "backbone.ln_post.bias";
  EXPECT_EQ(follow(back.tensors.at("model.image." + bias), *back.weights).values,
            follow(file.tensors.at("objective.teacher.image." + bias), *file.weights).values);
  EXPECT_EQ(follow(back.tensors.at("model.text.projection"), *back.weights).values,
            follow(file.tensors.at("model.text.projection"), *file.weights).values);
}

TEST_F(Exports, CarryTheFilesThatOptionsName) {
  std::ofstream(root_ / "own.model") << "pieces";
  const ModelFile file = write_model(settings_with(
      {{"text", {{"tokenizer", {{"tokenizer", "sentencepiece"}, {"model", (root_ / "own.model").string()}}}}}}));
  write(file, ExportFormat::safetensors);
  EXPECT_THAT(written(), UnorderedElementsAre("model.safetensors", "own.model"));
  const ModelFile back = read_model_file(folder_);
  EXPECT_EQ(back.model["text"]["tokenizer"]["model"], "own.model");
  EXPECT_EQ(option_file(back, "own.model"), folder_ / "own.model");
}

TEST_F(Exports, OfAVocabularyOfTheirOwnListItsTokens) {
  std::ofstream(root_ / "merges") << "#version\nr e\nre d</w>\n";
  Json settings = settings_with(
      {{"text", {{"tokenizer", {{"tokenizer", "clip_bpe"}, {"vocabulary", (root_ / "merges").string()}}}}}});
  ModelFile file = write_model(settings);
  EXPECT_THAT(fault_of([&] { static_cast<void>(plan_export(file, {.format = ExportFormat::hugging_face})); }),
              HasSubstr("the vocabulary has 517 tokens, and the text tower was trained with 259"));
  file.tensors["model.text.backbone.token_embedding.weight"].shape = {517, 12};
  const ModelExport planned = plan_export(file, {.format = ExportFormat::hugging_face});
  const Json vocabulary = Json::parse(planned.files.at("vocab.json"));
  EXPECT_EQ(vocabulary["!"], 0);
  EXPECT_EQ(vocabulary["red</w>"], 513);
  EXPECT_EQ(vocabulary["<|endoftext|>"], 516);
  EXPECT_EQ(planned.files.at("merges.txt"), "#version: 0.2\nr e\nre d</w>\n");
  EXPECT_EQ(Json::parse(planned.files.at("tokenizer_config.json"))["tokenizer_class"], "CLIPTokenizer");
}

TEST_F(Exports, DoNotWriteIntoAFolderOfOthers) {
  const ModelFile file = write_model(settings_with());
  fs::create_directories(folder_);
  write(file, ExportFormat::open_clip);  // an empty one is as good as none
  EXPECT_THAT(fault_of([&] { write(file, ExportFormat::hugging_face); }), HasSubstr("is not empty"));
  write(file, ExportFormat::hugging_face, /*replace=*/true);
  EXPECT_THAT(written(), Not(::testing::Contains("open_clip_config.json")));
  std::ofstream(folder_ / "thesis.tex") << "text";
  EXPECT_THAT(fault_of([&] { write(file, ExportFormat::open_clip, /*replace=*/true); }), HasSubstr("thesis.tex"));
  EXPECT_TRUE(fs::exists(folder_ / "thesis.tex"));
}

TEST_F(Exports, LeaveNothingBehindWhereTheDiskIsFull) {
  const ModelFile file = write_model(settings_with());
  const FileSystemCalls real = file_system_calls();
  file_system_calls().write = [](int, const void*, unsigned long) -> long {
    errno = ENOSPC;
    return -1;
  };
  const std::string fault = fault_of([&] { write(file, ExportFormat::open_clip); });
  file_system_calls() = real;
  EXPECT_THAT(fault, HasSubstr("No space left"));
  EXPECT_FALSE(fs::exists(folder_));
  EXPECT_FALSE(fs::exists(folder_.string() + ".tmp"));
}

}  // namespace
}  // namespace silc
