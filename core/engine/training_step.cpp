#include "engine/training_step.h"

#include <c10/util/StringUtil.h>

#include <cmath>

#include "engine/failure.h"
#include "engine/random_streams.h"
#include "silc/random.h"

namespace silc {
namespace {

uint64_t step_seed(uint64_t seed, int64_t step) {
  Random random(seed, kStepStream, static_cast<uint64_t>(step));
  const uint64_t high = random.bits();
  return high << 32 | random.bits();
}

at::Tensor total_loss(const StepResult& result) {
  at::Tensor total;
  for (const LossTerm& term : result.terms) {
    if (!term.value.defined() || term.value.numel() != 1)
      throw Error("loss term \"" + term.name + "\" is not a scalar");
    const at::Tensor weighted = term.value.to(at::kFloat).reshape({}) * term.weight;
    total = total.defined() ? total + weighted : weighted;
  }
  if (!total.defined()) throw Error("step() gave no loss term");
  if (!total.requires_grad()) throw Error("the loss depends on nothing that is trained");
  return total;
}

// Brings all figures to the host at once: one wait for the device a step.
StepFigures read_figures(const StepResult& result, const at::Tensor& loss, const at::Tensor& norm) {
  std::vector<at::Tensor> scalars = {loss.detach(), norm};
  for (const LossTerm& term : result.terms) scalars.push_back(term.value.detach());
  for (const auto& [name, value] : result.metrics) scalars.push_back(value.detach());
  for (at::Tensor& scalar : scalars) scalar = scalar.to(loss.device(), at::kDouble).reshape({});
  const at::Tensor host = at::stack(scalars).cpu();
  const double* next = host.const_data_ptr<double>();
  StepFigures figures;
  figures.loss = *next++;
  figures.gradient_norm = *next++;
  for (const LossTerm& term : result.terms) figures.values.emplace_back("loss/" + term.name, *next++);
  for (const auto& [name, value] : result.metrics) figures.values.emplace_back(name, *next++);
  return figures;
}

void check_finite(const StepFigures& figures, int64_t step) {
  if (std::isfinite(figures.loss) && std::isfinite(figures.gradient_norm)) return;
  std::string terms;
  for (const auto& [name, value] : figures.values) terms += c10::str(", ", name, " ", value);
  throw Error(c10::str("training diverged at step ", step, ": loss ", figures.loss, ", gradient norm ",
                       figures.gradient_norm, terms,
                       "; a lower optimizer.lr, a longer optimizer.warmup or optimizer.clip_grad_norm may help"));
}

}  // namespace

TrainingStep::TrainingStep(const Assembly& assembly, const ResolvedCell& cell)
    : model_(assembly.model),
      objective_(assembly.objective),
      objective_name_(cell.objective.name),
      device_(assembly.device),
      precision_(parse_precision(cell.engine.precision)),
      clip_grad_norm_(cell.optimizer.clip_grad_norm),
      seed_(static_cast<uint64_t>(cell.seed)),
      optimizer_(trainable_parameters(*model_, *objective_), cell.optimizer,
                 in_plugin(PluginKind::objective, objective_name_, [&] { return objective_->parameter_groups(); })) {
  model_->train();
  objective_->train();
}

StepFigures TrainingStep::run(const Batch& batch, const Progress& progress, double lr) {
  torch::manual_seed(step_seed(seed_, progress.step));
  const auto in_objective = [&](auto&& work) -> decltype(auto) {
    return in_plugin(PluginKind::objective, objective_name_, work);
  };
  at::Tensor loss;
  StepResult result = in_objective([&] {
    const Autocast autocast(precision_, device_);
    StepResult computed = objective_->step(batch, progress);
    loss = total_loss(computed);
    return computed;
  });
  in_objective([&] {
    loss.backward();
    objective_->after_backward(progress);
  });
  const at::Tensor norm = clip_gradient_norm(optimizer_.parameters(), clip_grad_norm_);
  optimizer_.step(lr);
  optimizer_.clear_gradients();
  in_objective([&] {
    const torch::NoGradGuard no_grad;
    objective_->after_update(progress);
  });
  StepFigures figures = read_figures(result, loss, norm);
  check_finite(figures, progress.step);
  return figures;
}

std::map<std::string, at::Tensor> TrainingStep::state() const {
  std::map<std::string, at::Tensor> state = module_state(*model_, *objective_);
  for (const auto& [name, tensor] : optimizer_.state()) state.emplace("optimizer." + name, tensor);
  return state;
}

}  // namespace silc
