// Weights in several safetensors files, as Hugging Face writes large models.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "weights/weights.h"

namespace silc {

// `index`: model.safetensors.index.json, which says which tensor lies in which file beside it. Throws silc::Error
// naming what is missing: a file, a tensor that is not in its file; and for file names that leave the folder.
std::unique_ptr<WeightsFile> open_shards(const std::filesystem::path& index);

// The files that an index names, each once, in order of name; not whether they are there.
std::vector<std::filesystem::path> files_of_index(const std::filesystem::path& index);

}  // namespace silc
