#include "nn/soft_cross_entropy.h"

#include <torch/csrc/autograd/custom_function.h>

namespace silc {

namespace {

struct SoftCrossEntropy : torch::autograd::Function<SoftCrossEntropy> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& logits,
                            const at::Tensor& targets, const at::Tensor& mass, double temperature) {
    const auto log_p = at::log_softmax(logits / temperature, -1);
    context->save_for_backward({log_p, targets, mass});
    context->saved_data["temperature"] = temperature;
    return -at::mv(log_p.view({-1, targets.numel()}), targets.reshape({-1})).sum();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const auto &targets = saved[1], &mass = saved[2];
    auto gradient = saved[0].exp();  // [V·B, K]
    gradient.view({-1, targets.size(0), targets.size(1)}).mul_(mass).sub_(targets);
    gradient.mul_(gradients[0] / context->saved_data["temperature"].toDouble());
    return {gradient, {}, {}, {}};
  }
};

}  // namespace

at::Tensor soft_cross_entropy(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& mass,
                              double temperature) {
  return SoftCrossEntropy::apply(logits, targets, mass, temperature);
}

}  // namespace silc
