#include "engine/training_step.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
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

void check_finite(const StepFigures& figures, int64_t step) {
  if (std::isfinite(figures.loss) && std::isfinite(figures.gradient_norm)) return;
  std::string terms;
  for (const auto& [name, value] : figures.values) terms += c10::str(", ", name, " ", value);
  throw Error(c10::str("training diverged at step ", step, ": loss ", figures.loss, ", gradient norm ",
                       figures.gradient_norm, terms,
                       "; a lower optimizer.lr, a longer optimizer.warmup or optimizer.clip_grad_norm may help"));
}

}  // namespace

void DeviceFigures::add(const StepResult& result, const at::Tensor& loss) {
  add("loss", loss);
  for (const LossTerm& term : result.terms) add("loss/" + term.name, term.value);
  for (const auto& [name, value] : result.metrics) add(name, value);
}

void DeviceFigures::add(const std::string& name, const at::Tensor& scalar) {
  const at::Tensor value = scalar.detach().to(at::kDouble).reshape({});
  const auto found = std::find_if(sums_.begin(), sums_.end(), [&](const Sum& sum) { return sum.name == name; });
  if (found == sums_.end()) {
    sums_.push_back({name, value, 1});
    return;
  }
  found->value = found->value + value;
  ++found->count;
}

StepFigures DeviceFigures::read() const {
  // What an objective counts on the CPU stays there.
  const auto on_host = [](const Sum& sum) { return sum.value.is_cpu(); };
  std::vector<at::Tensor> scalars = {gradient_norm_.to(at::kDouble).reshape({})};
  for (const Sum& sum : sums_)
    if (!on_host(sum)) scalars.push_back(sum.value);
  const at::Tensor host = at::stack(scalars).cpu();
  const double* next = host.const_data_ptr<double>();
  StepFigures figures;
  figures.gradient_norm = *next++;
  for (const Sum& sum : sums_)
    figures.values.emplace_back(sum.name, (on_host(sum) ? sum.value.item<double>() : *next++) / sum.count);
  figures.loss = figures.values.front().second;
  figures.values.erase(figures.values.begin());
  return figures;
}

TrainingStep::TrainingStep(const Assembly& assembly, const ResolvedCell& cell)
    : model_(assembly.model),
      objective_(assembly.objective),
      objective_name_(cell.objective.name),
      device_(assembly.device),
      precision_(parse_precision(cell.engine.precision)),
      accumulate_(cell.optimizer.accumulate),
      clip_grad_norm_(cell.optimizer.clip_grad_norm),
      seed_(training_seed(cell)),
      optimizer_(trainable_parameters(*model_, *objective_), cell.optimizer,
                 in_plugin(PluginKind::objective, objective_name_, [&] { return objective_->parameter_groups(); })) {
  model_->train();
  objective_->train();
}

StepFigures TrainingStep::run(const std::function<Batch()>& next_batch, const Progress& progress, double lr) {
  const StepFigures figures = update(next_batch, progress, lr).read();
  check_finite(figures, progress.step);
  return figures;
}

DeviceFigures TrainingStep::update(const std::function<Batch()>& next_batch, const Progress& progress, double lr) {
  torch::manual_seed(step_seed(seed_, progress.step));
  const auto in_objective = [&](auto&& work) -> decltype(auto) {
    return in_plugin(PluginKind::objective, objective_name_, work);
  };
  DeviceFigures figures;
  Progress now = progress;
  for (now.micro_batch = 0; now.micro_batch < accumulate_; ++now.micro_batch) {
    const Batch batch = next_batch();
    in_objective([&] {
      at::Tensor loss;
      {
        const Autocast autocast(precision_, device_);
        const StepResult result = objective_->step(batch, now);
        loss = total_loss(result);
        figures.add(result, loss);
      }
      if (accumulate_ > 1) loss = loss / static_cast<double>(accumulate_);
      loss.backward();
    });
  }
  in_objective([&] { objective_->after_backward(progress); });
  figures.set_gradient_norm(clip_gradient_norm(optimizer_.parameters(), clip_grad_norm_));
  optimizer_.step(lr);
  optimizer_.clear_gradients();
  in_objective([&] {
    const torch::NoGradGuard no_grad;
    objective_->after_update(progress);
  });
  return figures;
}

std::map<std::string, at::Tensor> TrainingStep::state() const {
  std::map<std::string, at::Tensor> state = module_state(*model_, *objective_);
  for (const auto& [name, tensor] : optimizer_.state()) state.emplace("optimizer." + name, tensor);
  return state;
}

}  // namespace silc
