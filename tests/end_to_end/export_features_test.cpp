// Exported models in the Python that they are for: open_clip and transformers give the features that silc computes.
// Skipped where no Python is found that has these packages.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "files/safetensors.h"
#include "nn/precision.h"
#include "silc/backbone.h"
#include "silc/model.h"
#include "silc/tokenizer.h"
#include "tests/files/python.h"
#include "tests/files/temporary_folder.h"
#include "tests/plugins/declared.h"
#include "weights/export.h"

extern "C" silc::ImageBackbone* silc_image_backbone_vit(const silc::ImageBackboneContext& context);
extern "C" silc::TextBackbone* silc_text_backbone_text_transformer(const silc::TextBackboneContext& context);
extern "C" silc::Tokenizer* silc_tokenizer_clip_bpe(const silc::TokenizerContext& context);
extern "C" silc::Tokenizer* silc_tokenizer_bytes(const silc::TokenizerContext& context);
extern "C" silc::Tokenizer* silc_tokenizer_sentencepiece(const silc::TokenizerContext& context);

namespace silc {
namespace {

namespace fs = std::filesystem;
using Changes = std::map<std::string, OptionValue>;

constexpr int64_t kImageSize = 16;
constexpr int64_t kContextLength = 12;
constexpr int64_t kEmbedDim = 8;
constexpr double kScale = 2.5, kBias = -3.5;  // of the loss

struct Tokenizing {
  std::string name;
  Changes options;
};

struct Exported {
  std::string name;
  Changes image, text;
  Tokenizing tokenizer;
  int64_t embed_dim = kEmbedDim;
  bool sigmoid = false;    // the loss has a bias
  bool identity = false;   // pictures are not projected
  bool text_bias = false;  // the projection of texts has a bias
};

std::string text(const char* value) { return value; }

const Tokenizing kMerges{"clip_bpe", {{"vocabulary", SILC_SOURCE_DIR "/tests/data/clip_vocabulary.txt.gz"}}};
const Tokenizing kBytes{"bytes", {}};
const Tokenizing kPieces{"sentencepiece",
                         {{"model", SILC_SOURCE_DIR "/tests/data/sentencepiece_siglip.model"},
                          {"clean", std::string("without_punctuation")}}};
const Changes kMap = {{"pooling", text("map")}, {"pre_norm", false}, {"mlp", text("gelu_tanh")}, {"norm_eps", 1e-6}};
const Changes kBiasedMap = {{"pooling", text("map")},
                            {"pre_norm", false},
                            {"patch_bias", true},
                            {"mlp", text("gelu_tanh")},
                            {"norm_eps", 1e-6}};
const Changes kLast = {
    {"pooling", text("last")}, {"mask", text("bidirectional")}, {"mlp", text("gelu_tanh")}, {"norm_eps", 1e-6}};

const std::vector<std::string> kTexts = {"a photo of two red cats", "x", "it's 2026, and we're here!",
                                         "a much longer sentence than there is room for in these few tokens"};

std::unique_ptr<Tokenizer> make_tokenizer(const Tokenizing& tokenizing, const Options& options) {
  const TokenizerContext context{options, 0, {}};
  if (tokenizing.name == "bytes") return std::unique_ptr<Tokenizer>(silc_tokenizer_bytes(context));
  if (tokenizing.name == "clip_bpe") return std::unique_ptr<Tokenizer>(silc_tokenizer_clip_bpe(context));
  return std::unique_ptr<Tokenizer>(silc_tokenizer_sentencepiece(context));
}

nlohmann::json settings_of(const std::string& key, const std::string& plugin, const Options& options) {
  nlohmann::json settings = {{key, plugin}};
  for (const auto& [name, value] : options.values())
    std::visit([&, &name = name](const auto& held) { settings[name] = held; }, value);
  return settings;
}

// Values by which every parameter matters.
void randomize(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  for (auto& parameter : module.named_parameters()) {
    const bool gain = parameter.key().find("ln_") != std::string::npos && parameter.key().ends_with("weight");
    parameter.value().copy_(at::randn_like(parameter.value()) * 0.2 + (gain ? 1 : 0));
  }
}

// A model with random weights, and what it computes.
class Case {
 public:
  explicit Case(const Exported& exported) : exported_(exported) {
    Changes image = {{"width", int64_t{16}}, {"layers", int64_t{2}}, {"heads", int64_t{2}}, {"patch", int64_t{4}}};
    Changes text = {{"width", int64_t{24}}, {"layers", int64_t{2}}, {"heads", int64_t{3}}};
    for (const auto& [key, value] : exported.image) image[key] = value;
    for (const auto& [key, value] : exported.text) text[key] = value;
    const Options image_options = testing::options_of("vit", image);
    const Options text_options = testing::options_of("text_transformer", text);
    const Options tokenizer_options = testing::options_of(exported.tokenizer.name, exported.tokenizer.options);
    tokenizer_ = make_tokenizer(exported.tokenizer, tokenizer_options);
    at::manual_seed(1);
    model_ = std::make_shared<DualEncoder>(
        std::make_shared<ImageTower>(std::shared_ptr<ImageBackbone>(
                                         silc_image_backbone_vit({.options = image_options, .image_size = kImageSize})),
                                     exported.embed_dim, /*projection_bias=*/false),
        std::make_shared<TextTower>(std::shared_ptr<TextBackbone>(silc_text_backbone_text_transformer(
                                        {.options = text_options,
                                         .vocabulary_size = tokenizer_->vocabulary_size(),
                                         .context_length = kContextLength,
                                         .padding_id = tokenizer_->padding_id(),
                                         .end_id = tokenizer_->end_id()})),
                                    exported.embed_dim, exported.text_bias));
    randomize(*model_);
    const torch::NoGradGuard no_grad;
    if (exported.identity) model_->image->named_parameters()["projection"].copy_(at::eye(exported.embed_dim));
    settings_ = {{"embed_dim", exported.embed_dim},
                 {"image", settings_of("backbone", "vit", image_options)},
                 {"text", settings_of("backbone", "text_transformer", text_options)}};
    settings_["image"]["image_size"] = kImageSize;
    settings_["text"]["context_length"] = kContextLength;
    settings_["text"]["projection_bias"] = exported.text_bias;
    settings_["text"]["tokenizer"] = settings_of("tokenizer", exported.tokenizer.name, tokenizer_options);
  }

