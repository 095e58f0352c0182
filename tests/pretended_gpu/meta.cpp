#include "meta.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include <string>
#include <vector>

namespace silc::testing {
namespace {

at::Tensor zeros_like(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_meta()) return tensor;
  return at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(at::kCPU)).zero_();
}

at::Tensor shape_of(const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.is_meta()) return tensor;
  return at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(at::kMeta));
}

c10::IValue map_tensors(const c10::IValue& value, at::Tensor (*change)(const at::Tensor&)) {
  if (value.isTensor()) return change(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(change(tensor));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector())
      list.push_back(tensor ? std::optional(change(*tensor)) : std::nullopt);
    return list;
  }
  return value;
}

// Where a result is an argument that was written to, that argument, in the shape that it has now.
c10::IValue result_of(const c10::FunctionSchema& schema, std::size_t place, const torch::jit::Stack& given,
                      const c10::IValue& computed) {
  const c10::AliasInfo* written = schema.returns()[place].alias_info();
  if (written == nullptr || !written->isWrite()) return map_tensors(computed, shape_of);
  for (std::size_t i = 0; i < given.size(); ++i) {
    const c10::AliasInfo* own = schema.arguments()[i].alias_info();
    if (own == nullptr || own->beforeSets() != written->beforeSets()) continue;
    if (given[i].isTensor()) given[i].toTensor().resize_(computed.toTensor().sizes());
    return given[i];
  }
  return map_tensors(computed, shape_of);
}

void compute_on_zeros(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const c10::FunctionSchema& schema = op.schema();
  const auto first = stack->end() - static_cast<std::ptrdiff_t>(schema.arguments().size());
  const torch::jit::Stack given(first, stack->end());
  stack->erase(first, stack->end());
  torch::jit::Stack on_cpu;
  for (const c10::IValue& value : given) on_cpu.push_back(map_tensors(value, zeros_like));
  op.callBoxed(on_cpu);
  for (std::size_t i = 0; i < on_cpu.size(); ++i) stack->push_back(result_of(schema, i, given, on_cpu[i]));
}

// Operators that have no kernel for meta tensors in LibTorch (Python's torch has one, or decomposes them), and whose
// results have shapes that depend on those of their arguments alone: computed on zeros, whose values are dropped.
const std::vector<std::string>& operators_by_zeros() {
  static const std::vector<std::string> names = {"_fused_adamw_",
                                                 "abs.out",
                                                 "convolution",
                                                 "convolution_backward",
                                                 "dot",
                                                 "embedding_dense_backward",
                                                 "index_select",
                                                 "logical_or.out",
                                                 "native_batch_norm",
                                                 "native_batch_norm_backward",
                                                 "native_layer_norm_backward",
                                                 "relu",
                                                 "where.self",
                                                 "where.self_out"};
  return names;
}

}  // namespace

TORCH_LIBRARY_IMPL(aten, Meta, library) {
  for (const std::string& name : operators_by_zeros())
    library.impl(name.c_str(), torch::CppFunction::makeFromBoxedFunction<&compute_on_zeros>());
}

void forget_values(const torch::nn::Module& module) {
  std::vector<at::Tensor> tensors = module.parameters();
  const std::vector<at::Tensor> buffers = module.buffers();
  tensors.insert(tensors.end(), buffers.begin(), buffers.end());
  for (const at::Tensor& tensor : tensors)
    if (tensor.defined() && !tensor.is_meta())
      // In place, so that whoever holds the tensor sees it.
      tensor.unsafeGetTensorImpl()->shallow_copy_from(shape_of(tensor.detach()).getIntrusivePtr());
}

}  // namespace silc::testing
