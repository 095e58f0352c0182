#include "engine/flop_counter.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "engine/precision.h"
#include "nn/recompute.h"

namespace silc {
namespace {

template <class Work>
int64_t flops_of(Work work) {
  const FlopCounter counter;
  work();
  return counter.total();
}

at::Tensor random(at::IntArrayRef shape, bool gradient = true) {
  return torch::randn(shape).set_requires_grad(gradient);
}

void linear(bool input_gradient) {
  torch::linear(random({5, 7, 11}, input_gradient), random({13, 11}), random({13})).sum().backward();
}

void convolution(bool input_gradient) {
  torch::conv2d(random({2, 3, 16, 16}, input_gradient), random({8, 3, 3, 3}), {}, 2, 1).sum().backward();
}

// The expected values are FlopCounterMode's, from tests/reference/engine.py.

TEST(FlopCounter, CountsLinearLayersForwardAndBackward) {
  EXPECT_EQ(flops_of([] { linear(true); }), 30030);
  EXPECT_EQ(flops_of([] { linear(false); }), 20020);
}

TEST(FlopCounter, CountsConvolutionsForwardAndBackward) {
  EXPECT_EQ(flops_of([] { convolution(true); }), 165888);
  EXPECT_EQ(flops_of([] { convolution(false); }), 110592);
}

TEST(FlopCounter, CountsBatchedProducts) {
  EXPECT_EQ(flops_of([] {
              torch::einsum("bij,bjk->bik", {random({4, 5, 6}), random({4, 6, 7})}).sum().backward();
            }),
            5040);
}

TEST(FlopCounter, CountsAttentionForwardAndBackward) {
  EXPECT_EQ(flops_of([] {
              at::scaled_dot_product_attention(random({2, 3, 10, 8}), random({2, 3, 12, 8}), random({2, 3, 12, 8}))
                  .sum()
                  .backward();
            }),
            80640);
}

TEST(FlopCounter, CountsTheSameUnderAutocast) {
  const auto in_bf16 = [](auto work) {
    return flops_of([&] {
      const Autocast autocast(Precision::bf16, at::kCPU);
      work();
    });
  };
  EXPECT_EQ(in_bf16([] { linear(true); }), 30030);
  EXPECT_EQ(in_bf16([] { convolution(true); }), 165888);
  EXPECT_EQ(in_bf16([] { torch::bmm(random({4, 5, 6}), random({4, 6, 7})).sum().backward(); }), 5040);
}

TEST(FlopCounter, CountsForwardOnlyWithoutGradients) {
  const torch::NoGradGuard no_grad;
  EXPECT_EQ(flops_of([] { torch::linear(random({5, 7, 11}), random({13, 11}), random({13})); }), 2 * 5 * 7 * 11 * 13);
}

TEST(FlopCounter, CountsTransposedAndGroupedConvolutions) {
  // Each of 2·6·5² input pixels meets 4 output channels and 3² places; each of 2·8·5² output pixels meets 2 input
  // channels.
  EXPECT_EQ(flops_of([] {
              torch::conv_transpose2d(random({2, 6, 5, 5}), random({6, 4, 3, 3}));
            }),
            2 * 2 * 6 * 25 * 4 * 9);
  EXPECT_EQ(flops_of([] {
              torch::conv2d(random({2, 8, 5, 5}), random({8, 2, 3, 3}), {}, 1, 1, 1, 4);
            }),
            2 * 2 * 8 * 25 * 2 * 9);
}

TEST(FlopCounter, CountsTheGradientsOfDepthwiseConvolutions) {
  const auto depthwise = [](bool input_gradient) {
    return flops_of([&] {
      torch::conv2d(random({2, 6, 9, 9}, input_gradient), random({6, 1, 7, 7}), {}, 1, 3, 1, 6).sum().backward();
    });
  };
  // FlopCounterMode gives the same for the forward pass and for the gradient by the input; in that by the weight it
  // takes each filter to meet the channels of all groups, and counts six times as much.
  constexpr int64_t kForward = 95256;
  EXPECT_EQ(depthwise(true), 3 * kForward);
  EXPECT_EQ(depthwise(false), 2 * kForward);
}

TEST(FlopCounter, CountsWhatIsComputedAgainInTheBackwardPass) {
  const auto weight = random({13, 11});
  const auto forward = [weight](const Tensors& inputs) { return Tensors{torch::linear(inputs[0], weight)}; };
  // Forward, forward again, and the gradient by the weight.
  EXPECT_EQ(flops_of([&] {
              recompute_in_chunks(forward, {random({6, 11}, false)}, {weight}, 2)[0].sum().backward();
            }),
            3 * 2 * 6 * 11 * 13);
}

TEST(FlopCounter, CountsNothingForOtherOperators) {
  EXPECT_EQ(flops_of([] { torch::layer_norm(random({4, 8}), {8}).softmax(-1).sum().backward(); }), 0);
}

}  // namespace
}  // namespace silc
