#include "weights/export.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

#include "files/durable_file.h"
#include "files/safetensors.h"
#include "silc/error.h"
#include "weights/export_builder.h"

namespace silc {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// silc's tensors as a file of weights, so that a reader's can be made of them.
class ModelTensors : public WeightsFile {
 public:
  explicit ModelTensors(const ModelFile& file) : file_(file) {
    for (const auto& [name, recipe] : file.tensors) tensors_[name] = {.dtype = "F32", .shape = recipe.shape};
  }

  [[nodiscard]] std::string_view format() const override { return "silc"; }

  [[nodiscard]] std::vector<std::byte> read(const std::string& name) const override {
    const HostTensor tensor = follow(file_.tensors.at(name), *file_.weights);
    std::vector<std::byte> bytes(tensor.values.size() * sizeof(float));
    if (!bytes.empty()) std::memcpy(bytes.data(), tensor.values.data(), bytes.size());
    return bytes;
  }

 private:
  const ModelFile& file_;
};

// What exports write, whatever the format.
bool is_exported(const fs::path& file) {
  constexpr std::array<std::string_view, 11> kNames = {"open_clip_config.json",
                                                       "open_clip_model.safetensors",
                                                       "config.json",
                                                       "model.safetensors",
                                                       "preprocessor_config.json",
                                                       "vocab.json",
                                                       "merges.txt",
                                                       "tokenizer.json",
                                                       "tokenizer_config.json",
                                                       "special_tokens_map.json",
                                                       "spiece.model"};
  return std::find(kNames.begin(), kNames.end(), file.filename().string()) != kNames.end();
}

void check_folder(const ModelExport& planned, const fs::path& folder, bool replace) {
  if (!fs::exists(folder)) return;
  if (!fs::is_directory(folder)) throw Error(folder.string() + " is a file; name a folder");
  if (fs::is_empty(folder)) return;
  if (!replace)
    throw Error(folder.string() + " is not empty; name another folder, or --force replaces an earlier export");
  for (const auto& entry : fs::directory_iterator(folder))
    if (!is_exported(entry.path()) && !planned.copies.contains(entry.path().filename().string()))
      throw Error(fmt::format("{} holds {}, which is of no export and would be lost; name another folder",
                              folder.string(), entry.path().filename().string()));
}

// Of a plugin's options, those that name a file.
constexpr std::array<const char*, 3> kFileOptions = {"file", "model", "vocabulary"};

void carry_files(Json& options, const ModelFile& file, ModelExport& planned) {
  for (const char* const key : kFileOptions) {
    const auto found = options.find(key);
    if (found == options.end() || !found->is_string() || found->get<std::string>().empty()) continue;
    const fs::path source = option_file(file, found->get<std::string>());
    if (!fs::exists(source))
      throw Error(fmt::format("{}, which the model's option {} names, is not there", source.string(), key));
    const std::string name = source.filename().string();
    const auto [copy, added] = planned.copies.try_emplace(name, source);
    if (name == planned.weights || (!added && copy->second != source))
      throw Error(
          fmt::format("two files of the export would be called {}; give {} another name", name, source.string()));
    *found = name;
  }
}

}  // namespace

ExportFormat parse_export_format(std::string_view name) {
  if (name == "open_clip") return ExportFormat::open_clip;
  if (name == "huggingface") return ExportFormat::hugging_face;
  if (name == "safetensors") return ExportFormat::safetensors;
  throw Error(fmt::format("there is no format \"{}\"; choose open_clip, huggingface or safetensors", name));
}

fs::path option_file(const ModelFile& file, const std::string& name) {
  const fs::path beside = file.path.parent_path() / name;
  return fs::exists(beside) ? beside : fs::path(name);
}

ModelExport export_own(const ModelFile& file, const ExportRequest& request) {
  if (request.decoder && has_caption_decoder(file))
    throw Error(
        fmt::format("{}: the objective's caption decoder is no part of the model; --without-decoder leaves it out",
                    file.path.string()));
  ModelExport planned;
  planned.weights = "model.safetensors";
  for (const auto& [name, recipe] : file.tensors) {
    const bool loss = name.ends_with(".logit_scale") || name.ends_with(".logit_bias");
    if (name.starts_with("model.") || (loss && !name.starts_with("objective.teacher.")))
      planned.tensors[name] = {.parts = {{.source = name}}, .shape = recipe.shape};
  }
  Json model = file.model;
  for (const char* const tower : {"image", "text"}) {
    if (!model.contains(tower)) continue;
    carry_files(model[tower], file, planned);
    if (!model[tower].contains("tokenizer")) continue;
    if (!request.tokenizer) {
      model[tower].erase("tokenizer");
      continue;
    }
    Json& tokenizer = model[tower]["tokenizer"];
    if (tokenizer.is_string()) tokenizer = {{"tokenizer", tokenizer}};
    carry_files(tokenizer, file, planned);
    if (tokenizer.value("tokenizer", "") == "words")
      planned.remarks.emplace_back(
          "the vocabulary of the tokenizer \"words\" is learnt from the captions of its training data and is not in "
          "the "
          "export: texts can be read where those data are");
  }
  planned.metadata = {{"format", "pt"}, {std::string(kModelMetadata), model.dump()}};
  return planned;
}

ModelExport plan_export(const ModelFile& file, const ExportRequest& request) {
  std::vector<std::string> open;
  for (const Question& question : file.questions) {
    std::string pointer = "/" + question.key;
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    const bool answered = file.model.contains(Json::json_pointer(pointer));
    const bool needless = !request.tokenizer && question.key.starts_with("text.tokenizer");
    if (!answered && !needless) open.push_back("model." + question.key + ": " + question.what);
  }
  if (!open.empty())
    throw Error(fmt::format("{} does not say all of its model; --set does:\n  {}", file.path.string(),
                            fmt::join(open, "\n  ")));
  try {
    switch (request.format) {
      case ExportFormat::open_clip:
        return export_open_clip(file, request);
      case ExportFormat::hugging_face:
        return export_hugging_face(file, request);
      case ExportFormat::safetensors:
        break;
    }
    return export_own(file, request);
  } catch (const Json::exception& error) {
    throw Error(fmt::format("{}: its model's settings have values of another kind than they should: {}",
                            file.path.string(), error.what()));
  } catch (const std::out_of_range&) {
    throw Error(fmt::format("{}: its tensors have other shapes than its model's settings say", file.path.string()));
  }
}

void write_export(const ModelExport& planned, const ModelFile& file, const fs::path& folder, bool replace) {
  check_folder(planned, folder, replace);
  const ModelTensors model(file);
  std::map<std::string, TensorShape> shapes;
  for (const auto& [name, recipe] : planned.tensors) shapes[name] = {.dtype = "F32", .shape = recipe.shape};
  write_folder_durably(folder, [&](const fs::path& beside) {
    HostTensor tensor;
    write_safetensors(beside / planned.weights, shapes, planned.metadata, [&](const std::string& name) {
      tensor = follow(planned.tensors.at(name), model);
      return std::as_bytes(std::span(tensor.values));
    });
    for (const auto& [name, content] : planned.files) write_file_durably(beside / name, content);
    for (const auto& [name, source] : planned.copies) write_file_durably(beside / name, read_file(source));
  });
}

}  // namespace silc
