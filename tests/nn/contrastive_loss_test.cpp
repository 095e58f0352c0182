#include "nn/contrastive_loss.h"

#include <ATen/autocast_mode.h>

#include "nn/precision.h"
#include "silc/error.h"
#include "tests/nn/fixture.h"

namespace silc {
namespace {

using testing::load_fixture;
using testing::near;

// fp32 sums of a few hundred terms: a relative error of some 1e-6.
constexpr double kTolerance = 1e-5;

at::Tensor random_embeddings(int64_t batch, int64_t width, at::ScalarType type) {
  return l2_normalize(at::randn({batch, width}, at::kDouble)).to(type).requires_grad_();
}

class AgainstOpenClip : public ::testing::TestWithParam<std::string> {};

TEST_P(AgainstOpenClip, LossAndGradientsAgree) {
  auto expected = load_fixture("nn_losses");
  const auto& name = GetParam();
  const auto loss = make_contrastive_loss(name);
  const auto image = expected.at("image").requires_grad_(), text = expected.at("text").requires_grad_();
  const auto value = loss->forward(image, text);
  value.backward();
  EXPECT_TRUE(near(value, expected.at(name + ".loss"), kTolerance));
  EXPECT_TRUE(near(image.grad(), expected.at(name + ".image.grad"), kTolerance));
  EXPECT_TRUE(near(text.grad(), expected.at(name + ".text.grad"), kTolerance));
  for (const auto& parameter : loss->named_parameters())
    EXPECT_TRUE(near(parameter.value().grad(), expected.at(name + "." + parameter.key() + ".grad"), kTolerance))
        << parameter.key();
}

TEST_P(AgainstOpenClip, GradientIsTheSlopeOfTheLoss) {
  at::manual_seed(0);
  const auto loss = make_contrastive_loss(GetParam());
  loss->to(at::kDouble);
  const auto image = random_embeddings(5, 4, at::kDouble), text = random_embeddings(5, 4, at::kDouble);
  loss->forward(image, text).backward();
  const torch::NoGradGuard no_grad;
  EXPECT_LT(testing::finite_difference_error(image, image.grad(),
                                             [&](const at::Tensor& x) { return loss->forward(x, text); }),
            1e-7);
}

TEST_P(AgainstOpenClip, OrderOfTheBatchDoesNotMatter) {
  at::manual_seed(0);
  const auto loss = make_contrastive_loss(GetParam());
  const auto image = random_embeddings(16, 8, at::kFloat), text = random_embeddings(16, 8, at::kFloat);
  const auto order = at::randperm(16);
  EXPECT_TRUE(near(loss->forward(image.index_select(0, order), text.index_select(0, order)),
                   loss->forward(image, text).detach(), 1e-6));
}

TEST_P(AgainstOpenClip, LossOverViewsIsTheMeanOfTheLosses) {
  at::manual_seed(0);
  const auto loss = make_contrastive_loss(GetParam());
  const auto first = random_embeddings(4, 8, at::kFloat), second = random_embeddings(4, 8, at::kFloat);
  const auto text = random_embeddings(4, 8, at::kFloat);
  const auto mean = (loss->forward(first, text) + loss->forward(second, text)) / 2;
  EXPECT_TRUE(near(loss->over_views(at::cat({first, second}), text), mean.detach(), 1e-6));
}

INSTANTIATE_TEST_SUITE_P(Loss, AgainstOpenClip, ::testing::Values("clip", "siglip"),
                         [](const auto& info) { return info.param; });

TEST(ClipLoss, KeepsTheScaleAtOrBelowAHundred) {
  ClipLoss loss;
  {
    const torch::NoGradGuard no_grad;
    loss.named_parameters()["logit_scale"].fill_(5);
  }
  loss.clamp();
  EXPECT_NEAR(loss.scale().item<double>(), 100, 1e-3);
}

TEST(ClipLoss, StaysInFullPrecisionUnderAutocast) {
  at::manual_seed(0);
  ClipLoss loss;
  const auto image = random_embeddings(8, 16, at::kFloat), text = random_embeddings(8, 16, at::kFloat);
  const auto expected = loss.forward(image, text).detach();
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const auto value = loss.forward(image, text);
  at::autocast::set_autocast_enabled(at::kCPU, false);
  at::autocast::clear_cache();
  EXPECT_TRUE(at::equal(value, expected));
}

TEST(ContrastiveLoss, UnknownNamesAreRefused) { EXPECT_THROW(make_contrastive_loss("triplet"), Error); }

}  // namespace
}  // namespace silc