  // What check_export.py takes.
  void write(const fs::path& folder, ExportFormat format) const {
    fs::create_directories(folder);
    write_model(folder / "model.safetensors");
    write_expected(folder);
    const ModelFile file = read_model_file(folder / "model.safetensors");
    write_export(plan_export(file, {.format = format}), file, folder / "export", /*replace=*/false);
  }

 private:
  static void write_tensors(const fs::path& file, const std::map<std::string, at::Tensor>& tensors,
                            const std::map<std::string, std::string>& metadata = {}) {
    std::map<std::string, TensorView> views;
    for (const auto& [name, tensor] : tensors)
      views[name] = {tensor.scalar_type() == at::kLong ? "I64" : "F32",
                     tensor.sizes().vec(),
                     {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}};
    write_safetensors(file, views, metadata);
  }

  void write_model(const fs::path& file) const {
    std::map<std::string, at::Tensor> tensors = {{"objective.loss.logit_scale", at::scalar_tensor(kScale)}};
    if (exported_.sigmoid) tensors["objective.loss.logit_bias"] = at::scalar_tensor(kBias);
    for (const auto& parameter : model_->named_parameters())
      tensors["model." + parameter.key()] = parameter.value().detach().contiguous();
    write_tensors(file, tensors, {{std::string(kModelMetadata), settings_.dump()}});
  }

  void write_expected(const fs::path& folder) const {
    const torch::NoGradGuard no_grad;
    const auto pixels = at::randn({3, 3, kImageSize, kImageSize});
    std::vector<int64_t> tokens;
    nlohmann::json texts = {{"texts", kTexts}, {"ids", nlohmann::json::array()}};
    for (const std::string& text : kTexts) {
      const std::vector<int64_t> row = tokenizer_->encode(text, kContextLength);
      tokens.insert(tokens.end(), row.begin(), row.end());
      const auto end = std::find(row.begin(), row.end(), tokenizer_->end_id());
      texts["ids"].push_back(std::vector<int64_t>(row.begin(), end + 1));
    }
    std::ofstream(folder / "texts.json") << texts;
    const auto rows = at::tensor(tokens, at::kLong).view({-1, kContextLength});
    const auto image = model_->image->embed_image(model_->image->forward(pixels));
    const auto text = model_->text->embed(rows);
    const auto logits = at::matmul(image, text.t()) * std::exp(kScale) + (exported_.sigmoid ? kBias : 0.0);
    write_tensors(folder / "expected.safetensors",
                  {{"pixels", pixels}, {"tokens", rows}, {"image", image}, {"text", text}, {"logits", logits}});
  }

