#include "engine/adamw.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cmath>

#include "engine/parameters.h"
#include "silc/error.h"

namespace silc {
namespace {

using ::testing::HasSubstr;

void expect_near(const at::Tensor& actual, const std::vector<float>& expected) {
  // Both sides compute in fp32; a few roundings of numbers around 1.
  const at::Tensor reference = torch::tensor(expected).reshape(actual.sizes());
  EXPECT_TRUE(torch::allclose(actual.detach(), reference, 1e-6, 1e-6)) << actual << "\n" << reference;
}

struct TwoParameters {
  at::Tensor matrix = torch::linspace(-1, 1, 6).reshape({2, 3}).requires_grad_();
  at::Tensor vector = torch::linspace(0.5, 1, 3).requires_grad_();

  AdamW optimizer(const std::vector<ParameterGroup>& groups = {}) {
    OptimizerSettings settings;
    settings.weight_decay = 0.1;
    settings.beta1 = 0.9;
    settings.beta2 = 0.98;
    settings.epsilon = 1e-6;
    return AdamW({{"matrix", matrix}, {"vector", vector}}, settings, groups);
  }

  // The gradients of tests/reference/engine.py: the vector has none in step 0.
  void give_gradients(int64_t step) {
    matrix.mutable_grad() = torch::cos(torch::arange(6.0) + step).reshape({2, 3});
    if (step > 0) vector.mutable_grad() = torch::sin(torch::arange(3.0) + step);
  }

