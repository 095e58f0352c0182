#include "weights/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "files/durable_file.h"
#include "files/safetensors.h"
#include "silc/error.h"
#include "tests/files/temporary_folder.h"

namespace silc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

namespace fs = std::filesystem;

// What the programs of others wrote (tests/reference/foreign_models.py).
fs::path stored(const std::string& name) { return SILC_SOURCE_DIR "/tests/data/foreign/" + name; }

// A copy of a stored model that may be damaged.
class CopiedModel {
 public:
  explicit CopiedModel(const std::string& name) { fs::copy(stored(name), path(), fs::copy_options::recursive); }

  [[nodiscard]] fs::path path() const { return folder_ / "model"; }
  [[nodiscard]] fs::path operator/(const std::string& name) const { return path() / name; }

  void write(const std::string& name, const std::string& content) const {
    std::ofstream(*this / name, std::ios::binary) << content;
  }

  // `change` of the JSON in a file.
  template <class Change>
  void edit(const std::string& name, const Change& change) const {
    Json content = Json::parse(read_file(*this / name));
    change(content);
    write(name, content.dump());
  }

 private:
  TemporaryFolder folder_;
};

// Why a model is not read, its values too; empty where it is.
std::string refusal(const fs::path& path) {
  try {
    const ModelFile model = read_model_file(path);
    for (const auto& [name, recipe] : model.tensors) static_cast<void>(follow(recipe, *model.weights));
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ModelFiles, AreFoundInTheFoldersThatOthersWrite) {
  EXPECT_EQ(weights_in(stored("hf_siglip/model")).filename(), "model.safetensors");
  EXPECT_EQ(weights_in(stored("hf_clip_sharded/model")).filename(), "model.safetensors.index.json");
  EXPECT_EQ(weights_in(stored("open_clip_hub/model")).filename(), "open_clip_model.safetensors");
  EXPECT_EQ(weights_in(stored("timm_vit/model.pth")), stored("timm_vit/model.pth"));
}

TEST(ModelFiles, NameTheirFamily) {
  EXPECT_EQ(read_model_file(stored("open_clip_checkpoint/epoch_3.pt")).family, "open_clip");
  EXPECT_EQ(read_model_file(stored("openai_script/model.pt")).family, "OpenAI's CLIP");
  EXPECT_EQ(read_model_file(stored("hf_siglip/model")).family, "Hugging Face's siglip");
  EXPECT_EQ(read_model_file(stored("big_vision_siglip/model.npz")).family, "big_vision");
  EXPECT_EQ(read_model_file(stored("dinov2_native/model.pth")).family, "timm");
}

TEST(ModelFiles, MayLieBesideTheSameModelOfAnotherFamily) {
  const CopiedModel both("open_clip_hub/model");
  for (const char* const name : {"config.json", "model.safetensors"})
    fs::copy(stored("hf_clip_quick_gelu/model") / name, both / name);
  EXPECT_EQ(read_model_file(both.path()).family, "Hugging Face's clip");
  EXPECT_EQ(read_model_file(both / "open_clip_model.safetensors").family, "open_clip");
}

TEST(ModelFiles, LeaveTheOptimizerOfACheckpointAside) {
  const ModelFile model = read_model_file(stored("open_clip_checkpoint/epoch_3.pt"));
  EXPECT_TRUE(std::all_of(model.left.begin(), model.left.end(),
                          [](const std::string& name) { return name.starts_with("optimizer."); }));
  EXPECT_FALSE(model.left.empty());
}

TEST(ModelFiles, OfSeveralFilesMissNone) {
  const CopiedModel model("hf_clip_sharded/model");
  fs::remove(model / "model-00002-of-00002.safetensors");
  EXPECT_THAT(refusal(model.path()), AllOf(HasSubstr((model / "model.safetensors.index.json").string()),
                                           HasSubstr("model-00002-of-00002.safetensors"), HasSubstr("fetch it")));
}

TEST(ModelFiles, OfSeveralFilesAreWhereTheirIndexSays) {
  const CopiedModel model("hf_clip_sharded/model");
  model.edit("model.safetensors.index.json",
             [](Json& index) { index["weight_map"]["logit_scale"] = "model-00002-of-00002.safetensors"; });
  EXPECT_THAT(refusal(model.path()), AllOf(HasSubstr("\"logit_scale\""), HasSubstr("model-00002-of-00002.safetensors"),
                                           HasSubstr("does not have it")));
}

TEST(ModelFiles, ReachForNoFileOutsideTheirFolder) {
  const CopiedModel model("hf_clip_sharded/model");
  for (const std::string name : {"../elsewhere.safetensors", "/etc/passwd", "..", "", "folder/file.safetensors"}) {
    model.edit("model.safetensors.index.json", [&](Json& index) { index["weight_map"]["logit_scale"] = name; });
    EXPECT_THAT(refusal(model.path()), AllOf(HasSubstr("\"" + name + "\""), HasSubstr("does not lie beside it")))
        << name;
  }
}

TEST(ModelFiles, CutShortAreRefusedByTheFilesName) {
  const CopiedModel model("hf_clip_sharded/model");
  const fs::path shard = model / "model-00002-of-00002.safetensors";
  fs::resize_file(shard, fs::file_size(shard) / 2);
  EXPECT_THAT(refusal(model.path()), HasSubstr(shard.string()));
}

TEST(ModelFiles, WithATensorOfAnotherShapeAreRefusedWithFileAndTensor) {
  for (const auto& [name, tensor] : std::vector<std::pair<std::string, std::string>>{
           {"hf_siglip/model", "vision_model.post_layernorm.weight"},
           {"hf_clip_quick_gelu/model", "text_projection.weight"},
           {"hf_dinov2/model", "encoder.layer.1.attention.attention.key.weight"}}) {
    const CopiedModel model(name);
    const fs::path file = model / "model.safetensors";
    const std::string before = read_file(file);
    fs::rename(file, model / "sound");
    const SafetensorsFile sound(model / "sound");
    auto tensors = sound.tensors();
    TensorView& view = tensors.at(tensor);
    view.shape = {view.shape[0] - 1, view.shape.size() > 1 ? view.shape[1] : 1};
    view.bytes = view.bytes.first(static_cast<std::size_t>(view.shape[0] * view.shape[1]) * 4);
    write_safetensors(file, tensors, {});
    fs::remove(model / "sound");
    EXPECT_THAT(refusal(model.path()),
                AllOf(HasSubstr(file.string()), HasSubstr(tensor), HasSubstr(shape_text(view.shape))))
        << name;
  }
}

TEST(ModelFiles, WithATensorTooFewOrTooManyAreRefusedWithItsName) {
  const CopiedModel model("hf_siglip/model");
  const fs::path file = model / "model.safetensors";
  fs::rename(file, model / "sound");
  const SafetensorsFile sound(model / "sound");
  auto tensors = sound.tensors();
  const TensorView bias = tensors.at("text_model.head.bias");
  tensors.erase("text_model.head.bias");
  write_safetensors(file, tensors, {});
  EXPECT_THAT(refusal(file), AllOf(HasSubstr(file.string()), HasSubstr("missing: \"text_model.head.bias\"")));
  tensors["text_model.head.bias"] = bias;
  tensors["text_model.adapter.bias"] = bias;
  write_safetensors(file, tensors, {});
  EXPECT_THAT(refusal(file), AllOf(HasSubstr(file.string()), HasSubstr("unknown: \"text_model.adapter.bias\"")));
}

TEST(ModelFiles, WithSettingsOfAnotherKindAreRefusedWithTheirFile) {
  const auto refuse = [](const std::string& name, const std::string& settings, const auto& change) {
    const CopiedModel model(name);
    model.edit(settings, change);
    return refusal(model.path());
  };
  EXPECT_THAT(refuse("hf_siglip/model", "config.json",
                     [](Json& config) { config["vision_config"]["num_attention_heads"] = "many"; }),
              AllOf(HasSubstr("config.json"), HasSubstr("num_attention_heads")));
  EXPECT_THAT(
      refuse("hf_siglip/model", "config.json", [](Json& config) { config["vision_config"]["hidden_act"] = "relu"; }),
      AllOf(HasSubstr("config.json"), HasSubstr("relu")));
  EXPECT_THAT(refuse("hf_siglip/model", "config.json", [](Json& config) { config["model_type"] = "bert"; }),
              AllOf(HasSubstr("config.json"), HasSubstr("bert")));
  EXPECT_THAT(
      refuse("hf_siglip/model", "preprocessor_config.json", [](Json& config) { config["image_mean"] = "grey"; }),
      HasSubstr("preprocessor_config.json"));
  EXPECT_THAT(
      refuse("open_clip_hub/model", "open_clip_config.json", [](Json& config) { config["model_cfg"]["text_cfg"] = 3; }),
      AllOf(HasSubstr("open_clip_config.json"), HasSubstr("text_cfg")));
  EXPECT_THAT(refuse("open_clip_hub/model", "open_clip_config.json",
                     [](Json& config) { config["model_cfg"]["vision_cfg"]["attentional_pool"] = true; }),
              AllOf(HasSubstr("open_clip_config.json"), HasSubstr("attentional_pool")));
  EXPECT_THAT(
      refuse("hf_clip_sharded/model", "model.safetensors.index.json", [](Json& index) { index["weight_map"] = "all"; }),
      AllOf(HasSubstr("model.safetensors.index.json"), HasSubstr("weight_map")));
}

TEST(ModelFiles, WithHeadsThatDoNotDivideTheirWidthAreRefused) {
  for (const int heads : {0, -2, 3}) {
    const CopiedModel model("hf_siglip/model");
    model.edit("config.json", [&](Json& config) { config["vision_config"]["num_attention_heads"] = heads; });
    EXPECT_THAT(refusal(model.path()), AllOf(HasSubstr("config.json"), HasSubstr("num_attention_heads"))) << heads;
  }
  for (const int width : {0, -4, 5, 32}) {
    const CopiedModel model("open_clip_hub/model");
    model.edit("open_clip_config.json", [&](Json& config) { config["model_cfg"]["vision_cfg"]["head_width"] = width; });
    EXPECT_THAT(refusal(model.path()), AllOf(HasSubstr("open_clip_config.json"), HasSubstr("head_width"))) << width;
  }
}

TEST(ModelFiles, WithSettingsThatAreNoJsonSayWhichFile) {
  const CopiedModel model("hf_siglip/model");
  model.write("config.json", "{\"model_type\": \"sig");
  EXPECT_THAT(refusal(model.path()), HasSubstr((model / "config.json").string()));
}

TEST(ModelFiles, WithoutTheSettingsThatTellThemSayWhatIsMissing) {
  const CopiedModel model("hf_siglip/model");
  fs::remove(model / "config.json");
  EXPECT_THAT(refusal(model.path()), HasSubstr("config.json"));
}

TEST(ModelFiles, OfPythonObjectsRunNothing) {
  const fs::path harm = SILC_SOURCE_DIR "/tests/data/weights/checkpoint.pt";
  EXPECT_THAT(refusal(harm), AllOf(HasSubstr(harm.string()), HasSubstr("no model that is known")));
  EXPECT_FALSE(fs::exists("/tmp/silc-was-harmed"));
}

TEST(ModelFiles, OfArraysOfObjectsAreRefusedUnread) {
  const fs::path file = SILC_SOURCE_DIR "/tests/data/weights/objects.npz";
  EXPECT_THAT(refusal(file), AllOf(HasSubstr(file.string()), HasSubstr("cls")));
  EXPECT_FALSE(fs::exists("/tmp/silc-was-harmed"));
}

TEST(ModelFiles, OfNothingSayWhatTheyShouldHold) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal(folder.path()), AllOf(HasSubstr(folder.path().string()), HasSubstr(".safetensors")));
  EXPECT_THAT(refusal(folder / "none"), HasSubstr("there is no file or folder"));
}

}  // namespace
}  // namespace silc
