#include "nn/koleo.h"

#include <cmath>
#include <numbers>

#include "tests/nn/fixture.h"

namespace silc {
namespace {

// On the unit circle: 0°, 60° and 180°. Nearest neighbours lie at chords of 1, 1 and √3.
TEST(Koleo, IsTheMeanLogarithmOfTheDistancesToNearestNeighbours) {
  const double sine = std::sin(std::numbers::pi / 3);
  const auto features = at::tensor({2.0, 0.0, 0.5 * 3, sine * 3, -1.0, 0.0}, at::kDouble).view({3, 2});
  EXPECT_NEAR(koleo_loss(features).item<double>(), -std::log(std::sqrt(3.0)) / 3, 1e-7);
}

TEST(Koleo, GradientIsTheSlopeOfTheLoss) {
  at::manual_seed(0);
  const auto features = at::randn({6, 4}, at::kDouble).requires_grad_();
  koleo_loss(features).backward();
  const torch::NoGradGuard no_grad;
  EXPECT_LT(testing::finite_difference_error(features, features.grad(), koleo_loss), 1e-6);
}

TEST(Koleo, IsFiniteWhereFeaturesAreEqual) {
  const auto features = at::ones({3, 4}).requires_grad_();
  const auto loss = koleo_loss(features);
  loss.backward();
  EXPECT_TRUE(std::isfinite(loss.item<double>()));
  EXPECT_TRUE(features.grad().isfinite().all().item<bool>());
}

TEST(Koleo, OfOneSampleIsZero) { EXPECT_EQ(koleo_loss(at::ones({1, 4})).item<double>(), 0); }

}  // namespace
}  // namespace silc
