// Models in the formats of others against what their own Python computes (tests/reference/foreign_models.py). Where
// SILC_FOREIGN_MODELS names a folder that the script has filled (--full DIR), the same for those in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "engine/start.h"
#include "files/content_hash.h"
#include "plugin/loader.h"
#include "plugin/option_values.h"
#include "silc/error.h"
#include "silc/model.h"
#include "tests/files/temporary_folder.h"
#include "tests/nn/fixture.h"
#include "weights/model_file.h"

namespace silc {
namespace {

using ::testing::Contains;
using ::testing::Field;
using testing::Fixture;
using ::testing::IsEmpty;
using testing::near;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

namespace fs = std::filesystem;

constexpr double kTolerance = 2e-5;  // less than exact GELU and its approximation by tanh differ

fs::path stored(const std::string& name) { return fs::path(SILC_SOURCE_DIR "/tests/data/foreign") / name; }

// Folders of cases by name.
std::map<std::string, fs::path> cases() {
  std::vector<fs::path> folders = {stored("")};
  if (const char* const more = std::getenv("SILC_FOREIGN_MODELS")) folders.emplace_back(more);
  std::map<std::string, fs::path> found;
  for (const fs::path& folder : folders)
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
      if (fs::exists(entry.path() / "case.json")) found[entry.path().filename().string()] = entry.path();
  return found;
}

const Catalogue& built_in() {
  static const Catalogue catalogue = Catalogue::scan(std::vector<fs::path>{fs::path(SILC_BINARY_DIR) / "plugins"});
  return catalogue;
}

// A model of others made of silc's parts, with the settings that silc reads from its files and those that a case's user
// gives.
class Imported {
 public:
  // `changes`: settings in place of the case's, by key of an experiment's [model].
  explicit Imported(const fs::path& folder, const Json& changes = Json::object()) {
    const Json about = Json::parse(std::ifstream(folder / "case.json"));
    file_ = read_model_file(folder / about["path"].get<std::string>());
    weights_ = weights_of({{.path = file_.path, .hash = content_hash(file_.files), .weights = "student", .share = 1}});
    expected_ = testing::load_tensors(folder / "expected.safetensors");
    Json given = about["given"];
    for (const Question& question : file_.questions)
      EXPECT_TRUE(given.contains("model." + question.key) || question.key.starts_with("text.tokenizer"))
          << "nobody answers: " << question.key;
    given.update(changes);
    for (const auto& [key, value] : given.items()) {
      const auto dot = key.find('.'), last = key.rfind('.');
      file_.model[key.substr(dot + 1, last - dot - 1)][key.substr(last + 1)] = value;
    }
    make_image();
    if (file_.has("text")) make_text();
  }

  [[nodiscard]] const ModelFile& file() const { return file_; }
  [[nodiscard]] const Json& settings() const { return file_.model; }
  [[nodiscard]] const Fixture& expected() const { return expected_; }
  [[nodiscard]] ImageTower& image() { return *image_; }
  [[nodiscard]] TextTower& text() { return *text_; }

  // What silc computes of what the fixture has.
  Fixture features() {
    const torch::NoGradGuard no_grad;
    Fixture result;
    const ImageFeatures seen = image_->forward(expected_.at("pixels"));
    result["pooled"] = seen.pooled;
    result["patches"] = seen.patches;
    if (expected_.contains("localized")) result["localized"] = backbone_->localize(seen);
    if (expected_.contains("pixels_resized"))
      result["pooled_resized"] = image_->forward(expected_.at("pixels_resized")).pooled;
    if (!text_) return result;
    result["image"] = image_->embed_image(seen);
    result["text"] = text_->embed(expected_.at("tokens"));
    result["logits"] =
        temperature("logit_scale", 0).exp() * result["image"].matmul(result["text"].t()) + temperature("logit_bias", 0);
    return result;
  }

 private:
  void make_image() {
    const Json& settings = file_.model["image"];
    const PluginInfo& plugin = built_in().require(PluginKind::image_backbone, settings["backbone"].get<std::string>());
    const Options options = options_from_json(plugin, declared(plugin, settings));
    backbone_ = make_image_backbone(plugin, {.options = options, .image_size = settings["image_size"]});
    const int64_t embed_dim = file_.has("text") ? file_.model["embed_dim"].get<int64_t>() : backbone_->width();
    image_ = std::make_shared<ImageTower>(backbone_, embed_dim, settings.value("projection_bias", false));
    load(*image_, "model.image.");
    image_->eval();  // batch norms
  }

