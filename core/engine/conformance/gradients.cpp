#include "engine/conformance/gradients.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <c10/util/StringUtil.h>
#include <torch/library.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace silc::conformance {
namespace {

// The dispatcher's key for modes that a program adds itself; nothing in LibTorch uses it.
constexpr auto kMode = c10::DispatchKey::TESTING_ONLY_GenericMode;

struct Detached {
  bool replay = false;
  std::size_t next = 0;
  std::vector<at::Tensor> values;
};
thread_local Detached* detached = nullptr;

at::Tensor detach_kernel(const at::Tensor& self) {
  const c10::impl::ExcludeDispatchKeyGuard below(kMode);
  at::Tensor result = self.detach();
  // Operators detach what they were given, too, below autograd: convolutions in double precision do. That cuts nothing.
  if (detached == nullptr || c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutogradFunctionality))
    return result;
  if (!detached->replay) {
    detached->values.push_back(result.clone());
    return result;
  }
  if (detached->next >= detached->values.size()) return result;
  const at::Tensor& recorded = detached->values[detached->next++];
  return recorded.sizes() == result.sizes() && recorded.scalar_type() == result.scalar_type() ? recorded.clone()
                                                                                              : result;
}

void register_mode() {
  static torch::Library fallback(torch::Library::IMPL, "_", kMode, __FILE__, __LINE__);
  static torch::Library operators(torch::Library::IMPL, "aten", kMode, __FILE__, __LINE__);
  static const bool once = [] {
    fallback.fallback(torch::CppFunction::makeFallthrough());
    operators.impl("detach", TORCH_FN(detach_kernel));
    return true;
  }();
  static_cast<void>(once);
}

// While it lives, detach() of this thread is recorded, or gives what was recorded.
class DetachScope {
 public:
  DetachScope(Detached& values, bool replay) : key_(kMode) {
    values.replay = replay;
    values.next = 0;
    detached = &values;
  }
  ~DetachScope() { detached = nullptr; }
  DetachScope(const DetachScope&) = delete;
  DetachScope& operator=(const DetachScope&) = delete;

 private:
  c10::impl::IncludeDispatchKeyGuard key_;
};

// Notes whether anything of this thread is cast from double to single precision.
thread_local bool lowered = false;

std::unique_ptr<at::ObserverContext> note_cast(const at::RecordFunction& call) {
  const auto inputs = call.inputs();
  if (inputs.size() > 1 && inputs[0].isTensor() && inputs[0].toTensor().defined() &&
      inputs[0].toTensor().scalar_type() == at::kDouble && inputs[1].isInt() &&
      inputs[1].toInt() == static_cast<int64_t>(at::kFloat))
    lowered = true;
  return nullptr;
}

class CastWatch {
 public:
  CastWatch()
      : handle_(at::addThreadLocalCallback(
            at::RecordFunctionCallback(filter).needsInputs(true).scopes({at::RecordScope::FUNCTION}))) {
    lowered = false;
  }
  ~CastWatch() { at::removeCallback(handle_); }
  CastWatch(const CastWatch&) = delete;
  CastWatch& operator=(const CastWatch&) = delete;

 private:
  static std::unique_ptr<at::ObserverContext> filter(const at::RecordFunction& call) {
    return std::string_view(call.name()) == "aten::_to_copy" ? note_cast(call) : nullptr;
  }
  at::CallbackHandle handle_;
};

struct Setting {
  double step;
  double tolerance;
};
constexpr Setting kDouble = {1e-5, 1e-4};
// Over a longer step a deep network of ReLUs has too many kinks.
constexpr Setting kDoubleWithKinks = {1e-8, 1e-4};
constexpr Setting kPartlySingle = {1e-2, 5e-2};

class Differences {
 public:
  explicit Differences(const DifferentiableProblem& problem) : problem_(problem) {
    const torch::NoGradGuard no_grad;
    for (const NamedTensor& parameter : problem_.parameters) {
      start_.push_back(parameter.value.detach().clone());
      const double size = std::sqrt(start_.back().pow(2).mean().item<double>());
      sizes_.push_back(size > 0 && std::isfinite(size) ? size : kSizeOfZero);
    }
  }

  Outcome run() {
    register_mode();
    take_gradients();
    if (!std::isfinite(value_)) return failed(c10::str("the loss is ", value_, " in double precision"));
    Setting setting = lowered ? kPartlySingle : kDouble;
    constexpr int kDirections = 3;
    double worst = 0;
    for (int i = 0; i < kDirections; ++i) {
      const std::vector<at::Tensor> direction = random_direction(1000 + i);
      const double expected = along(direction);
      double found = difference(direction, setting.step);
      if (!lowered && !(std::abs(found - expected) <= setting.tolerance * scale())) {
        setting = kDoubleWithKinks;
        found = difference(direction, setting.step);
      }
      const double error = std::abs(found - expected) / scale();
      worst = std::max(worst, std::isfinite(error) ? error : 1e300);
      if (!(error <= setting.tolerance))
        return failed(c10::str("along a random direction the loss changes by ", found, " and the gradient says ",
                               expected, culprit(setting)),
                      {{"relative_error", error}, {"allowed", setting.tolerance}});
    }
    return passed(lowered ? "computes partly in fp32 though it is given fp64, so that only gross errors show" : "",
                  {{"relative_error", worst}, {"allowed", setting.tolerance}, {"directions", kDirections}});
  }

