// Reading what the kernel and drivers tell in /proc. No LibTorch.
#pragma once

#include <filesystem>
#include <string>

namespace silc {

// What follows the colon in the first line of a file of /proc that begins with `key`; empty if there is none.
std::string proc_property(const std::filesystem::path& file, const std::string& key);

}  // namespace silc
