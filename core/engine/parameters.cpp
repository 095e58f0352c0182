#include "engine/parameters.h"

#include <unordered_set>

namespace silc {
namespace {

template <class Visit>
void visit_tensors(const torch::nn::Module& module, const std::string& prefix, bool buffers,
                   std::unordered_set<const void*>& seen, Visit visit) {
  const auto pass = [&](const auto& named) {
    for (const auto& item : named)
      if (item.value().defined() && seen.insert(item.value().unsafeGetTensorImpl()).second)
        visit(prefix + item.key(), item.value());
  };
  pass(module.named_parameters());
  if (buffers) pass(module.named_buffers());
}

}  // namespace

std::vector<NamedTensor> trainable_parameters(const torch::nn::Module& model, const torch::nn::Module& objective) {
  std::vector<NamedTensor> parameters;
  std::unordered_set<const void*> seen;
  const auto keep = [&](const std::string& name, const at::Tensor& value) {
    if (value.requires_grad()) parameters.push_back({name, value});
  };
  visit_tensors(model, "model.", false, seen, keep);
  visit_tensors(objective, "objective.", false, seen, keep);
  return parameters;
}

std::map<std::string, at::Tensor> module_state(const torch::nn::Module& model, const torch::nn::Module& objective) {
  std::map<std::string, at::Tensor> state;
  std::unordered_set<const void*> seen;
  const auto keep = [&](const std::string& name, const at::Tensor& value) { state.emplace(name, value); };
  visit_tensors(model, "model.", true, seen, keep);
  visit_tensors(objective, "objective.", true, seen, keep);
  return state;
}

int64_t parameter_count(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const at::Tensor& parameter : module.parameters()) count += parameter.numel();
  return count;
}

at::Tensor clip_gradient_norm(const std::vector<NamedTensor>& parameters, double max_norm) {
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const NamedTensor& parameter : parameters)
    if (parameter.value.grad().defined()) gradients.push_back(parameter.value.grad());
  if (gradients.empty()) return at::zeros({});
  const at::Tensor norm = at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients)));
  if (max_norm > 0) {
    const at::Tensor scale = at::clamp_max(max_norm / (norm + 1e-6), 1.0);
    at::_foreach_mul_(gradients, scale);
  }
  return norm;
}

}  // namespace silc
