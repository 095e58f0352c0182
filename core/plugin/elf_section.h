// Reads one section of a shared library without loading it. No LibTorch.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <vector>

namespace silc {

// The content of the section `name`; empty if the library has none of that name or it is empty.
// Throws silc::Error naming the file and the fault for what is not an intact shared library for this machine.
std::vector<std::byte> read_elf_section(const std::filesystem::path& library, std::string_view name);

}  // namespace silc
