#include "engine/adamw.h"

#include "silc/error.h"

namespace silc {
namespace {

bool decays(const NamedTensor& parameter) {
  const std::string& name = parameter.name;
  const bool temperature = name.ends_with("logit_scale") || name.ends_with("logit_bias");
  return parameter.value.dim() >= 2 && !temperature;
}

}  // namespace

AdamW::AdamW(std::vector<NamedTensor> parameters, const OptimizerSettings& settings)
    : parameters_(std::move(parameters)),
      beta1_(settings.beta1),
      beta2_(settings.beta2),
      epsilon_(settings.epsilon),
      weight_decay_(settings.weight_decay) {
  if (settings.name != "adamw") throw Error("optimizer.name is \"" + settings.name + "\"; use \"adamw\"");
  if (parameters_.empty())
    throw Error("nothing is to be trained: no parameter of the model or objective wants a gradient");
  for (const NamedTensor& parameter : parameters_) {
    decays_.push_back(decays(parameter));
    exp_avg_.push_back(at::zeros_like(parameter.value.detach()));
    exp_avg_sq_.push_back(at::zeros_like(parameter.value.detach()));
  }
  steps_ = at::zeros({static_cast<int64_t>(parameters_.size())},
                     parameters_.front().value.options().dtype(at::kFloat).requires_grad(false));
  step_views_ = steps_.unbind();
}

void AdamW::step(double lr) {
  const torch::NoGradGuard no_grad;
  std::vector<bool> present;
  present.reserve(parameters_.size());
  for (const NamedTensor& parameter : parameters_) present.push_back(parameter.value.grad().defined());
  if (present != present_) {
    present_ = present;
    std::vector<float> ones(present.begin(), present.end());
    increment_ = at::tensor(ones).to(steps_.device());
  }
  steps_.add_(increment_);

  for (const bool decaying : {true, false}) {
    std::vector<at::Tensor> values, gradients, exp_avgs, exp_avg_sqs, steps;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (!present[i] || decays_[i] != decaying) continue;
      values.push_back(parameters_[i].value);
      gradients.push_back(parameters_[i].value.grad());
      exp_avgs.push_back(exp_avg_[i]);
      exp_avg_sqs.push_back(exp_avg_sq_[i]);
      steps.push_back(step_views_[i]);
    }
    if (values.empty()) continue;
    at::_fused_adamw_(values, gradients, exp_avgs, exp_avg_sqs, {}, steps, lr, beta1_, beta2_,
                      decaying ? weight_decay_ : 0.0, epsilon_, /*amsgrad=*/false, /*maximize=*/false);
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