  void train(AdamW& optimizer, int64_t from, int64_t to) {
    for (int64_t step = from; step < to; ++step) {
      give_gradients(step);
      optimizer.step(1e-2 / static_cast<double>(step + 1));
      optimizer.clear_gradients();
    }
  }
};

TEST(AdamW, AgreesWithPyTorchWhereAParameterHasNoGradientAtFirst) {
  TwoParameters parameters;
  AdamW optimizer = parameters.optimizer();
  parameters.train(optimizer, 0, 5);
  // tests/reference/engine.py
  expect_near(parameters.matrix, {-1.01326764, -0.604966402, -0.179862186, 0.215902328, 0.606752336, 0.978036225});
  expect_near(parameters.vector, {0.488975346, 0.742911994, 1.00051284});
}

TEST(AdamW, GoesOnFromACopiedStateToTheSameBits) {
  TwoParameters whole, first, second;
  AdamW uninterrupted = whole.optimizer();
  whole.train(uninterrupted, 0, 5);

  AdamW before = first.optimizer();
  first.train(before, 0, 2);
  const torch::NoGradGuard no_grad;
  second.matrix.copy_(first.matrix);
  second.vector.copy_(first.vector);
  AdamW after = second.optimizer();
  const auto saved = before.state();
  for (auto& [name, tensor] : after.state()) tensor.copy_(saved.at(name));
  second.train(after, 2, 5);
  EXPECT_TRUE(torch::equal(second.matrix, whole.matrix));
  EXPECT_TRUE(torch::equal(second.vector, whole.vector));
}

TEST(AdamW, TrainsGroupsWithScalesOfTheirOwnAsPyTorchDoes) {
  TwoParameters parameters;
  AdamW optimizer = parameters.optimizer({{.parameters = {parameters.matrix}, .lr_scale = 0.1, .weight_decay_scale = 3},
                                          {.parameters = {parameters.vector}, .lr_scale = 2, .weight_decay_scale = 5}});
  parameters.train(optimizer, 0, 5);
  // tests/reference/engine.py; the vector does not decay in any case.
  expect_near(parameters.matrix, {-1.0008713, -0.600223422, -0.197893575, 0.201500118, 0.600402117, 0.997345686});
  expect_near(parameters.vector, {0.477950662, 0.735824049, 1.00102556});
}

// A filter of a depthwise convolution, whose bytes are the same in both layouts, and a transposed matrix.
TEST(AdamW, TakesGradientsThatLieOtherwiseThanTheirParameters) {
  const auto train = [](bool otherwise) {
    const at::Tensor filter = torch::linspace(-1, 1, 8).reshape({2, 1, 2, 2}).requires_grad_();
    const at::Tensor matrix = torch::linspace(-1, 1, 6).reshape({2, 3}).requires_grad_();
    AdamW optimizer({{"filter", filter}, {"matrix", matrix}}, {});
    const at::Tensor of_filter = torch::cos(torch::arange(8.0)).reshape({2, 1, 2, 2});
    const at::Tensor of_matrix = torch::cos(torch::arange(6.0)).reshape({2, 3});
    filter.mutable_grad() = otherwise ? of_filter.as_strided({2, 1, 2, 2}, {4, 1, 2, 1}) : of_filter;
    matrix.mutable_grad() = otherwise ? of_matrix.t().contiguous().t() : of_matrix;
    optimizer.step(1e-2);
    return std::pair(filter.detach(), matrix.detach());
  };
  EXPECT_TRUE(torch::equal(train(true).first, train(false).first));
  EXPECT_TRUE(torch::equal(train(true).second, train(false).second));
}

TEST(AdamW, NamesItsStateAlikeWithAndWithoutGroups) {
  TwoParameters parameters;
  const auto plain = parameters.optimizer().state();
  const auto grouped = parameters.optimizer({{.parameters = {parameters.vector}, .lr_scale = 2}}).state();
  ASSERT_EQ(plain.size(), grouped.size());
  for (const auto& [name, tensor] : plain) EXPECT_EQ(grouped.at(name).sizes(), tensor.sizes()) << name;
}

std::string refusal(TwoParameters& parameters, const std::vector<ParameterGroup>& groups) {
  try {
    parameters.optimizer(groups);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(AdamW, RefusesAParameterInTwoGroups) {
  TwoParameters parameters;
  EXPECT_THAT(refusal(parameters, {{.parameters = {parameters.matrix}, .lr_scale = 2},
                                   {.parameters = {parameters.vector, parameters.matrix}, .lr_scale = 3}}),
              HasSubstr("group 2 holds \"matrix\", which is in a group already"));
}

TEST(AdamW, RefusesAGroupOfWhatIsNotTrained) {
  TwoParameters parameters;
  EXPECT_THAT(refusal(parameters, {{.parameters = {torch::zeros({2, 5})}}}),
              HasSubstr("group 1 holds a tensor of shape [2, 5] that is not trained"));
}

TEST(AdamW, RefusesScalesThatMakeNoSense) {
  TwoParameters parameters;
  EXPECT_THAT(refusal(parameters, {{.parameters = {parameters.matrix}, .lr_scale = -1}}), HasSubstr("scale of -1"));
  EXPECT_THAT(refusal(parameters, {{.parameters = {}, .weight_decay_scale = std::nan("")}}), HasSubstr("scale of nan"));
}

TEST(AdamW, RefusesToTrainNothing) { EXPECT_THROW(AdamW({}, OptimizerSettings()), Error); }

TEST(GradientNorm, IsClippedAsInPyTorch) {
  const at::Tensor a = torch::zeros({2}).requires_grad_();
  const at::Tensor b = torch::zeros({1}).requires_grad_();
  const at::Tensor unused = torch::zeros({1}).requires_grad_();
  a.mutable_grad() = torch::tensor({3.0F, 4.0F});
  b.mutable_grad() = torch::tensor({12.0F});
  const at::Tensor norm = clip_gradient_norm({{"a", a}, {"b", b}, {"unused", unused}}, 1.0);
  EXPECT_FLOAT_EQ(norm.item<float>(), 13);
  expect_near(a.grad(), {0.230769217, 0.307692289});
  expect_near(b.grad(), {0.923076868});
}

TEST(GradientNorm, IsOnlyMeasuredWhereClippingIsOff) {
  const at::Tensor a = torch::zeros({2}).requires_grad_();
  a.mutable_grad() = torch::tensor({3.0F, 4.0F});
  EXPECT_FLOAT_EQ(clip_gradient_norm({{"a", a}}, 0).item<float>(), 5);
  expect_near(a.grad(), {3, 4});
}

}  // namespace
}  // namespace silc
