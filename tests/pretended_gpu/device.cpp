#include "device.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/NativeFunctions.h>
#include <ATen/autocast_mode.h>
#include <ATen/detail/HPUHooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>
#include <torch/library.h>

#include <array>
#include <cstring>
#include <mutex>
#include <set>

namespace silc::testing {
namespace {

// A kind of device that LibTorch knows, lets modules move to, and has no kernels for.
constexpr auto kDevice = c10::DeviceType::HPU;

struct Guard final : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = kDevice;
  [[nodiscard]] c10::DeviceType type() const override { return kDevice; }
  [[nodiscard]] c10::Device exchangeDevice(c10::Device /*device*/) const override { return getDevice(); }
  [[nodiscard]] c10::Device getDevice() const override { return {kDevice, 0}; }
  void setDevice(c10::Device /*device*/) const override {}
  void uncheckedSetDevice(c10::Device /*device*/) const noexcept override {}
  [[nodiscard]] c10::Stream getStream(c10::Device device) const override {
    return c10::Stream(c10::Stream::DEFAULT, device);
  }
  [[nodiscard]] c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  [[nodiscard]] c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};

// Autograd asks which accelerator there is.
struct Hooks final : at::HPUHooksInterface {
  explicit Hooks(at::HPUHooksArgs /*none*/) {}
  void init() const override {}
  [[nodiscard]] bool hasHPU() const override { return true; }
  [[nodiscard]] bool isBuilt() const override { return true; }
  [[nodiscard]] bool isAvailable() const override { return true; }
  [[nodiscard]] bool hasPrimaryContext(c10::DeviceIndex /*device*/) const override { return true; }
  // Of those with random numbers of their own.
  [[nodiscard]] c10::DeviceIndex deviceCount() const override { return 0; }
  [[nodiscard]] c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex /*device*/) const override {}
};

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t size) override {
    void* data = size > 0 ? c10::alloc_cpu(size) : nullptr;
    return {data, data, &c10::free_cpu, c10::Device(kDevice, 0)};
  }
  [[nodiscard]] c10::DeleterFnPtr raw_deleter() const override { return &c10::free_cpu; }
  void copy_data(void* to, const void* from, size_t size) const override { std::memcpy(to, from, size); }
};

Memory& memory() {
  static Memory memory;
  return memory;
}

std::mutex found_mutex;
std::vector<std::string>* found_waits = nullptr;  // guarded by it; null: nobody listens
thread_local bool within_kernel = false;

// What a kernel of this device does itself goes by unnoticed.
class WithinKernel {
 public:
  WithinKernel() : outer_(std::exchange(within_kernel, true)) {}
  ~WithinKernel() { within_kernel = outer_; }
  WithinKernel(const WithinKernel&) = delete;
  WithinKernel& operator=(const WithinKernel&) = delete;

 private:
  bool outer_;
};

void note(const std::string& what) {
  if (within_kernel) return;
  const std::lock_guard lock(found_mutex);
  if (found_waits != nullptr) found_waits->push_back(what);
}

const std::set<std::string>& waiting_operators() {
  static const std::set<std::string> names = {"aten::_local_scalar_dense",
                                              "aten::_unique",
                                              "aten::_unique2",
                                              "aten::argwhere",
                                              "aten::bincount",
                                              "aten::equal",
                                              "aten::is_nonzero",
                                              "aten::masked_select",
                                              "aten::nonzero",
                                              "aten::nonzero_numpy",
                                              "aten::unique_consecutive",
                                              "aten::unique_dim"};
  return names;
}

// Of those that networks use, the ones whose kernels for CUDA add in an order that is another each time, and which
// LibTorch refuses in its deterministic mode (torch.use_deterministic_algorithms).
const std::set<std::string>& varying_operators() {
  static const std::set<std::string> names = {"aten::_adaptive_avg_pool2d_backward",
                                              "aten::_upsample_bicubic2d_aa_backward",
                                              "aten::_upsample_bilinear2d_aa_backward",
                                              "aten::adaptive_max_pool2d_backward",
                                              "aten::avg_pool3d_backward",
                                              "aten::cumsum",
                                              "aten::grid_sampler_2d_backward",
                                              "aten::histc",
                                              "aten::kthvalue",
                                              "aten::max_pool3d_with_indices_backward",
                                              "aten::nll_loss2d_forward",
                                              "aten::put_",
                                              "aten::reflection_pad2d_backward",
                                              "aten::replication_pad2d_backward",
                                              "aten::upsample_bicubic2d_backward",
                                              "aten::upsample_bilinear2d_backward"};
  return names;
}

