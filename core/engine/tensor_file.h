// Tensors to and from safetensors files.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

#include "files/safetensors.h"

namespace silc {

// Written durably; the same content gives the same bytes.
void write_tensors(const std::filesystem::path& file, const std::map<std::string, at::Tensor>& tensors,
                   const std::map<std::string, std::string>& metadata);

// "F32" for at::kFloat, …; throws silc::Error for a type that the format does not have.
std::string safetensors_dtype(at::ScalarType type);

// Copies one tensor of a file into `target`. Throws silc::Error naming `name` if type or shape differ.
void copy_tensor(const TensorView& source, const std::string& name, at::Tensor target);

}  // namespace silc