  void make_text() {
    const Json& settings = file_.model["text"];
    const PluginInfo& plugin = built_in().require(PluginKind::text_backbone, settings["backbone"].get<std::string>());
    const Options options = options_from_json(plugin, declared(plugin, settings));
    const int64_t vocabulary = file_.tensors.at("model.text.backbone.token_embedding.weight").shape.at(0);
    const auto backbone = make_text_backbone(plugin, {.options = options,
                                                      .vocabulary_size = vocabulary,
                                                      .context_length = settings["context_length"],
                                                      .padding_id = 0,
                                                      .end_id = vocabulary - 1});
    text_ = std::make_shared<TextTower>(backbone, file_.model["embed_dim"].get<int64_t>(),
                                        settings.value("projection_bias", false));
    load(*text_, "model.text.");
  }

  // Settings without those that stand beside the plugin's options.
  static Json declared(const PluginInfo& plugin, Json settings) {
    for (const std::string_view key : reserved_keys(plugin.kind)) settings.erase(std::string(key));
    return settings;
  }

  // As an engine does. Every tensor of the file that is for this tower has a place in it.
  void load(torch::nn::Module& tower, const std::string& prefix) {
    auto places = tower.named_parameters();
    for (const auto& buffer : tower.named_buffers()) places.insert(buffer.key(), buffer.value());
    for (const auto& place : places)
      if (file_.has("text") || place.key().starts_with("backbone."))
        weights_->copy(prefix + place.key(), place.value());
    for (const auto& [name, shape] : weights_->shapes())
      EXPECT_TRUE(!name.starts_with(prefix) || places.contains(name.substr(prefix.size()))) << "no place for " << name;
  }

  [[nodiscard]] at::Tensor temperature(const std::string& last, float standard) const {
    const std::string name = "objective.contrastive." + last;
    at::Tensor value = at::full({}, standard);
    if (weights_->shapes().contains(name)) weights_->copy(name, value);
    return value;
  }

