#include "engine/shapes_only.h"

#include <ATen/ATen.h>
#include <ATen/ExpandUtils.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace silc {
namespace {

using torch::jit::Stack;

// A key above all others that does nothing by itself, which LibTorch keeps for tests of such modes.
constexpr auto kMode = c10::DispatchKey::TESTING_ONLY_GenericMode;

thread_local int building = 0;

std::atomic<int64_t> live_bytes = 0;
std::atomic<int64_t> peak_bytes = 0;

// Gives no memory, and counts it.
class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    constexpr int64_t kBlock = 512;
    auto* size = new int64_t((static_cast<int64_t>(bytes) + kBlock - 1) / kBlock * kBlock);
    const int64_t now = live_bytes += *size;
    int64_t most = peak_bytes;
    while (now > most && !peak_bytes.compare_exchange_weak(most, now)) {
    }
    return {nullptr, size, &release, at::Device(at::kMeta)};
  }
  void copy_data(void* /*to*/, const void* /*from*/, std::size_t /*count*/) const override {}

 private:
  static void release(void* size) {
    live_bytes -= *static_cast<int64_t*>(size);
    delete static_cast<int64_t*>(size);
  }
};

at::Tensor zeros_of(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.is_meta()) return tensor;
  return at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(at::kCPU)).zero_();
}

at::Tensor shape_of(const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.is_meta()) return tensor;
  return at::empty_strided(tensor.sizes(), tensor.strides(), tensor.options().device(at::kMeta));
}