bool is_boolean(const at::Tensor& tensor) {
  return tensor.defined() && (tensor.scalar_type() == at::kBool || tensor.scalar_type() == at::kByte);
}

std::vector<at::Tensor> tensors_of(const c10::IValue& value) {
  if (value.isTensor()) return {value.toTensor()};
  if (value.isTensorList()) return value.toTensorVector();
  std::vector<at::Tensor> tensors;
  if (value.isOptionalTensorList())
    for (const std::optional<at::Tensor>& each : value.toOptionalTensorVector())
      if (each) tensors.push_back(*each);
  return tensors;
}

void look_at(const c10::OperatorHandle& op, const torch::jit::Stack& stack) {
  const std::string& name = op.schema().name();
  if (waiting_operators().contains(name)) note(name);
  if (name == "aten::repeat_interleave" && op.schema().overload_name() == "Tensor" && stack.back().isNone())
    note(name + " without output_size");
  const std::size_t arguments = op.schema().arguments().size();
  const c10::IValue& first = (stack.end() - static_cast<std::ptrdiff_t>(arguments))[0];
  if (varying_operators().contains(name) && first.isTensor() && at::isFloatingType(first.toTensor().scalar_type()))
    note(name + " which has no deterministic kernel");
  for (std::size_t i = stack.size() - arguments; i < stack.size(); ++i) {
    for (const at::Tensor& tensor : tensors_of(stack[i])) {
      if (!tensor.defined()) continue;
      if (stack[i].isOptionalTensorList() && is_boolean(tensor)) note(name + " with a boolean index");
      if (tensor.is_cpu() && tensor.dim() > 0) note(name + " with a tensor on the CPU");
    }
  }
}

void compute_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  look_at(op, *stack);
  const WithinKernel quiet;
  at::native::cpu_fallback(op, stack);
}

at::Tensor empty(c10::IntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout> /*layout*/,
                 std::optional<at::Device> /*device*/, std::optional<bool> /*pinned*/,
                 std::optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory(), c10::DispatchKeySet(c10::DispatchKey::HPU),
                                   c10::dtype_or_default(type), format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<at::ScalarType> type,
                         std::optional<at::Layout> /*layout*/, std::optional<at::Device> /*device*/,
                         std::optional<bool> /*pinned*/) {
  return at::detail::empty_strided_generic(size, stride, &memory(), c10::DispatchKeySet(c10::DispatchKey::HPU),
                                           c10::dtype_or_default(type));
}

// The same memory, as the CPU's.
at::Tensor host_view(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return tensor;
  return at::from_blob(tensor.mutable_data_ptr(), tensor.sizes(), tensor.strides(),
                       at::TensorOptions().dtype(tensor.dtype()));
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (to.is_cpu()) note("a copy to the CPU");
  if (from.is_cpu()) note(non_blocking ? "a copy from the CPU" : "a copy from the CPU that is not asynchronous");
  host_view(to).copy_(host_view(from));
  return to;
}

at::Tensor copy_and_resize(const at::Tensor& from, const at::Tensor& to) {
  if (to.sizes() != from.sizes()) to.resize_(from.sizes());
  return copy_from(from, to, /*non_blocking=*/false);
}

const at::Tensor& resize(const at::Tensor& self, c10::IntArrayRef size, std::optional<at::MemoryFormat> /*format*/) {
  auto* tensor = self.unsafeGetTensorImpl();
  tensor->set_sizes_contiguous(size);
  const std::size_t bytes = (static_cast<std::size_t>(tensor->storage_offset() + tensor->numel())) * tensor->itemsize();
  if (bytes > tensor->storage().nbytes()) {
    c10::DataPtr grown = memory().allocate(bytes);
    std::memcpy(grown.get(), tensor->storage().data(), tensor->storage().nbytes());
    tensor->storage().set_data_ptr(std::move(grown));
    tensor->storage().set_nbytes(bytes);
  }
  return self;
}

