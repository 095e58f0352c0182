#include "engine/tensor_file.h"

#include <array>
#include <cstring>

#include "silc/error.h"

namespace silc {
namespace {

constexpr std::array<std::pair<at::ScalarType, const char*>, 10> kTypes = {{{at::kFloat, "F32"},
                                                                            {at::kDouble, "F64"},
                                                                            {at::kHalf, "F16"},
                                                                            {at::kBFloat16, "BF16"},
                                                                            {at::kLong, "I64"},
                                                                            {at::kInt, "I32"},
                                                                            {at::kShort, "I16"},
                                                                            {at::kChar, "I8"},
                                                                            {at::kByte, "U8"},
                                                                            {at::kBool, "BOOL"}}};

}  // namespace

std::string safetensors_dtype(at::ScalarType type) {
  for (const auto& [scalar, name] : kTypes)
    if (scalar == type) return name;
  throw Error(std::string("tensors of type ") + at::toString(type) + " cannot be kept in a safetensors file");
}

void write_tensors(const std::filesystem::path& file, const std::map<std::string, at::Tensor>& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<at::Tensor> alive;  // what the views point into
  std::map<std::string, TensorView> views;
  for (const auto& [name, tensor] : tensors) {
    alive.push_back(tensor.detach().cpu().contiguous());
    const at::Tensor& kept = alive.back();
    views.emplace(name, TensorView{.dtype = safetensors_dtype(kept.scalar_type()),
                                   .shape = kept.sizes().vec(),
                                   .bytes = {static_cast<const std::byte*>(kept.const_data_ptr()), kept.nbytes()}});
  }
  write_safetensors(file, views, metadata);
}

void copy_tensor(const TensorView& source, const std::string& name, at::Tensor target) {
  const std::string dtype = safetensors_dtype(target.scalar_type());
  if (source.dtype != dtype || source.shape != target.sizes().vec())
    throw Error("tensor \"" + name + "\" is " + source.dtype + " " + shape_text(source.shape) + " where " + dtype +
                " " + shape_text(target.sizes()) + " is expected");
  at::Tensor loaded = at::empty(target.sizes(), at::TensorOptions().dtype(target.scalar_type()));
  if (!source.bytes.empty()) std::memcpy(loaded.mutable_data_ptr(), source.bytes.data(), source.bytes.size());
  const torch::NoGradGuard no_grad;
  target.copy_(loaded);
}

}  // namespace silc