  Exported exported_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::shared_ptr<DualEncoder> model_;
  nlohmann::json settings_;
};

// A model of others (tests/reference/foreign_models.py), with what its own Python computes.
void write_foreign(const std::string& name, const fs::path& folder, ExportFormat format) {
  const fs::path from = fs::path(SILC_SOURCE_DIR "/tests/data/foreign") / name;
  const auto described = nlohmann::json::parse(std::ifstream(from / "case.json"));
  ModelFile file = read_model_file(from / described["path"].get<std::string>());
  for (const auto& [key, value] : described["given"].items()) {
    std::string pointer = key.substr(std::string("model").size());
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    file.model[nlohmann::json::json_pointer(pointer)] = value;
  }
  fs::create_directories(folder);
  fs::copy_file(from / "expected.safetensors", folder / "expected.safetensors");
  write_export(plan_export(file, {.format = format, .tokenizer = false}), file, folder / "export", /*replace=*/false);
}

// `package`: as check_export.py and --format call it. `foreign`: models of others that it has a place for.
void expect_the_same_features(const std::string& package, const std::vector<Exported>& models,
                              const std::vector<std::string>& foreign) {
  const TemporaryFolder temporary;
  const ExportFormat format = parse_export_format(package);
  std::vector<std::string> names = foreign;
  for (const Exported& model : models) Case(model).write(temporary.path() / model.name, format);
  for (const std::string& name : foreign) write_foreign(name, temporary.path() / name, format);
  for (const Exported& model : models) names.push_back(model.name);
  std::string arguments = SILC_SOURCE_DIR "/tests/reference/check_export.py " + package;
  for (const std::string& name : names) arguments += " '" + (temporary.path() / name).string() + "'";
  std::string missing;
  const auto checked = testing::run_python(arguments, missing);
  if (!checked) GTEST_SKIP() << "no Python here can load " << package << ":\n" << missing;
  EXPECT_EQ(checked->exit_code, 0) << checked->output;
  for (const std::string& name : names) EXPECT_NE(checked->output.find(name + ": image"), std::string::npos) << name;
}

TEST(ExportedModels, GiveTheSameFeaturesAndIdsInOpenClip) {
  expect_the_same_features(
      "open_clip",
      {{"clip", {}, {}, kMerges},
       {"quick_gelu", {{"mlp", text("quick_gelu")}}, {{"mlp", text("quick_gelu")}}, kBytes},
       {"tanh_and_eps",
        {{"mlp", text("gelu_tanh")}, {"norm_eps", 1e-3}, {"pre_norm", false}},
        {{"mlp", text("gelu_tanh")}, {"norm_eps", 1e-2}, {"mask", text("bidirectional")}},
        kBytes},
       {"scaled_layers", {{"layer_scale", 0.5}, {"mlp_ratio", 3.3}}, {{"mlp_ratio", 1.7}}, kMerges, kEmbedDim, true},
       {"inner_norms", {{"qk_norm", true}, {"sub_norm", text("all")}}, {}, kMerges},
       {"mlp_norm", {{"sub_norm", text("mlp")}}, {{"pooling", text("last")}}, kBytes},
       {"pieces",
        {{"pooling", text("mean")}, {"class_token", true}},
        {{"pooling", text("last")}, {"mask", text("bidirectional")}},
        kPieces,
        kEmbedDim,
        /*sigmoid=*/true,
        /*identity=*/false,
        /*text_bias=*/true},
       {"pieces_and_eot", {}, {}, kPieces}},
      {"hf_clip_quick_gelu", "hf_clip_sharded", "open_clip_average", "open_clip_hub", "openai_script"});
}

TEST(ExportedModels, GiveTheSameFeaturesAndIdsInTransformers) {
  expect_the_same_features(
      "huggingface",
      {{"clip", {}, {}, kMerges},
       {"activations",
        {{"mlp", text("quick_gelu")}, {"norm_eps", 1e-3}},
        {{"mlp", text("gelu_tanh")}, {"norm_eps", 1e-2}, {"mlp_ratio", 1.7}},
        kBytes},
       {"siglip", kBiasedMap, kLast, kPieces, 16, /*sigmoid=*/true, /*identity=*/true, true},
       {"map_without_bias", kMap, kLast, kBytes, 16, false, /*identity=*/true}},
      {"big_vision_siglip", "hf_siglip", "open_clip_hub_gelu", "open_clip_siglip_hub", "openai_script"});
}

}  // namespace
}  // namespace silc