  ModelFile file_;
  std::unique_ptr<const StartWeights> weights_;
  Fixture expected_;
  std::shared_ptr<ImageBackbone> backbone_;
  std::shared_ptr<ImageTower> image_;
  std::shared_ptr<TextTower> text_;
};

void expect_features(Imported& model, const std::vector<std::string>& names) {
  const Fixture features = model.features();
  for (const std::string& name : names)
    EXPECT_TRUE(near(features.at(name), model.expected().at(name), kTolerance)) << name;
}

bool is_seen(const std::string& name) { return name != "pixels" && name != "tokens" && name != "pixels_resized"; }

class ForeignModel : public ::testing::TestWithParam<std::string> {};

TEST_P(ForeignModel, ComputesWhatItsOwnPythonDoes) {
  Imported model(cases().at(GetParam()));
  if (HasFatalFailure()) return;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : model.expected())
    if (is_seen(name)) names.push_back(name);
  expect_features(model, names);
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& [name, folder] : cases()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Each, ForeignModel, ::testing::ValuesIn(case_names()),
                         [](const auto& info) { return info.param; });

// The greatest difference that `changes` make to a feature.
double difference(const std::string& name, const Json& changes, const std::string& feature) {
  Imported model(stored(name), changes);
  return (model.features().at(feature) - model.expected().at(feature)).abs().max().item<double>();
}

TEST(ForeignModels, OfOpenAiHaveQuickGelu) {
  const ModelFile file = read_model_file(stored("openai_script/model.pt"));
  EXPECT_EQ(file.model["image"]["mlp"], "quick_gelu");
  EXPECT_EQ(file.model["text"]["mlp"], "quick_gelu");
  EXPECT_GT(difference("openai_script", {{"model.image.mlp", "gelu"}}, "image"), 1e-3);
  EXPECT_GT(difference("openai_script", {{"model.text.mlp", "gelu"}}, "text"), 1e-3);
}

TEST(ForeignModels, AskForTheActivationThatAStateDictDoesNotTell) {
  const ModelFile bare = read_model_file(stored("open_clip_quick_gelu"));
  EXPECT_THAT(bare.questions, Contains(Field(&Question::key, "image.mlp")));
  EXPECT_THAT(bare.questions, Contains(Field(&Question::key, "text.mlp")));
  const ModelFile with_settings = read_model_file(stored("open_clip_hub/model"));
  EXPECT_THAT(with_settings.questions, Not(Contains(Field(&Question::key, StartsWith("image.")))));
  EXPECT_EQ(with_settings.model["image"]["mlp"], "quick_gelu");
}

class Siglips : public ::testing::TestWithParam<std::string> {};

TEST_P(Siglips, ReadTheirPaddingToo) {
  Imported model(stored(GetParam()));
  EXPECT_EQ(model.settings()["text"]["mask"], "bidirectional");
  EXPECT_EQ(model.settings()["text"]["pooling"], "last");
  const at::Tensor tokens = model.expected().at("tokens"), expected = model.expected().at("text");
  EXPECT_EQ(model.settings()["text"]["context_length"], tokens.size(1));
  const torch::NoGradGuard no_grad;
  const at::Tensor shorter = model.text().embed(tokens.slice(1, 0, tokens.size(1) - 1));
  EXPECT_GT((shorter - expected).abs().max().item<double>(), 1e-3);
  const at::Tensor others = at::where(tokens == tokens.min(), at::full_like(tokens, 5), tokens);
  EXPECT_GT((model.text().embed(others) - expected).abs().max().item<double>(), 1e-3);
}

TEST_P(Siglips, GiveEachPatchWhatAttentionPoolingWouldForItAlone) {
  Imported model(stored(GetParam()));
  expect_features(model, {"localized"});
}

INSTANTIATE_TEST_SUITE_P(Each, Siglips,
                         ::testing::Values("open_clip_siglip_hub", "open_clip_siglip_file", "hf_siglip",
                                           "big_vision_siglip", "big_vision_siglip_scanned"),
                         [](const auto& info) { return info.param; });

// The tokenizer that a model's settings name, with the pieces of a stored model of SentencePiece.
std::shared_ptr<Tokenizer> tokenizer_of(Json settings, const std::string& pieces) {
  const PluginInfo& plugin = built_in().require(PluginKind::tokenizer, settings["tokenizer"].get<std::string>());
  settings.erase("tokenizer");
  settings["model"] = SILC_SOURCE_DIR "/tests/data/sentencepiece_" + pieces + ".model";
  const Options options = options_from_json(plugin, settings);
  return make_tokenizer(plugin, {.options = options, .caption_count = 0, .caption = {}});
}

TEST(ForeignModels, ReadTextsLowerCasedAndPaddedToTheirContextAsTheyWereTrained) {
  constexpr int64_t kEnd = 1;
  for (const std::string name : {"hf_siglip/model", "big_vision_siglip/model.npz", "open_clip_siglip_hub/model"}) {
    const Json text = read_model_file(stored(name)).model["text"];
    const auto tokenizer = tokenizer_of(text["tokenizer"], "siglip");
    const int64_t length = text["context_length"];
    const std::vector<int64_t> ids = tokenizer->encode("A CAT", length);
    EXPECT_EQ(ids, tokenizer->encode("a cat", length)) << name;
    EXPECT_EQ(static_cast<int64_t>(ids.size()), length) << name;
    EXPECT_EQ(ids.back(), kEnd) << name;
    EXPECT_EQ(ids[ids.size() - 2], kEnd) << name;
  }
}

TEST(ForeignModels, ReadTextsWithoutPunctuationWhereOpenClipSaysSo) {
  const auto same = [](const std::string& name) {
    const auto tokenizer = tokenizer_of(read_model_file(stored(name)).model["text"]["tokenizer"], "siglip");
    return tokenizer->encode(" a photo, of a cat! ", 16) == tokenizer->encode("a photo of a cat", 16);
  };
  EXPECT_TRUE(same("open_clip_siglip_hub/model"));  // tokenizer_kwargs: {"clean": "canonicalize"}
  EXPECT_FALSE(same("hf_siglip/model"));            // as trained
}

TEST(ForeignModels, OfSiglip2PadWithTheirOwnPaddingToken) {
  const TemporaryFolder folder;
  fs::copy(stored("hf_siglip/model"), folder / "model");
  fs::remove(folder / "model/model.safetensors");
  const SafetensorsFile file(stored("hf_siglip/model/model.safetensors"));
  auto tensors = file.tensors();
  TensorView& table = tensors.at("text_model.embeddings.token_embedding.weight");
  table.shape[0] = 256'000;  // Gemma's pieces
  const std::vector<float> zeros(static_cast<std::size_t>(table.shape[0] * table.shape[1]));
  table.bytes = std::as_bytes(std::span(zeros));
  write_safetensors(folder / "model/model.safetensors", tensors, {});
  const Json tokenizer = read_model_file(folder / "model").model["text"]["tokenizer"];
  EXPECT_EQ(tokenizer_of(tokenizer, "gemma")->encode("a", 8).back(), 0);
}

TEST(ForeignModels, OfBigVisionHaveGeluByTanh) {
  const ModelFile file = read_model_file(stored("big_vision_siglip/model.npz"));
  EXPECT_EQ(file.model["image"]["mlp"], "gelu_tanh");
  EXPECT_EQ(file.model["text"]["mlp"], "gelu_tanh");
  EXPECT_GT(difference("big_vision_siglip", {{"model.image.mlp", "gelu"}}, "pooled"), 1e-4);
}

TEST(ForeignModels, OfSiglipInOpenClipHaveTheGeluThatTimmGivesThem) {
  const auto activation = [](const std::string& name, const char* tower) {
    return read_model_file(stored(name + "/model")).model[tower]["mlp"];
  };
  EXPECT_EQ(activation("open_clip_siglip_hub", "image"), "gelu");
  EXPECT_EQ(activation("open_clip_siglip_hub", "text"), "gelu");
  EXPECT_EQ(activation("open_clip_siglip_tanh_hub", "image"), "gelu_tanh");
  EXPECT_EQ(activation("open_clip_siglip_tanh_hub", "text"), "gelu_tanh");
}

TEST(ForeignModels, HaveAPositionForTheClassTokenOrNone) {
  for (const std::string name : {"timm_vit", "dinov2_native", "augreg_vit", "big_vision_vit"}) {
    Imported model(stored(name));
    EXPECT_EQ(model.settings()["image"]["image_size"], model.expected().at("pixels").size(3)) << name;
    expect_features(model, {"pooled", "patches"});
  }
}

TEST(ForeignModels, ResamplePositionsForPicturesOfAnotherSizeAsOpenClipDoes) {
  Imported as_it_is(stored("open_clip_gelu"));
  const int64_t size = as_it_is.expected().at("pixels_resized").size(3);
  EXPECT_NE(as_it_is.settings()["image"]["image_size"], size);
  expect_features(as_it_is, {"pooled_resized"});

  Imported for_that_size(stored("open_clip_gelu"), {{"model.image.image_size", size}});
  expect_features(for_that_size, {"pooled_resized"});
}

// The stored model with another value in the place of its temperature.
fs::path with_temperature(const TemporaryFolder& folder, float value) {
  const SafetensorsFile file(stored("open_clip_gelu/model.safetensors"));
  auto tensors = file.tensors();
  tensors.at("logit_scale").bytes = std::as_bytes(std::span(&value, 1));
  write_safetensors(folder / "model.safetensors", tensors, {});
  return folder / "model.safetensors";
}

TEST(ForeignModels, StoreTheTemperatureAsALogarithmOrNot) {
  const TemporaryFolder folder;
  for (const auto& [stored, logarithm] :
       {std::pair{4.6052F, 4.6052F}, std::pair{100.0F, 4.6052F}, std::pair{-0.5F, -0.5F}}) {
    const ModelFile file = read_model_file(with_temperature(folder, stored));
    const HostTensor read = follow(file.tensors.at("objective.contrastive.logit_scale"), *file.weights);
    EXPECT_NEAR(read.values.at(0), logarithm, 1e-4) << stored;
    EXPECT_EQ(std::any_of(file.assumed.begin(), file.assumed.end(),
                          [](const std::string& text) { return text.find("logit_scale") != std::string::npos; }),
              stored == 100.0F);
  }
}

TEST(ForeignModels, ComputeInFp32WithWeightsOfTwoBytes) {
  for (const std::string name : {"open_clip_fp16", "open_clip_bf16", "big_vision_siglip_bf16", "openai_script"}) {
    Imported model(stored(name));
    for (const at::Tensor& parameter : model.image().parameters()) EXPECT_EQ(parameter.scalar_type(), at::kFloat);
    const Fixture features = model.features();
    EXPECT_EQ(features.at("logits").scalar_type(), at::kFloat);
    EXPECT_TRUE(near(features.at("logits"), model.expected().at("logits"), kTolerance)) << name;
  }
}

TEST(ForeignModels, LeaveNothingOfTheirFilesUnexplained) {
  EXPECT_THAT(read_model_file(stored("hf_siglip/model")).left, IsEmpty());
  EXPECT_THAT(
      read_model_file(stored("hf_clip_quick_gelu/model")).left,
      ::testing::UnorderedElementsAre("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"));
  EXPECT_THAT(read_model_file(stored("openai_script/model.pt")).left,
              ::testing::UnorderedElementsAre("context_length", "input_resolution", "vocab_size"));
}

}  // namespace
}  // namespace silc
