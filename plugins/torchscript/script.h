// A TorchScript module from a file as a part of a torch module.
#pragma once

#include <torch/csrc/jit/api/module.h>
#include <torch/nn/module.h>

#include <string>
#include <string_view>
#include <vector>

#include "silc/options.h"

namespace silc::torchscript {

inline constexpr auto kFile = required_file_option("file", "what torch.jit.script(module).save(...) wrote");
inline constexpr auto kSet = texts_option(
    "set", "",
    "attributes of the module that get other values than in the file: [\"margin=0.2\", \"symmetric=false\"]");
inline constexpr auto kInit = choice_option(
    "init", "file", "file|shuffled",
    "file: parameters start as in the file, the same for every seed; shuffled: the entries of each are put in an order "
    "drawn by the seed, as good a start if they were drawn independently");

// What torch.jit.script(module).save(file) writes. Its parameters and tensors, those of its submodules too, are
// registered here under the names that they have in Python, so that they are trained and are in the checkpoint.
//
// Methods run operator by operator as in eager PyTorch, without TorchScript's profiling and fusing: those change the
// last bits of a result after the first calls, so that a resumed run would not end in the bits of one that was never
// interrupted.
class Script : public torch::nn::Module {
 public:
  // Throws silc::Error that names the file. `options`: with those below.
  Script(const Options& options);

  [[nodiscard]] bool has_method(const std::string& name) const;

  // Of a method that is there, without `self`.
  [[nodiscard]] std::vector<c10::Argument> arguments(const std::string& method) const;
  [[nodiscard]] c10::TypePtr return_type(const std::string& method) const;

  // Throws silc::Error that names the file and the place in the Python source.
  c10::IValue call(const std::string& method, std::vector<c10::IValue> arguments);

  // `standard` where the module has no such attribute; throws silc::Error where it is of another type.
  [[nodiscard]] std::string text_attribute(const std::string& name, const std::string& standard) const;
  [[nodiscard]] int64_t integer_attribute(const std::string& name, int64_t standard) const;

  // `self.x = …` puts another tensor in the place of the registered one: copies its value into the registered one and
  // puts that back. Not between a forward and its backward pass.
  void adopt_assigned();

  void train(bool on) override;

  [[noreturn]] void fail(const std::string& what) const;

 private:
  struct Slot {
    torch::jit::Module owner;
    std::string name;
    at::Tensor registered;
  };

  void shuffle();
  void register_tensors(const torch::jit::Module& from, torch::nn::Module& to);
  void set_attribute(std::string_view assignment);

  std::string file_;
  torch::jit::Module module_;
  std::vector<Slot> slots_;
};

}  // namespace silc::torchscript
