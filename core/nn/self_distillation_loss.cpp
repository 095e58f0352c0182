#include "nn/self_distillation_loss.h"

#include <cmath>

#include "nn/precision.h"
#include "nn/ranks.h"
#include "nn/schedules.h"
#include "nn/soft_cross_entropy.h"

namespace silc {

void add_term(StepResult& result, const std::string& name, SelfDistillationResult part, double weight) {
  result.terms.push_back({name, std::move(part.loss), weight});
  result.metrics.merge(part.metrics);
}

SelfDistillationLoss::SelfDistillationLoss(int64_t prototypes, double student_temperature, double center_momentum,
                                           Centering centering)
    : student_temperature_(student_temperature),
      center_momentum_(center_momentum),
      centering_(centering),
      center_(register_buffer("center", at::zeros({prototypes}))) {}

SelfDistillationResult SelfDistillationLoss::forward(const at::Tensor& teacher, const at::Tensor& student_local,
                                                     const at::Tensor& student_global, int64_t batch,
                                                     double teacher_temperature) {
  const NoAutocast guard;
  const auto scores = full_precision(teacher.detach());                                      // [G·B, K]
  const auto log_q = log_teacher_targets(centering_, scores, center_, teacher_temperature);  // [G·B, K]
  const auto q = log_q.exp();                                                                // [G·B, K]
  const auto q_views = q.view({-1, batch, q.size(-1)});                                      // [G, B, K]
  const auto q_sum = q_views.sum(0);                                                         // [B, K]
  const auto teachers = q_views.size(0);

  at::Tensor sum = at::zeros({}, q.options());
  int64_t pairs = 0;
  const auto add = [&](const at::Tensor& student, const at::Tensor& targets, int64_t paired_teachers) {
    if (paired_teachers == 0) return;
    const auto mass = at::scalar_tensor(static_cast<double>(paired_teachers), q.options());
    sum = sum + soft_cross_entropy(full_precision(student), targets, mass, student_temperature_);
    pairs += paired_teachers * (student.size(0) / batch);
  };
  if (student_local.defined()) add(student_local, q_sum, teachers);
  if (student_global.defined()) {
    const auto views = student_global.split(batch);
    for (int64_t g = 0; g < teachers; ++g) add(views[g], q_sum - q_views[g], teachers - 1);
  }
  const auto loss = sum / static_cast<double>(pairs * batch);

  if (centering_ == Centering::moving_average) center_.lerp_(ranks().mean(scores.mean(0)), 1 - center_momentum_);

  const auto entropy = -at::dot(q.view(-1), log_q.view(-1)) / q.size(0);
  return {loss,
          {{"teacher_entropy", entropy},
           {"teacher_student_kl", loss.detach() - entropy},
           {"prototypes_in_use", count_preferred(q)}}};
}

double WarmedTemperature::at(const Options& options, double warmth) const {
  return std::lerp(options[first], options[last], warmth);
}

double WarmedDistillationOptions::warmth(const Options& options, double fraction, double begin) const {
  return ramp(fraction, begin, options[warmup]);
}

double WarmedDistillationOptions::temperature(const Options& options, double fraction, double begin) const {
  return teacher_temperature.at(options, warmth(options, fraction, begin));
}

}  // namespace silc
