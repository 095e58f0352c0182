// Models of silc as others read them: open_clip, Hugging Face's transformers, and a file of safetensors that holds all
// that there is to know of the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weights/model_file.h"

namespace silc {

enum class ExportFormat : uint8_t { open_clip, hugging_face, safetensors };

// "open_clip", "huggingface", "safetensors". Throws silc::Error for another name.
ExportFormat parse_export_format(std::string_view name);

struct ExportRequest {
  ExportFormat format = ExportFormat::safetensors;
  bool tokenizer = true;  // with what the tokenizer is made of; else it is left to the reader
  bool decoder = true;    // refuse a model whose caption decoder has no place; else it is left out
};

// What a folder will hold.
struct ModelExport {
  std::string weights;                                  // the name of the file of tensors
  std::map<std::string, Recipe> tensors;                // of the reader's names, made of silc's
  std::map<std::string, std::string> metadata;          // of that file
  std::map<std::string, std::string> files;             // the content of the others, by name
  std::map<std::string, std::filesystem::path> copies;  // of files as they are, by name
  std::vector<std::string> remarks;                     // sentences on what differs for the reader
};

// `file` with its settings: `file.model` is not empty, and answers the file's questions. Throws silc::Error with every
// setting and tensor for which the format has no place, and why.
ModelExport plan_export(const ModelFile& file, const ExportRequest& request);

// Durably, and one tensor at a time. Throws silc::Error where the folder is there and not empty; with `replace`, where
// it holds what no export writes.
void write_export(const ModelExport& planned, const ModelFile& file, const std::filesystem::path& folder, bool replace);

// Where files that the model's options name lie: `name` itself, or beside the file of weights.
std::filesystem::path option_file(const ModelFile& file, const std::string& name);

}  // namespace silc