at::Tensor on_device(const at::Tensor& tensor) {
  const WithinKernel quiet;
  return tensor.defined() ? at::empty_like(tensor, tensor.options().device(kDevice)).copy_(tensor, true) : tensor;
}

// LibTorch leaves convolutions of kinds of devices that it has no kernels for to these two.
at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       c10::IntArrayRef stride, c10::IntArrayRef padding, c10::IntArrayRef dilation, bool transposed,
                       c10::IntArrayRef output_padding, int64_t groups) {
  const auto of_bias = bias && bias->defined() ? std::optional(host_view(*bias)) : std::nullopt;
  return on_device(at::convolution(host_view(input), host_view(weight), of_bias, stride, padding, dilation, transposed,
                                   output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(const at::Tensor& gradient, const at::Tensor& input,
                                                                    const at::Tensor& weight, c10::IntArrayRef stride,
                                                                    c10::IntArrayRef padding, c10::IntArrayRef dilation,
                                                                    bool transposed, c10::IntArrayRef output_padding,
                                                                    int64_t groups, std::array<bool, 3> wanted) {
  const std::array<int64_t, 1> bias = {weight.size(0)};
  const auto [of_input, of_weight, of_bias] =
      at::convolution_backward(host_view(gradient), host_view(input), host_view(weight), c10::IntArrayRef(bias), stride,
                               padding, dilation, transposed, output_padding, groups, wanted);
  return {on_device(of_input), on_device(of_weight), on_device(of_bias)};
}

}  // namespace

C10_REGISTER_GUARD_IMPL(HPU, Guard)

TORCH_LIBRARY_IMPL(_, HPU, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&compute_on_cpu>()); }

TORCH_LIBRARY_IMPL(aten, HPU, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("_copy_from", copy_from);
  library.impl("_copy_from_and_resize", copy_and_resize);
  library.impl("resize_", resize);
  library.impl("as_strided", at::native::as_strided_tensorimpl);
  library.impl("view", at::native::view);
  library.impl("_reshape_alias", at::native::_reshape_alias);
  library.impl("unfold", at::native::unfold);
  library.impl("convolution_overrideable", convolution);
  library.impl("convolution_backward_overrideable", convolution_backward);
}

at::Device pretended_gpu() {
  static const bool ready = (c10::SetAllocator(kDevice, &memory()), true);
  return ready ? at::Device(kDevice, 0) : at::Device(at::kCPU);
}

Waits::Waits() {
  const std::lock_guard lock(found_mutex);
  found_waits = new std::vector<std::string>;
}

Waits::~Waits() {
  const std::lock_guard lock(found_mutex);
  delete found_waits;
  found_waits = nullptr;
}

std::vector<std::string> Waits::found() const {
  const std::lock_guard lock(found_mutex);
  return *found_waits;
}

}  // namespace silc::testing

namespace at {

C10_REGISTER_CLASS(HPUHooksRegistry, HPUHooks, silc::testing::Hooks)

// Autocast as LibTorch's autocast_mode.cpp has it for CUDA.
TORCH_LIBRARY_IMPL(_, AutocastHPU, m) { m.fallback(torch::CppFunction::makeFallthrough()); }

#define SILC_LOWER_PRECISION(...) KERNEL(kHPU, __VA_ARGS__, lower_precision_fp)
#define SILC_FULL_PRECISION(...) KERNEL(kHPU, __VA_ARGS__, fp32)
#define SILC_FULL_PRECISION_RESULT(...) KERNEL(kHPU, __VA_ARGS__, fp32_set_opt_dtype)
#define SILC_FULL_PRECISION_SUM(...) KERNEL_DIFFERENT_REDISPATCH_SIGNATURE(kHPU, __VA_ARGS__)
#define SILC_WIDEST(...) KERNEL(kHPU, __VA_ARGS__, promote)

TORCH_LIBRARY_IMPL(aten, AutocastHPU, m) {
  AT_FORALL_LOWER_PRECISION_FP(SILC_LOWER_PRECISION);
  AT_FORALL_FP32(SILC_FULL_PRECISION);
  AT_FORALL_FP32_SET_OPT_DTYPE(SILC_FULL_PRECISION_RESULT);
  AT_FORALL_DIFFERENT_REDISPATCH_SIGNATURE(SILC_FULL_PRECISION_SUM);
  AT_FORALL_PROMOTE(SILC_WIDEST);
}

}  // namespace at
