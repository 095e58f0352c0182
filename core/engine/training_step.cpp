#include "engine/training_step.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/failure.h"
#include "engine/random_streams.h"
#include "nn/ranks.h"
#include "silc/random.h"

namespace silc {
namespace {

// What ranks draw for their parts of a batch must differ.
uint64_t step_seed(uint64_t seed, int64_t step) {
  Random random(seed, kStepStream, static_cast<uint64_t>(step), static_cast<uint32_t>(ranks().rank()));
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

std::vector<at::Tensor> floating_buffers(const torch::nn::Module& model, const torch::nn::Module& objective) {
  std::vector<at::Tensor> found;
  for (const torch::nn::Module* module : {&model, &objective})
    for (const at::Tensor& buffer : module->buffers()) {
      const auto is_it = [&](const at::Tensor& known) { return known.is_same(buffer); };
      if (buffer.defined() && buffer.is_floating_point() && std::none_of(found.begin(), found.end(), is_it))
        found.push_back(buffer);
    }
  return found;
}

}  // namespace

StepFigures mean_of(const std::vector<StepFigures>& figures) {
  StepFigures mean;
  std::vector<double> counts;
  for (const StepFigures& each : figures) {
    mean.loss += each.loss / static_cast<double>(figures.size());
    mean.gradient_norm += each.gradient_norm / static_cast<double>(figures.size());
    for (const auto& [name, value] : each.values) {
      const auto found = std::find_if(mean.values.begin(), mean.values.end(),
                                      [&, &name = name](const auto& known) { return known.first == name; });
      const auto place = static_cast<std::size_t>(found - mean.values.begin());
      if (found == mean.values.end()) {
        mean.values.emplace_back(name, 0);
        counts.push_back(0);
      }
      mean.values[place].second += value;
      ++counts[place];
    }
  }
  for (std::size_t i = 0; i < counts.size(); ++i) mean.values[i].second /= counts[i];
  return mean;
}

std::string pack(const StepFigures& figures) {
  std::string bytes;
  // CBOR keeps what is not finite.
  nlohmann::json::to_cbor({figures.loss, figures.gradient_norm, figures.values}, bytes);
  return bytes;
}

StepFigures unpack(const std::string& bytes) {
  const auto json = nlohmann::json::from_cbor(bytes);
  return {.loss = json[0].get<double>(),
          .gradient_norm = json[1].get<double>(),
          .values = json[2].get<std::vector<std::pair<std::string, double>>>()};
}

StepFigures mean_over_ranks(StepFigures figures) {
  if (ranks().alone()) return figures;
  std::vector<StepFigures> all;
  for (const std::string& bytes : ranks().gather_text(pack(figures))) all.push_back(unpack(bytes));
  return mean_of(all);
}

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
                 in_plugin(PluginKind::objective, objective_name_, [&] { return objective_->parameter_groups(); })),
      reducer_(std::make_unique<GradientReducer>(optimizer_.parameters())) {
  if (!ranks().alone()) averages_ = floating_buffers(*model_, *objective_);
  model_->train();
  objective_->train();
}

StepFigures TrainingStep::run(const std::function<Batch()>& next_batch, const Progress& progress, double lr,
                              const Sharing& share) {
  const StepFigures figures = share(update(next_batch, progress, lr).read());
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
      if (now.micro_batch + 1 == accumulate_) reducer_->begin();
      loss.backward();
    });
  }
  reducer_->finish();
  in_objective([&] { objective_->after_backward(progress); });
  figures.set_gradient_norm(clip_gradient_norm(optimizer_.parameters(), clip_grad_norm_));
  optimizer_.step(lr);
  optimizer_.clear_gradients();
  in_objective([&] {
    const torch::NoGradGuard no_grad;
    objective_->after_update(progress);
  });
  average_buffers();
  return figures;
}

// Running statistics, of which each rank may know its own part alone. The mean of differences from rank 0's, so that
// what is the same on all ranks stays as it is to the bit.
void TrainingStep::average_buffers() {
  if (averages_.empty()) return;
  const torch::NoGradGuard no_grad;
  std::vector<at::Tensor> flat;
  for (const at::Tensor& buffer : averages_) flat.push_back(buffer.reshape({-1}).to(at::kDouble));
  const at::Tensor own = at::cat(flat);
  at::Tensor common = own.clone();
  ranks().broadcast(common);
  const at::Tensor difference = ranks().mean(own - common);
  common.add_(difference);
  int64_t first = 0;
  for (const at::Tensor& buffer : averages_) {
    buffer.copy_(common.narrow(0, first, buffer.numel()).view(buffer.sizes()));
    first += buffer.numel();
  }
}

std::map<std::string, at::Tensor> TrainingStep::state() const {
  std::map<std::string, at::Tensor> state = module_state(*model_, *objective_);
  for (const auto& [name, tensor] : optimizer_.state()) state.emplace("optimizer." + name, tensor);
  return state;
}

}  // namespace silc
