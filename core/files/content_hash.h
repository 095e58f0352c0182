// A file's content as a short text. No LibTorch.
#pragma once

#include <filesystem>
#include <string>

namespace silc {

// XXH3 of the whole file, 32 hex digits. Throws silc::Error naming the file and why it cannot be read.
std::string content_hash(const std::filesystem::path& file);

}  // namespace silc
