// The named tensors of a model and its objective.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace silc {

struct NamedTensor {
  std::string name;
  at::Tensor value;
};

// Parameters of both that want a gradient, as "model.NAME" and "objective.NAME", in order of registration, each once.
std::vector<NamedTensor> trainable_parameters(const torch::nn::Module& model, const torch::nn::Module& objective);

// Every parameter and buffer of both, named likewise: what a checkpoint keeps of them. A tensor registered twice is
// there once, under its first name.
std::map<std::string, at::Tensor> module_state(const torch::nn::Module& model, const torch::nn::Module& objective);

int64_t parameter_count(const torch::nn::Module& module);

// Scales the gradients of `parameters` so that their global norm is at most `max_norm` (0: leaves them as they are), as
// torch.nn.utils.clip_grad_norm_. Gives the norm before, a scalar, without waiting for the device.
at::Tensor clip_gradient_norm(const std::vector<NamedTensor>& parameters, double max_norm);

}  // namespace silc
