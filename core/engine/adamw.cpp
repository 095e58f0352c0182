#include "engine/adamw.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "silc/error.h"

namespace silc {
namespace {

bool decays(const NamedTensor& parameter) {
  const std::string& name = parameter.name;
  const bool temperature = name.ends_with("logit_scale") || name.ends_with("logit_bias");
  return parameter.value.dim() >= 2 && !temperature;
}

// For each parameter its group of the objective, null where it is in none.
std::vector<const ParameterGroup*> groups_of(const std::vector<NamedTensor>& parameters,
                                             const std::vector<ParameterGroup>& groups) {
  std::unordered_map<const void*, size_t> places;
  for (size_t i = 0; i < parameters.size(); ++i) places.emplace(parameters[i].value.unsafeGetTensorImpl(), i);
  std::vector<const ParameterGroup*> chosen(parameters.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    const ParameterGroup& group = groups[g];
    const std::string name = c10::str("the objective's parameter group ", g + 1);
    for (const double scale : {group.lr_scale, group.weight_decay_scale})
      if (!(std::isfinite(scale) && scale >= 0))
        throw Error(c10::str(name, " has a scale of ", scale, "; scales are finite and not negative"));
    for (const at::Tensor& parameter : group.parameters) {
      const auto place = places.find(parameter.unsafeGetTensorImpl());
      if (place == places.end())
        throw Error(c10::str(name, " holds a tensor of shape ", parameter.sizes(),
                             " that is not trained: it is no parameter of the model or the objective, or does not "
                             "require a gradient"));
      if (chosen[place->second] != nullptr)
        throw Error(c10::str(name, " holds \"", parameters[place->second].name, "\", which is in a group already"));
      chosen[place->second] = &group;
    }
  }
  return chosen;
}

// The fused kernels for GPUs refuse gradients whose strides are not their parameters', even along dimensions of size 1,
// which autograd leaves as they come: those of 1 x 1 and depthwise filters.
at::Tensor laid_out_as(const at::Tensor& gradient, const at::Tensor& parameter) {
  if (gradient.strides() == parameter.strides()) return gradient;
  return at::empty_strided(parameter.sizes(), parameter.strides(), gradient.options()).copy_(gradient);
}

}  // namespace

AdamW::AdamW(std::vector<NamedTensor> parameters, const OptimizerSettings& settings,
             const std::vector<ParameterGroup>& groups)
    : parameters_(std::move(parameters)), beta1_(settings.beta1), beta2_(settings.beta2), epsilon_(settings.epsilon) {
  if (settings.name != "adamw") throw Error("optimizer.name is \"" + settings.name + "\"; use \"adamw\"");
  if (parameters_.empty())
    throw Error("nothing is to be trained: no parameter of the model or objective wants a gradient");
  const std::vector<const ParameterGroup*> chosen = groups_of(parameters_, groups);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const NamedTensor& parameter = parameters_[i];
    const ParameterGroup standard;
    const ParameterGroup& of_objective = chosen[i] != nullptr ? *chosen[i] : standard;
    const double weight_decay = decays(parameter) ? settings.weight_decay * of_objective.weight_decay_scale : 0.0;
    join_group(i, of_objective.lr_scale, weight_decay);
    exp_avg_.push_back(at::zeros_like(parameter.value.detach()));
    exp_avg_sq_.push_back(at::zeros_like(parameter.value.detach()));
  }
  steps_ = at::zeros({static_cast<int64_t>(parameters_.size())},
                     parameters_.front().value.options().dtype(at::kFloat).requires_grad(false));
  step_views_ = steps_.unbind();
}

void AdamW::join_group(size_t parameter, double lr_scale, double weight_decay) {
  const auto alike = [&](const Group& group) {
    return group.lr_scale == lr_scale && group.weight_decay == weight_decay;
  };
  auto group = std::find_if(groups_.begin(), groups_.end(), alike);
  if (group == groups_.end()) {
    groups_.push_back({.lr_scale = lr_scale, .weight_decay = weight_decay, .members = {}});
    group = std::prev(groups_.end());
  }
  group->members.push_back(parameter);
}

void AdamW::step(double lr) {
  const torch::NoGradGuard no_grad;
  std::vector<bool> present;
  present.reserve(parameters_.size());
  for (const NamedTensor& parameter : parameters_) present.push_back(parameter.value.grad().defined());
  if (present != present_) {
    present_ = present;
    increment_ = at::zeros_like(steps_);
    const std::vector<at::Tensor> each = increment_.unbind();
    for (size_t i = 0; i < present.size(); ++i)
      if (present[i]) each[i].fill_(1);
  }
  steps_.add_(increment_);

  for (const Group& group : groups_) {
    std::vector<at::Tensor> values, gradients, exp_avgs, exp_avg_sqs, steps;
    for (const size_t i : group.members) {
      if (!present[i]) continue;
      values.push_back(parameters_[i].value);
      gradients.push_back(laid_out_as(parameters_[i].value.grad(), parameters_[i].value));
      exp_avgs.push_back(exp_avg_[i]);
      exp_avg_sqs.push_back(exp_avg_sq_[i]);
      steps.push_back(step_views_[i]);
    }
    if (values.empty()) continue;
    at::_fused_adamw_(values, gradients, exp_avgs, exp_avg_sqs, {}, steps, lr * group.lr_scale, beta1_, beta2_,
                      group.weight_decay, epsilon_, /*amsgrad=*/false, /*maximize=*/false);
  }
}

void AdamW::clear_gradients() {
  for (NamedTensor& parameter : parameters_) parameter.value.mutable_grad().reset();
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> state{{"step", steps_}};
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state.emplace("exp_avg." + parameters_[i].name, exp_avg_[i]);
    state.emplace("exp_avg_sq." + parameters_[i].name, exp_avg_sq_[i]);
  }
  return state;
}

}  // namespace silc
