#include "nn/recompute.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/nn/modules/batchnorm.h>

#include <algorithm>
#include <mutex>

#include "nn/settings_device.h"

namespace silc {

namespace {

using torch::autograd::AutogradContext;

at::Tensor generator_state(const at::Device& device) {
  auto generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  return generator.get_state();
}

void set_generator_state(const at::Device& device, const at::Tensor& state) {
  auto generator = at::globalContext().defaultGenerator(device);
  const std::lock_guard lock(generator.mutex());
  generator.set_state(state);
}

// What a computation on `device` depends on beside its inputs.
class Circumstances {
 public:
  // As they are now.
  explicit Circumstances(const at::Device& device)
      : device_(settings_device(device)),
        autocast_(at::autocast::is_autocast_enabled(device_.type())),
        autocast_type_(at::autocast::get_autocast_dtype(device_.type())),
        cpu_random_(generator_state(at::kCPU)) {
    if (!device_.is_cpu()) device_random_ = generator_state(device_);
  }

  void bring_back() const {
    at::autocast::set_autocast_dtype(device_.type(), autocast_type_);
    at::autocast::set_autocast_enabled(device_.type(), autocast_);
    set_generator_state(at::kCPU, cpu_random_);
    if (device_random_.defined()) set_generator_state(device_, device_random_);
  }

  [[nodiscard]] const at::Device& device() const { return device_; }

 private:
  at::Device device_;
  bool autocast_;
  at::ScalarType autocast_type_;
  at::Tensor cpu_random_;
  at::Tensor device_random_;  // undefined on the CPU
};

// While it lives, circumstances are what they were.
class Reenactment {
 public:
  explicit Reenactment(const Circumstances& past) : present_(past.device()) { past.bring_back(); }
  ~Reenactment() { present_.bring_back(); }
  Reenactment(const Reenactment&) = delete;
  Reenactment& operator=(const Reenactment&) = delete;

 private:
  Circumstances present_;
};

// Autocast keeps its copies of weights for the next use, with the graph through which they were made or, where there is
// none, without. A pass without a graph must leave none to one with a graph, which would then give no gradient.
class NoAutocastCache {
 public:
  NoAutocastCache() { at::autocast::set_autocast_cache_enabled(false); }
  ~NoAutocastCache() { at::autocast::set_autocast_cache_enabled(before_); }
  NoAutocastCache(const NoAutocastCache&) = delete;
  NoAutocastCache& operator=(const NoAutocastCache&) = delete;

 private:
  bool before_ = at::autocast::is_autocast_cache_enabled();
};

struct Part : torch::CustomClassHolder {
  Part(TensorFunction function, std::size_t input_count, const at::Device& device)
      : forward(std::move(function)), inputs(input_count), circumstances(device) {}

  TensorFunction forward;
  std::size_t inputs;
  Circumstances circumstances;
};

struct Recomputation : torch::autograd::Function<Recomputation> {
  // tensors: the part's inputs, then its parameters.
  static Tensors forward(AutogradContext* context, const c10::intrusive_ptr<Part>& part, at::TensorList tensors) {
    context->saved_data["part"] = c10::IValue::make_capsule(part);
    context->save_for_backward(tensors.vec());
    context->set_materialize_grads(false);
    const NoAutocastCache guard;
    return part->forward(tensors.slice(0, part->inputs).vec());
  }

  static Tensors backward(AutogradContext* context, const Tensors& gradients) {
    const auto holder = context->saved_data["part"].toCapsule();
    const auto& part = static_cast<const Part&>(*holder);
    auto sources = context->get_saved_variables();
    // Cut off from what made them, so that the graph ends here.
    for (std::size_t i = 0; i < part.inputs; ++i)
      sources[i] = sources[i].detach().set_requires_grad(sources[i].requires_grad());

    const auto outputs = again(part, {sources.begin(), sources.begin() + static_cast<std::ptrdiff_t>(part.inputs)});
    Tensors roots, seeds;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!gradients[i].defined() || !outputs[i].requires_grad()) continue;
      roots.push_back(outputs[i]);
      seeds.push_back(gradients[i]);
    }
    Tensors wanted;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (!context->needs_input_grad(i)) continue;
      wanted.push_back(sources[i]);
      places.push_back(i);
    }
    Tensors results(1 + sources.size());  // the first stands for the part itself
    if (roots.empty() || wanted.empty()) return results;
    const auto found = torch::autograd::grad(roots, wanted, seeds, /*retain_graph=*/false, /*create_graph=*/false,
                                             /*allow_unused=*/true);
    for (std::size_t i = 0; i < places.size(); ++i) results[1 + places[i]] = found[i];
    return results;
  }

 private:
  static Tensors again(const Part& part, const Tensors& inputs) {
    const Reenactment scene(part.circumstances);
    const NoAutocastCache guard;
    const at::AutoGradMode with_graph(true);
    return part.forward(inputs);
  }
};

bool any_requires_grad(const Tensors& tensors) {
  return std::any_of(tensors.begin(), tensors.end(), [](const at::Tensor& tensor) { return tensor.requires_grad(); });
}

// A tensor that is part of a larger one, as a class token is of all tokens, would keep all of that in memory.
at::Tensor without_surroundings(const at::Tensor& tensor) {
  return tensor.storage().nbytes() == tensor.nbytes() ? tensor : tensor.clone();
}

}  // namespace

Tensors recompute(const TensorFunction& forward, const Tensors& inputs, const Tensors& parameters) {
  if (!at::GradMode::is_enabled() || !(any_requires_grad(inputs) || any_requires_grad(parameters)))
    return forward(inputs);
  Tensors tensors = inputs;
  std::copy_if(parameters.begin(), parameters.end(), std::back_inserter(tensors),
               [](const at::Tensor& parameter) { return parameter.requires_grad(); });
  return Recomputation::apply(c10::make_intrusive<Part>(forward, inputs.size(), inputs.at(0).device()),
                              at::TensorList(tensors));
}

Tensors recompute_in_chunks(const TensorFunction& forward, const Tensors& inputs, const Tensors& parameters,
                            int64_t chunk) {
  const TensorFunction compact = [forward](const Tensors& rows) {
    auto outputs = forward(rows);
    std::transform(outputs.begin(), outputs.end(), outputs.begin(), without_surroundings);
    return outputs;
  };
  const auto rows = inputs.at(0).size(0);
  const auto chunks = std::max<int64_t>((rows + chunk - 1) / chunk, 1);
  std::vector<Tensors> outputs;  // of each output of `forward`, its chunks
  for (int64_t i = 0; i < chunks; ++i) {
    Tensors part;
    for (const auto& input : inputs) part.push_back(input.slice(0, rows * i / chunks, rows * (i + 1) / chunks));
    const auto computed = recompute(compact, part, parameters);
    outputs.resize(computed.size());
    for (std::size_t k = 0; k < computed.size(); ++k) outputs[k].push_back(computed[k]);
  }
  Tensors together;
  for (auto& each : outputs) {
    together.push_back(at::cat(each));
    each.clear();
  }
  return together;
}

std::optional<std::string> find_batch_norm(const torch::nn::Module& module) {
  for (const auto& item : module.named_modules("", /*include_self=*/false)) {
    const auto& each = *item.value();
    const bool known = each.as<torch::nn::BatchNorm1dImpl>() != nullptr ||
                       each.as<torch::nn::BatchNorm2dImpl>() != nullptr ||
                       each.as<torch::nn::BatchNorm3dImpl>() != nullptr;
    if (known || each.named_buffers(/*recurse=*/false).contains("running_mean")) return item.key();
  }
  return std::nullopt;
}

}  // namespace silc
