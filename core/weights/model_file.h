// Models of others in silc's terms: which backbones and settings a file of weights is of, and how silc's tensors are
// made of its own. Known are open_clip (and OpenAI's files), Hugging Face's folders of CLIP, SigLIP, SigLIP 2 and
// DINOv2, big_vision's .npz, vision transformers as timm and DINOv2's authors name them, and silc's own.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "weights/recipe.h"
#include "weights/weights.h"

namespace silc {

// In the metadata of a model that silc exports: its `model` below, as JSON, with the "objective" that it was trained
// with and the data source whose "captions" its tokenizer may need. Files that options name lie beside it.
inline constexpr std::string_view kModelMetadata = "silc.model";

// What has to be known of the model and does not stand in its file.
struct Question {
  std::string key;   // of an experiment's [model]: "image.mlp"
  std::string what;  // what to give there, and how one knows
};

struct ModelFile {
  std::filesystem::path path;                     // of the file itself, where a folder was named
  std::vector<std::filesystem::path> files = {};  // that the weights are in: the file, or the shards of an index
  std::string family;  // "open_clip", "OpenAI's CLIP", "Hugging Face's siglip", "big_vision", "timm", "silc"
  // As an experiment's [model] has them: "image" and "text", each with its "backbone", and "embed_dim". Without "text"
  // for a picture model, and empty for a checkpoint of silc in a run folder, whose settings lie in cell.toml.
  nlohmann::json model = nlohmann::json::object();
  std::vector<Question> questions = {};
  std::vector<std::string> assumed = {};       // sentences on what does not stand in the file and is usual
  std::map<std::string, Recipe> tensors = {};  // "model.image.projection", …, "objective.contrastive.logit_scale"
  std::vector<std::string> left = {};          // tensors of the file that no model needs
  std::shared_ptr<const WeightsFile> weights = nullptr;

  // With an image tower, with a text tower.
  [[nodiscard]] bool has(const std::string& tower) const { return model.contains(tower) || model.empty(); }
};

// The file of weights that is meant by a path: a file itself; in a folder, that of Hugging Face, open_clip, an export
// or a run folder of silc. Throws silc::Error where there is none.
std::filesystem::path weights_in(const std::filesystem::path& path);

// `path`: a file or folder. Reads names and shapes, and of the values no more than a temperature's. Throws silc::Error
// naming the file for one of no known family, and naming every tensor that is missing, unknown or of a wrong shape.
ModelFile read_model_file(const std::filesystem::path& path);

// Of a checkpoint of silc whose objective keeps a teacher: the same with its image tower in the student's place. Throws
// silc::Error for any other file.
ModelFile with_teacher(ModelFile file);

}  // namespace silc
