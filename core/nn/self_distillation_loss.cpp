#include "nn/self_distillation_loss.h"

#include <torch/csrc/autograd/custom_function.h>

#include "nn/precision.h"

namespace silc {

namespace {

// − Σ_v Σ_b Σ_k target_bk log softmax(logits_vb / temperature)_k. Keeps the logarithms only: the gradient
// (mass · softmax − target) / temperature is made from them in one buffer.
struct SoftCrossEntropy : torch::autograd::Function<SoftCrossEntropy> {
  // logits: [V·B, K]; targets: [B, K] whose rows sum to `mass`.
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& logits,
                            const at::Tensor& targets, double mass, double temperature) {
    const auto log_p = at::log_softmax(logits / temperature, -1);
    context->save_for_backward({log_p, targets});
    context->saved_data["mass"] = mass;
    context->saved_data["temperature"] = temperature;
    return -at::mv(log_p.view({-1, targets.numel()}), targets.reshape({-1})).sum();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto& targets = saved[1];
    auto gradient = saved[0].exp();  // [V·B, K]
    gradient.mul_(context->saved_data["mass"].toDouble());
    gradient.view({-1, targets.size(0), targets.size(1)}).sub_(targets);
    gradient.mul_(gradients[0] / context->saved_data["temperature"].toDouble());
    return {gradient, {}, {}, {}};
  }
};

at::Tensor count_used(const at::Tensor& probabilities) {
  return at::bincount(probabilities.argmax(-1), {}, probabilities.size(-1)).count_nonzero().to(at::kFloat);
}

}  // namespace

SelfDistillationLoss::SelfDistillationLoss(int64_t prototypes, double student_temperature, double center_momentum)
    : student_temperature_(student_temperature),
      center_momentum_(center_momentum),
      center_(register_buffer("center", at::zeros({prototypes}))) {}

SelfDistillationResult SelfDistillationLoss::forward(const at::Tensor& teacher, const at::Tensor& student_local,
                                                     const at::Tensor& student_global, int64_t batch,
                                                     double teacher_temperature) {
  const NoAutocast guard;
  const auto scores = full_precision(teacher.detach());                              // [G·B, K]
  const auto log_q = at::log_softmax((scores - center_) / teacher_temperature, -1);  // [G·B, K]
  const auto q = log_q.exp();                                                        // [G·B, K]
  const auto q_views = q.view({-1, batch, q.size(-1)});                              // [G, B, K]
  const auto q_sum = q_views.sum(0);                                                 // [B, K]
  const auto teachers = q_views.size(0);

  at::Tensor sum = at::zeros({}, q.options());
  int64_t pairs = 0;
  const auto add = [&](const at::Tensor& student, const at::Tensor& targets, int64_t paired_teachers) {
    if (paired_teachers == 0) return;
    sum = sum + SoftCrossEntropy::apply(full_precision(student), targets, static_cast<double>(paired_teachers),
                                        student_temperature_);
    pairs += paired_teachers * (student.size(0) / batch);
  };
  if (student_local.defined()) add(student_local, q_sum, teachers);
  if (student_global.defined()) {
    const auto views = student_global.split(batch);
    for (int64_t g = 0; g < teachers; ++g) add(views[g], q_sum - q_views[g], teachers - 1);
  }
  const auto loss = sum / static_cast<double>(pairs * batch);

  center_.lerp_(scores.mean(0), 1 - center_momentum_);

  const auto entropy = -at::dot(q.view(-1), log_q.view(-1)) / q.size(0);
  return {loss,
          {{"teacher_entropy", entropy},
           {"teacher_student_kl", loss.detach() - entropy},
           {"prototypes_in_use", count_used(q)}}};
}

}  // namespace silc