template <class Change>
c10::IValue map_tensors(const c10::IValue& value, const Change& change) {
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

Stack taken_from(Stack& stack, std::size_t count) {
  const auto first = stack.end() - static_cast<std::ptrdiff_t>(count);
  Stack taken(first, stack.end());
  stack.erase(first, stack.end());
  return taken;
}

// Where a result is an argument that was written to, that argument, in the shape that it has now.
c10::IValue result_of(const c10::FunctionSchema& schema, std::size_t place, const Stack& given,
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

// What has no kernel for meta tensors in LibTorch (Python's torch has one, or decomposes it) and results whose shapes
// depend on those of the arguments alone.
void compute_on_zeros(const c10::OperatorHandle& op, Stack* stack) {
  const c10::FunctionSchema& schema = op.schema();
  const Stack given = taken_from(*stack, schema.arguments().size());
  Stack on_cpu;
  for (const c10::IValue& value : given) on_cpu.push_back(map_tensors(value, zeros_of));
  op.callBoxed(on_cpu);
  for (std::size_t i = 0; i < on_cpu.size(); ++i) stack->push_back(result_of(schema, i, given, on_cpu[i]));
}

// The same for operators of which a step has many, or large ones: their results' shapes without zeros.

at::Tensor like(const c10::IValue& value) { return at::empty_like(value.toTensor()); }

// A result that is wanted, or none.
c10::IValue like_if(bool wanted, const c10::IValue& value) {
  return wanted && value.isTensor() ? c10::IValue(like(value)) : c10::IValue(at::Tensor());
}

using Shapes = void (*)(const Stack& given, Stack& results);

// (input, normalized_shape, weight, bias, eps) → output, mean, 1/deviation
void native_layer_norm(const Stack& given, Stack& results) {
  const at::Tensor input = given[0].toTensor();
  auto shape = input.sizes().vec();
  std::fill(shape.end() - static_cast<std::ptrdiff_t>(given[1].toIntVector().size()), shape.end(), 1);
  results.emplace_back(at::empty_like(input, at::MemoryFormat::Contiguous));
  for (int i = 0; i < 2; ++i) results.emplace_back(at::empty(shape, input.options().dtype(at::kFloat)));
}

// (grad_out, input, normalized_shape, mean, rstd, weight, bias, mask)
void layer_norm_backward(const Stack& given, Stack& results) {
  const auto mask = given[7].toBoolList();
  for (const std::size_t i : {0U, 1U, 2U}) results.push_back(like_if(mask[i], given[i == 0 ? 1 : 4 + i]));
}

// (input, weight, bias, stride, padding, dilation, transposed, output_padding, groups)
void convolution(const Stack& given, Stack& results) {
  const at::Tensor input = given[0].toTensor(), weight = given[1].toTensor();
  const auto stride = given[3].toIntVector(), padding = given[4].toIntVector(), dilation = given[5].toIntVector();
  const auto along = [](const std::vector<int64_t>& values, std::size_t i) {
    return values[values.size() == 1 ? 0 : i];
  };
  const bool transposed = given[6].toBool();
  const auto more = given[7].toIntVector();
  std::vector<int64_t> shape = {input.size(0), transposed ? weight.size(1) * given[8].toInt() : weight.size(0)};
  for (std::size_t i = 0; i + 2 < static_cast<std::size_t>(input.dim()); ++i) {
    const auto dim = static_cast<int64_t>(i) + 2;
    const int64_t reach = along(dilation, i) * (weight.size(dim) - 1) + 1, step = along(stride, i);
    const int64_t beyond = 2 * along(padding, i) - reach;
    shape.push_back(transposed ? (input.size(dim) - 1) * step - beyond + along(more, i)
                               : (input.size(dim) + beyond) / step + 1);
  }
  results.emplace_back(at::empty(shape, input.options(), input.suggest_memory_format()));
}

// (grad_output, input, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, mask)
void convolution_backward(const Stack& given, Stack& results) {
  const auto mask = given[10].toBoolList();
  results.push_back(like_if(mask[0], given[1]));
  results.push_back(like_if(mask[1], given[2]));
  const at::Tensor gradient = given[0].toTensor();
  results.emplace_back(mask[2] ? at::empty({gradient.size(1)}, gradient.options()) : at::Tensor());
}

// (grad_output, indices, num_weights, padding_idx, scale_grad_by_freq)
void embedding_backward(const Stack& given, Stack& results) {
  const at::Tensor gradient = given[0].toTensor();
  results.emplace_back(at::empty({given[2].toInt(), gradient.size(-1)}, gradient.options()));
}

// (self, dim, index)
void index_select(const Stack& given, Stack& results) {
  const at::Tensor self = given[0].toTensor();
  auto shape = self.sizes().vec();
  const int64_t dim = given[1].toInt() < 0 ? given[1].toInt() + self.dim() : given[1].toInt();
  if (!shape.empty()) shape[static_cast<std::size_t>(dim)] = given[2].toTensor().numel();
  results.emplace_back(at::empty(shape, self.options()));
}

// (condition, self, other)
void where(const Stack& given, Stack& results) {
  const at::Tensor condition = given[0].toTensor(), self = given[1].toTensor(), other = given[2].toTensor();
  const auto shape = at::infer_size(at::infer_size(condition.sizes(), self.sizes()), other.sizes());
  results.emplace_back(at::empty(shape, self.options().device(at::kMeta).dtype(at::result_type(self, other))));
}

void as_the_first(const Stack& given, Stack& results) { results.emplace_back(like(given[0])); }

void nothing(const Stack& /*given*/, Stack& /*results*/) {}

// (query [B, H, N, D], key, value, …) → output and log-sum-exp, laid out as the kernels do: [B, N, H, D], transposed.
void attention(const Stack& given, Stack& results) {
  const at::Tensor query = given[0].toTensor();
  const int64_t B = query.size(0), H = query.size(1), N = query.size(2);
  results.emplace_back(at::empty({B, N, H, given[2].toTensor().size(3)}, query.options()).transpose(1, 2));
  results.emplace_back(at::empty({B, N, H}, query.options().dtype(at::kFloat)).transpose(1, 2));
}

// (grad_out, query, key, value, …)
void attention_backward(const Stack& given, Stack& results) {
  for (const std::size_t i : {1U, 2U, 3U})
    results.emplace_back(
        at::empty_like(given[i].toTensor().transpose(1, 2), at::MemoryFormat::Contiguous).transpose(1, 2));
}

template <Shapes shapes>
void shapes_alone(const c10::OperatorHandle& op, Stack* stack) {
  const Stack given = taken_from(*stack, op.schema().arguments().size());
  shapes(given, *stack);
}

// Where LibTorch has no kernel of its own, which differs with its version.
template <Shapes shapes>
void add_shapes(torch::Library& library, const char* name, const char* overload = "") {
  const auto op = c10::Dispatcher::singleton().findSchema({std::string("aten::") + name, overload});
  if (!op || op->hasKernelForDispatchKey(c10::DispatchKey::Meta)) return;
  const std::string full = *overload == '\0' ? name : std::string(name) + "." + overload;
  library.impl(full.c_str(), torch::CppFunction::makeFromBoxedFunction<&shapes_alone<shapes>>());
}

// What autocast casts on a GPU (LibTorch's autocast_mode.h: AT_FORALL_LOWER_PRECISION_FP and AT_FORALL_FP32).
enum class Cast { none, lower, full, full_result };

Cast cast_of(std::string_view name) {
  static const std::unordered_set<std::string_view> lower = {
      "conv1d", "conv2d",  "conv3d", "convolution",  "_convolution", "prelu", "addmm",
      "addmv",  "addr",    "matmul", "einsum",       "mm",           "mv",    "linear",
      "addbmm", "baddbmm", "bmm",    "chain_matmul", "multi_dot"};
  static const std::unordered_set<std::string_view> full = {"acos",
                                                            "asin",
                                                            "cosh",
                                                            "erfinv",
                                                            "exp",
                                                            "expm1",
                                                            "log",
                                                            "log10",
                                                            "log2",
                                                            "log1p",
                                                            "reciprocal",
                                                            "rsqrt",
                                                            "sinh",
                                                            "tan",
                                                            "pow",
                                                            "softplus",
                                                            "layer_norm",
                                                            "native_layer_norm",
                                                            "group_norm",
                                                            "norm",
                                                            "nuclear_norm",
                                                            "cosine_similarity",
                                                            "kl_div",
                                                            "nll_loss",
                                                            "l1_loss",
                                                            "smooth_l1_loss",
                                                            "mse_loss",
                                                            "cross_entropy_loss",
                                                            "binary_cross_entropy_with_logits",
                                                            "dist",
                                                            "cdist",
                                                            "renorm",
                                                            "logsumexp",
                                                            "upsample_bilinear2d",
                                                            "upsample_bicubic2d"};
  static const std::unordered_set<std::string_view> full_result = {"prod",    "softmax", "log_softmax",       "cumsum",
                                                                   "cumprod", "sum",     "linalg_vector_norm"};
  if (lower.contains(name)) return Cast::lower;
  if (full.contains(name)) return Cast::full;
  return full_result.contains(name) ? Cast::full_result : Cast::none;
}

// Copies of weights, by the weight.
std::unordered_map<const c10::TensorImpl*, at::Tensor>& copies() {
  thread_local std::unordered_map<const c10::TensorImpl*, at::Tensor> copies;
  return copies;
}

at::Tensor cast_to(const at::Tensor& x, at::ScalarType type) {
  if (!x.defined() || !x.is_meta() || !x.is_floating_point() || x.scalar_type() == at::kDouble ||
      x.scalar_type() == type)
    return x;
  const bool kept = type != at::kFloat && x.scalar_type() == at::kFloat && x.requires_grad() && x.is_leaf() &&
                    !x.is_view() && at::autocast::is_autocast_cache_enabled();
  if (!kept) return x.to(type);
  at::Tensor& copy = copies()[x.unsafeGetTensorImpl()];
  if (!copy.defined()) copy = x.to(type);
  return copy;
}

void cast_arguments(const c10::FunctionSchema& schema, Cast cast, c10::IValue* arguments) {
  const at::ScalarType type = cast == Cast::lower ? at::autocast::get_autocast_dtype(at::kCPU) : at::kFloat;
  for (std::size_t i = 0; i < schema.arguments().size(); ++i) {
    if (cast != Cast::full_result)
      arguments[i] = map_tensors(arguments[i], [&](const at::Tensor& x) { return cast_to(x, type); });
    else if (schema.arguments()[i].name() == "dtype" && arguments[i].isNone() && arguments[0].isTensor() &&
             arguments[0].toTensor().is_meta() && arguments[0].toTensor().is_floating_point())
      arguments[i] = static_cast<int64_t>(at::kFloat);
  }
}

// Whether an operator makes a large matrix out of a size; if so, it makes it on the meta device.
void make_without_values(const c10::FunctionSchema& schema, c10::IValue* arguments) {
  constexpr int64_t kLarge = 1 << 20;  // numbers
  if (schema.arguments().empty() || schema.arguments()[0].name() != "size" || !arguments[0].isIntList()) return;
  const auto size = arguments[0].toIntVector();
  if (size.size() < 2 || c10::multiply_integers(size) < kLarge) return;
  for (std::size_t i = 1; i < schema.arguments().size(); ++i) {
    if (schema.arguments()[i].name() == "device") arguments[i] = at::Device(at::kMeta);
    if (schema.arguments()[i].name() == "pin_memory") arguments[i] = c10::IValue();
  }
}

// (query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa): LibTorch takes no fused kernel for meta
// tensors by itself.
bool attend(Stack& stack, std::size_t arguments) {
  const c10::IValue* given = stack.data() + (stack.size() - arguments);
  if (!given[0].toTensor().is_meta() || arguments < 7 || given[0].toTensor().dim() != 4) return false;
  const auto mask = given[3].isTensor() ? std::optional(given[3].toTensor()) : std::nullopt;
  if (mask || (arguments > 7 && given[7].toBool())) return false;
  at::Tensor query = given[0].toTensor(), key = given[1].toTensor(), value = given[2].toTensor();
  if (at::autocast::is_autocast_enabled(at::kCPU)) {
    const auto type = at::autocast::get_autocast_dtype(at::kCPU);
    query = cast_to(query, type), key = cast_to(key, type), value = cast_to(value, type);
  }
  const auto scale = given[6].isNone() ? std::nullopt : std::optional(given[6].toDouble());
  const at::Tensor output = std::get<0>(at::_scaled_dot_product_flash_attention_for_cpu(
      query, key, value, given[4].toDouble(), given[5].toBool(), std::nullopt, scale));
  taken_from(stack, arguments);
  stack.emplace_back(output);
  return true;
}

void with_shapes(const c10::OperatorHandle& op, c10::DispatchKeySet keys, Stack* stack) {
  const c10::FunctionSchema& schema = op.schema();
  std::string_view name = schema.name();
  name.remove_prefix(name.find("::") + 2);
  // The whole backward pass, of which each part is to come by here.
  if (name == "_backward") {
    op.redispatchBoxed(keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, kMode), stack);
    return;
  }
  const c10::impl::ExcludeDispatchKeyGuard below(kMode);
  const std::size_t count = schema.arguments().size();
  if (name == "scaled_dot_product_attention" && attend(*stack, count)) return;
  c10::IValue* arguments = stack->data() + (stack->size() - count);
  if (building > 0) make_without_values(schema, arguments);
  if (at::autocast::is_autocast_enabled(at::kCPU))
    if (const Cast cast = cast_of(name); cast != Cast::none) cast_arguments(schema, cast, arguments);
  op.callBoxed(stack);
}

void prepare_meta_device() {
  static CountingAllocator allocator;
  c10::SetAllocator(at::kMeta, &allocator, 1);
  static torch::Library mode(torch::Library::IMPL, "_", kMode, __FILE__, __LINE__);
  mode.fallback(torch::CppFunction::makeFromBoxedFunction<&with_shapes>());
  static torch::Library library(torch::Library::IMPL, "aten", c10::DispatchKey::Meta, __FILE__, __LINE__);
  add_shapes<nothing>(library, "_fused_adamw_");
  add_shapes<native_layer_norm>(library, "native_layer_norm");
  add_shapes<layer_norm_backward>(library, "native_layer_norm_backward");
  add_shapes<convolution>(library, "convolution");
  add_shapes<convolution_backward>(library, "convolution_backward");
  add_shapes<embedding_backward>(library, "embedding_dense_backward");
  add_shapes<index_select>(library, "index_select");
  add_shapes<where>(library, "where", "self");
  add_shapes<as_the_first>(library, "relu");
  add_shapes<as_the_first>(library, "abs");
  add_shapes<attention>(library, "_scaled_dot_product_flash_attention_for_cpu");
  add_shapes<attention_backward>(library, "_scaled_dot_product_flash_attention_for_cpu_backward");
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (!name.name.starts_with("aten::")) continue;
    const auto op = c10::Dispatcher::singleton().findOp(name);
    if (!op || !op->hasSchema() || !op->hasKernelForDispatchKey(c10::DispatchKey::CPU) ||
        op->hasKernelForDispatchKey(c10::DispatchKey::Meta))
      continue;
    const std::string own = name.name.substr(std::string_view("aten::").size());
    library.impl((name.overload_name.empty() ? own : own + "." + name.overload_name).c_str(),
                 torch::CppFunction::makeFromBoxedFunction<&compute_on_zeros>());
  }
}

}  // namespace

ShapesOnly::ShapesOnly() : mode_(c10::DispatchKeySet(kMode)) {
  static std::once_flag prepared;
  std::call_once(prepared, prepare_meta_device);
}

ShapesOnly::Building::Building() { ++building; }
ShapesOnly::Building::~Building() { --building; }

void forget_values(const torch::nn::Module& module) {
  std::vector<at::Tensor> tensors = module.parameters();
  const std::vector<at::Tensor> buffers = module.buffers();
  tensors.insert(tensors.end(), buffers.begin(), buffers.end());
  for (const at::Tensor& tensor : tensors)
    if (tensor.defined() && !tensor.is_meta())
      // In place, so that whoever holds the tensor sees it.
      tensor.unsafeGetTensorImpl()->shallow_copy_from(shape_of(tensor.detach()).getIntrusivePtr());
}

int64_t shape_memory() { return live_bytes; }
int64_t shape_peak() { return peak_bytes; }
void restart_shape_peak() { peak_bytes = live_bytes.load(); }
void clear_shape_copies() { copies().clear(); }

}  // namespace silc
