#include "weights/model_file.h"

#include <algorithm>
#include <array>
#include <optional>

#include "silc/error.h"
#include "weights/model_builder.h"
#include "weights/shards.h"

namespace silc {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndex = ".safetensors.index.json";

std::optional<fs::path> only_file(const fs::path& folder, std::string_view extension) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == extension && entry.is_regular_file()) files.push_back(entry.path());
  if (files.size() > 1)
    throw Error(folder.string() + " holds several files of weights, among them " + files[0].filename().string() +
                " and " + files[1].filename().string() + "; name the one that is meant");
  return files.empty() ? std::nullopt : std::optional(files[0]);
}

bool is_index(const fs::path& file) { return file.filename().string().ends_with(kIndex); }

}  // namespace

fs::path weights_in(const fs::path& path) {
  if (!fs::exists(path)) throw Error("there is no file or folder " + path.string());
  if (!fs::is_directory(path)) return path;
  if (fs::is_directory(path / "checkpoints")) {
    if (const auto checkpoint = only_file(path / "checkpoints", ".safetensors")) return *checkpoint;
    throw Error(path.string() + " is a run folder without a checkpoint; silc run trains its cell");
  }
  constexpr std::array<std::string_view, 5> kNames = {"model.safetensors.index.json", "model.safetensors",
                                                      "open_clip_model.safetensors", "open_clip_pytorch_model.bin",
                                                      "pytorch_model.bin"};
  for (const std::string_view name : kNames)
    if (fs::exists(path / name)) return path / name;
  if (fs::exists(path / "pytorch_model.bin.index.json"))
    throw Error(path.string() +
                " has its weights in several files of PyTorch, which are read from safetensors alone; "
                "load the model with transformers and save it again");
  for (const std::string_view extension : {".safetensors", ".npz", ".pt", ".pth", ".bin"})
    if (const auto file = only_file(path, extension)) return *file;
  throw Error(path.string() + " holds no file of weights: .safetensors, .npz, .pt, .pth or .bin");
}

ModelFile read_model_file(const fs::path& path) {
  const fs::path file = weights_in(path);
  const std::shared_ptr<const WeightsFile> weights = is_index(file) ? open_shards(file) : open_weights(file);
  try {
    for (const auto read : {read_own, read_hugging_face, read_open_clip, read_big_vision, read_timm}) {
      auto model = read(file, weights);
      if (!model) continue;
      model->files = is_index(file) ? files_of_index(file) : std::vector{file};
      return *std::move(model);
    }
  } catch (const nlohmann::json::exception& error) {
    throw Error(file.string() +
                ": the settings beside it have values of another kind than they should: " + error.what());
  } catch (const Error& error) {
    const std::string message = error.what();
    if (message.find(file.parent_path().string()) != std::string::npos) throw;
    throw Error(file.string() + ": " + message);
  }
  throw Error(file.string() +
              " is of no model that is known: CLIP or SigLIP of open_clip, OpenAI, Hugging Face (with config.json "
              "beside it) or big_vision, a vision transformer of timm or DINOv2, or silc's own; silc checkpoint "
              "inspect lists its tensors");
}

}  // namespace silc
