#include "engine/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace silc {
namespace {

constexpr double kVanished = 1e-3;  // in itself, and times the first norm: losses have their own scale
constexpr int64_t kVanishedSteps = 30;

constexpr double kExplosion = 100;           // times the running median
constexpr double kExplosionSinceStart = 10;  // times the first norm: a model that has learnt by heart has small ones
constexpr int64_t kExplosionSteps = 3;

constexpr double kSpikeDeviations = 10;
constexpr double kSpikeOfGain = 0.5;  // of the way back to where the loss began
constexpr double kSpikeOfLoss = 0.1;  // of the running median

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

bool meets(const HealthCheck& check, double value) {
  switch (check.condition) {
    case HealthCondition::below:
      return value < check.value;
    case HealthCondition::above:
      return value > check.value;
    case HealthCondition::near:
      return std::abs(value - check.value) <= check.tolerance;
  }
  return false;
}

// "teacher_entropy 0 (below 0.042 for 30 steps)"
std::string describe(const HealthCheck& check, double value, int64_t steps) {
  std::string_view condition = "near";
  if (check.condition == HealthCondition::below) condition = "below";
  if (check.condition == HealthCondition::above) condition = "above";
  const double shown = value == 0 ? 0 : value;  // no "-0"
  return fmt::format("{} {:.4g} ({} {:.4g} for {} {})", check.metric, shown, condition, check.value, steps,
                     steps == 1 ? "step" : "steps");
}

}  // namespace

void Trend::add(double value) {
  if (values_.empty()) first_ = value;
  values_.push_back(value);
  if (values_.size() > kLength) values_.pop_front();
}

double Trend::median() const { return median_of({values_.begin(), values_.end()}); }

double Trend::deviation() const {
  constexpr double kOfNormal = 1.4826;
  const double middle = median();
  std::vector<double> distances;
  distances.reserve(values_.size());
  for (const double value : values_) distances.push_back(std::abs(value - middle));
  return kOfNormal * median_of(std::move(distances));
}

Event Trend::state() const { return {{"first", first_}, {"values", values_}}; }

void Trend::restore(const Event& state) {
  state.at("first").get_to(first_);
  state.at("values").get_to(values_);
}

HealthMonitor::HealthMonitor(std::vector<HealthCheck> checks, std::vector<double> milestones)
    : checks_(std::move(checks)), milestones_(std::move(milestones)) {}

std::vector<HealthWarning> HealthMonitor::observe(int64_t step, double before, double after,
                                                  const StepFigures& figures) {
  std::map<std::string, double> values(figures.values.begin(), figures.values.end());
  values["loss"] = figures.loss;
  values["gradient_norm"] = figures.gradient_norm;
  const auto passed = std::count_if(milestones_.begin(), milestones_.end(), [&](double at) { return at <= before; });
  if (passed != passed_milestones_) {
    passed_milestones_ = passed;
    loss_.clear();
    gradient_norm_.clear();
  }

  warnings_.clear();
  for (const auto& [name, value] : values)
    if (!std::isfinite(value))
      warn("not_finite/" + name, name, step, value,
           name +
               " is not finite: a number was divided by zero, or grew beyond what its precision holds; what comes of "
               "it is worth a look at the objective");
  for (const HealthCheck& check : checks_)
    if (const auto value = values.find(check.metric); value != values.end())
      look(check, step, before, after, value->second);
  look_at_trends(step, figures);
  return warnings_;
}

void HealthMonitor::look(const HealthCheck& check, int64_t step, double before, double after, double value) {
  if (told_.contains(check.name) || before < check.from) return;
  if (!meets(check, value)) {  // nor does what is not a number
    streaks_.erase(check.name);
    return;
  }
  Streak& streak = streaks_.try_emplace(check.name, Streak{.steps = 0, .start = before}).first->second;
  ++streak.steps;
  // The last quarter of ten updates is two of them, at the end of training.
  const double rounding = after >= 1 ? after - before : 1e-9;
  if (streak.steps < check.steps || after - streak.start + rounding < check.share) return;
  warn(check.name, check.metric, step, value, describe(check, value, streak.steps) + ": " + check.message);
  streaks_.erase(check.name);
}

