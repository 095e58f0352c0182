#include "plugins/torchscript/script.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/nn/module.h>
#include <torch/utils.h>

#include <charconv>
#include <new>
#include <optional>

#include "silc/error.h"

namespace silc::torchscript {
namespace {

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

// LibTorch's traces end with the operator's own message, after the line of Python that called it.
std::string explained(std::string_view trace) {
  constexpr std::string_view kHere = "<--- HERE\n";
  constexpr std::string_view kFile = "File \"";
  std::string_view message = trace.substr(0, trace.find("\nException raised from"));
  std::string place;
  if (const auto here = message.rfind(kHere); here != std::string_view::npos) {
    const auto file = message.rfind(kFile, here);
    const auto name = file + kFile.size();
    const auto quote = message.find("\", line ", name);
    if (file != std::string_view::npos && quote < here) {
      const auto number = quote + std::string_view("\", line ").size();
      place = fmt::format(" at {}:{}", message.substr(name, quote - name),
                          message.substr(number, message.find_first_not_of("0123456789", number) - number));
    }
    message = message.substr(here + kHere.size());
  }
  while (message.ends_with('\n')) message.remove_suffix(1);
  return fmt::format("{}: {}", place, message);
}

torch::jit::Module read_module(const std::string& file) {
  try {
    return torch::jit::load(file, at::Device(at::kCPU));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw Error(fmt::format("{} is no TorchScript module ({}); write it with torch.jit.script(module).save(…)", file,
                            first_line(error.what())));
  }
}

// The value in `text` as the type that the attribute has; none if it is no such value.
std::optional<c10::IValue> parsed(std::string_view text, const c10::IValue& like) {
  const char* const end = text.data() + text.size();
  const auto number = [&](auto value) -> std::optional<c10::IValue> {
    const auto [stop, fault] = std::from_chars(text.data(), end, value);
    if (fault != std::errc() || stop != end) return std::nullopt;
    return c10::IValue(value);
  };
  if (like.isDouble()) return number(0.0);
  if (like.isInt()) return number(int64_t{0});
  if (like.isString()) return c10::IValue(std::string(text));
  if (!like.isBool() || (text != "true" && text != "false")) return std::nullopt;
  return c10::IValue(text == "true");
}

}  // namespace

Script::Script(const Options& options)
    : torch::nn::Module("Script"), file_(options[kFile]), module_(read_module(file_)) {
  if (!has_method("forward")) fail("it has no method forward()");
  for (const std::string& attribute : options[kSet]) set_attribute(attribute);
  register_tensors(module_, *this);
  if (options[kInit] == "shuffled") shuffle();
}

void Script::fail(const std::string& what) const { throw Error(file_ + ": " + what); }

bool Script::has_method(const std::string& name) const { return module_.find_method(name).has_value(); }

std::vector<c10::Argument> Script::arguments(const std::string& method) const {
  const auto& all = module_.get_method(method).function().getSchema().arguments();
  return {all.begin() + 1, all.end()};
}

c10::TypePtr Script::return_type(const std::string& method) const {
  return module_.get_method(method).function().getSchema().returns().at(0).type();
}

c10::IValue Script::call(const std::string& method, std::vector<c10::IValue> arguments) {
  const torch::jit::GraphOptimizerEnabledGuard as_written(false);
  try {
    return module_.get_method(method)(std::move(arguments));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    fail(method + "() failed" + explained(error.what()));
  }
}

std::string Script::text_attribute(const std::string& name, const std::string& standard) const {
  const c10::IValue value = module_.attr(name, standard);
  if (!value.isString()) fail(fmt::format("its attribute \"{}\" must be a str", name));
  return value.toStringRef();
}

int64_t Script::integer_attribute(const std::string& name, int64_t standard) const {
  const c10::IValue value = module_.attr(name, standard);
  if (!value.isInt()) fail(fmt::format("its attribute \"{}\" must be an int", name));
  return value.toInt();
}

void Script::set_attribute(std::string_view assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string_view::npos)
    fail(fmt::format("set: \"{}\" is not NAME=VALUE, as in \"margin=0.2\"", assignment));
  const std::string name(assignment.substr(0, equals));
  const auto slot = module_.type()->findAttributeSlot(name);
  if (!slot)
    fail(
        fmt::format("set: the module has no attribute \"{}\" that can be changed; give it one in __init__, as in "
                    "self.{} = 0.2",
                    name, name));
  const std::optional<c10::IValue> value = parsed(assignment.substr(equals + 1), module_._ivalue()->getSlot(*slot));
  if (!value)
    fail(fmt::format("set: \"{}\" does not fit the attribute's type, {}", assignment,
                     module_.type()->getAttribute(*slot)->annotation_str()));
  module_._ivalue()->setSlot(*slot, *value);
}

void Script::register_tensors(const torch::jit::Module& from, torch::nn::Module& to) {
  for (std::size_t i = 0; i < from.type()->numAttributes(); ++i) {
    const c10::IValue value = from._ivalue()->getSlot(i);
    const std::string& name = from.type()->getAttributeName(i);
    if (from.type()->getAttribute(i)->is_module()) {
      register_tensors(torch::jit::Module(value.toObject()),
                       *to.register_module(name, std::make_shared<torch::nn::Module>()));
    } else if (value.isTensor() && value.toTensor().defined()) {
      const at::Tensor& tensor = value.toTensor();
      if (from.type()->is_parameter(i))
        to.register_parameter(name, tensor, tensor.requires_grad());
      else
        to.register_buffer(name, tensor);
      slots_.push_back({from, name, tensor});
    }
  }
}

// Constants, such as the ones and zeros of a norm, stay what they are.
void Script::shuffle() {
  const torch::NoGradGuard no_grad;
  for (at::Tensor& parameter : parameters()) {
    if (!parameter.requires_grad()) continue;
    parameter.copy_(parameter.flatten().index_select(0, at::randperm(parameter.numel())).view_as(parameter));
  }
}

void Script::adopt_assigned() {
  const torch::NoGradGuard no_grad;
  for (Slot& slot : slots_) {
    const at::Tensor now = slot.owner.attr(slot.name).toTensor();
    if (now.is_same(slot.registered)) continue;
    if (now.sizes() != slot.registered.sizes())
      fail(fmt::format("{} was {} and became {}; what a checkpoint holds cannot change its shape", slot.name,
                       c10::str(slot.registered.sizes()), c10::str(now.sizes())));
    slot.registered.copy_(now);
    slot.owner.setattr(slot.name, slot.registered);
  }
}

void Script::train(bool on) {
  torch::nn::Module::train(on);
  module_.train(on);
}

}  // namespace silc::torchscript
