// A file's content as a short text. No LibTorch.
#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace silc {

// XXH3 of the whole file, 32 hex digits. Throws silc::Error naming the file and why it cannot be read.
std::string content_hash(const std::filesystem::path& file);

// Of files one after the other, as if they were one.
std::string content_hash(std::span<const std::filesystem::path> files);

}  // namespace silc
