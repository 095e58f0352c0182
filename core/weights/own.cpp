// silc's own: a checkpoint in a run folder, whose settings lie in the folder's cell.toml, and an export, which has them
// in its metadata.
#include <optional>

#include "silc/error.h"
#include "weights/model_builder.h"

namespace silc {

std::optional<ModelFile> read_own(const std::filesystem::path& path, std::shared_ptr<const WeightsFile> weights) {
  const auto& metadata = weights->metadata();
  const auto settings = metadata.find(std::string(kModelMetadata));
  const bool checkpoint = metadata.contains("cell") && metadata.contains("engine_version");
  if (settings == metadata.end() && !checkpoint) return std::nullopt;
  ModelFile file{.path = path, .family = "silc"};
  if (settings != metadata.end()) {
    try {
      file.model = nlohmann::json::parse(settings->second);
    } catch (const nlohmann::json::exception&) {
      throw Error(path.string() + " has no model that can be read in its metadata; export it again");
    }
    if (!file.model.is_object() || !file.model.contains("image"))
      throw Error(path.string() + " has no model with an image tower in its metadata; export it again");
  }
  for (const auto& [name, about] : weights->tensors()) {
    if (name.starts_with("model.") || name.starts_with("objective."))
      file.tensors[name] = {.parts = {{.source = name}}, .shape = about.shape};
    else
      file.left.push_back(name);
  }
  file.weights = std::move(weights);
  return file;
}

ModelFile with_teacher(ModelFile file) {
  const std::string teacher = "objective.teacher.image.", student = "model.image.";
  std::map<std::string, Recipe> taken;
  for (const auto& [name, recipe] : file.tensors)
    if (name.starts_with(teacher)) taken[student + name.substr(teacher.size())] = recipe;
  if (taken.empty()) throw Error(file.path.string() + " has no teacher; its weights are \"student\" alone");
  std::erase_if(file.tensors, [&](const auto& tensor) { return tensor.first.starts_with(student); });
  file.tensors.merge(taken);
  return file;
}

}  // namespace silc