 private:
  static constexpr double kSizeOfZero = 1e-2;  // by which parameters are moved that are all zero

  void take_gradients() {
    for (const NamedTensor& parameter : problem_.parameters) parameter.value.mutable_grad().reset();
    const CastWatch watch;
    at::Tensor value;
    {
      const DetachScope scope(detached_, /*replay=*/false);
      value = problem_.value();
    }
    value_ = value.item<double>();
    value.backward();
    for (const NamedTensor& parameter : problem_.parameters) {
      const at::Tensor& gradient = parameter.value.grad();
      gradients_.push_back(gradient.defined() ? gradient.detach().to(at::kDouble).clone()
                                              : at::zeros_like(parameter.value.detach()));
      parameter.value.mutable_grad().reset();
    }
  }

  // Standard deviation of gradient · v over directions; the greatest of the single parameters' where it is 0.
  [[nodiscard]] double scale() const {
    double square = 0;
    for (std::size_t i = 0; i < gradients_.size(); ++i)
      square += sizes_[i] * sizes_[i] * gradients_[i].pow(2).sum().item<double>();
    return std::max(std::sqrt(square), 1e-8 * (1 + std::abs(value_)));
  }

  [[nodiscard]] std::vector<at::Tensor> random_direction(int64_t seed) const {
    at::manual_seed(static_cast<uint64_t>(seed));
    std::vector<at::Tensor> direction;
    for (std::size_t i = 0; i < start_.size(); ++i) direction.push_back(at::randn_like(start_[i]) * sizes_[i]);
    return direction;
  }

  [[nodiscard]] double along(const std::vector<at::Tensor>& direction) const {
    double sum = 0;
    for (std::size_t i = 0; i < direction.size(); ++i)
      if (direction[i].defined()) sum += (gradients_[i] * direction[i]).sum().item<double>();
    return sum;
  }

  double value_at(const std::vector<at::Tensor>& direction, double step) {
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < start_.size(); ++i) {
      at::Tensor target = problem_.parameters[i].value.detach();
      target.copy_(start_[i]);
      if (direction[i].defined() && step != 0) target.add_(direction[i], step);
    }
    // Recorded with gradients on, so replayed with them on: a function may do otherwise without.
    const torch::AutoGradMode grad(true);
    const DetachScope scope(detached_, /*replay=*/true);
    return problem_.value().item<double>();
  }

  double difference(const std::vector<at::Tensor>& direction, double step) {
    const double above = value_at(direction, step);
    const double below = value_at(direction, -step);
    restore();
    return (above - below) / (2 * step);
  }

  void restore() {
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < start_.size(); ++i) problem_.parameters[i].value.detach().copy_(start_[i]);
  }

  // The parameter that is furthest off when moved alone.
  std::string culprit(const Setting& setting) {
    constexpr std::size_t kMost = 100;  // two evaluations each
    const std::vector<at::Tensor> all = random_direction(2000);
    double worst = 0;
    std::string words;
    for (std::size_t i = 0; i < std::min(all.size(), kMost); ++i) {
      std::vector<at::Tensor> one(all.size());
      one[i] = all[i];
      const double expected = along(one);
      const double found = difference(one, setting.step);
      if (const double error = std::abs(found - expected) / scale(); error > worst) {
        worst = error;
        words = c10::str("; furthest off is \"", problem_.parameters[i].name, "\": ", found, " and ", expected);
      }
    }
    return words + (worst > setting.tolerance ? "" : " (no parameter alone is off: does the loss change by itself?)");
  }

  const DifferentiableProblem& problem_;
  std::vector<at::Tensor> start_;
  std::vector<double> sizes_;
  std::vector<at::Tensor> gradients_;
  double value_ = 0;
  Detached detached_;
};

}  // namespace

Outcome check_gradients(const DifferentiableProblem& problem) { return Differences(problem).run(); }

void to_double(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  const auto convert = [](at::Tensor tensor) {
    if (tensor.defined() && tensor.is_floating_point()) tensor.set_data(tensor.to(at::kDouble));
  };
  for (const auto& parameter : module.named_parameters()) convert(parameter.value());
  for (const auto& buffer : module.named_buffers()) convert(buffer.value());
}

}  // namespace silc::conformance