void HealthMonitor::look_at_trends(int64_t step, const StepFigures& figures) {
  const double norm = figures.gradient_norm;
  const double loss = figures.loss;
  const bool vanished = norm < kVanished && (gradient_norm_.empty() || norm <= kVanished * gradient_norm_.first());
  vanished_steps_ = vanished ? vanished_steps_ + 1 : 0;
  if (vanished_steps_ >= kVanishedSteps)
    warn("gradient_vanished", "gradient_norm", step, norm,
         fmt::format("gradient_norm {:.4g} (it was {:.4g} at the start, and below {} for {} steps): nothing is learnt "
                     "any more; the representation has collapsed, all is learnt by heart, or what is trained has no "
                     "part in the loss; a lower optimizer.lr or a longer optimizer.warmup keeps from a collapse",
                     norm, gradient_norm_.first(), kVanished, vanished_steps_));
  if (gradient_norm_.full()) {
    const double median = gradient_norm_.median();
    const bool exploding = norm > kExplosion * median && norm > kExplosionSinceStart * gradient_norm_.first();
    exploding_steps_ = exploding ? exploding_steps_ + 1 : 0;
    if (exploding_steps_ >= kExplosionSteps)
      warn("gradient_exploding", "gradient_norm", step, norm,
           fmt::format("gradient_norm {:.4g} ({:.3g} times the median of the last {} steps, {} steps in a row): "
                       "training is about to diverge; a lower optimizer.lr, a longer optimizer.warmup or "
                       "optimizer.clip_grad_norm may help",
                       norm, norm / median, Trend::kLength, exploding_steps_));
  }
  if (loss_.full()) {
    const double median = loss_.median();
    const double jump = std::max({kSpikeDeviations * loss_.deviation(), kSpikeOfGain * (loss_.first() - median),
                                  kSpikeOfLoss * std::abs(median)});
    if (loss > median + jump)
      warn("loss_spike", "loss", step, loss,
           fmt::format("loss {:.4g} (the median of the last {} steps was {:.4g}): it jumped and may not come back; a "
                       "lower optimizer.lr or optimizer.clip_grad_norm may help, and a broken picture or caption may "
                       "be the cause",
                       loss, Trend::kLength, median));
  }
  if (std::isfinite(norm)) gradient_norm_.add(norm);
  if (std::isfinite(loss)) loss_.add(loss);
}

void HealthMonitor::warn(const std::string& check, const std::string& metric, int64_t step, double value,
                         std::string message) {
  if (!told_.insert(check).second) return;
  warnings_.push_back({.step = step, .check = check, .metric = metric, .value = value, .message = std::move(message)});
}

std::string HealthMonitor::state() const {
  Event streaks = Event::object();
  for (const auto& [name, streak] : streaks_) streaks[name] = {streak.steps, streak.start};
  return Event{{"told", told_},
               {"streaks", streaks},
               {"loss", loss_.state()},
               {"gradient_norm", gradient_norm_.state()},
               {"vanished_steps", vanished_steps_},
               {"exploding_steps", exploding_steps_},
               {"passed_milestones", passed_milestones_}}
      .dump();
}

void HealthMonitor::restore(const std::string& state) {
  if (state.empty()) return;
  const Event json = Event::parse(state);
  json.at("told").get_to(told_);
  for (const auto& [name, streak] : json.at("streaks").items())
    streaks_[name] = {.steps = streak.at(0), .start = streak.at(1)};
  loss_.restore(json.at("loss"));
  gradient_norm_.restore(json.at("gradient_norm"));
  json.at("vanished_steps").get_to(vanished_steps_);
  json.at("exploding_steps").get_to(exploding_steps_);
  json.at("passed_milestones").get_to(passed_milestones_);
}

}  // namespace silc
