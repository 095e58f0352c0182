#include "nn/teacher_targets.h"

#include "silc/error.h"
#include "tests/nn/fixture.h"

namespace silc {
namespace {

using testing::near;

// sinkhorn_knopp_teacher of DINOv2 as it is published, step by step.
at::Tensor published_sinkhorn_knopp(const at::Tensor& logits) {
  auto q = logits.exp().t();  // [K, B]
  const auto prototypes = static_cast<double>(q.size(0)), samples = static_cast<double>(q.size(1));
  q = q / q.sum();
  for (int round = 0; round < 3; ++round) {
    q = q / q.sum(1, true) / prototypes;
    q = q / q.sum(0, true) / samples;
  }
  return (q * samples).t();
}

TEST(SinkhornKnopp, AgreesWithThePublishedIteration) {
  at::manual_seed(0);
  const auto logits = at::randn({6, 9}, at::kDouble) * 5;
  EXPECT_TRUE(near(log_sinkhorn_knopp(logits).exp(), published_sinkhorn_knopp(logits), 1e-12));
}

TEST(SinkhornKnopp, GivesEverySampleADistributionAndEveryPrototypeItsShare) {
  at::manual_seed(0);
  const auto q = log_sinkhorn_knopp(at::randn({32, 4}), 20).exp();
  EXPECT_TRUE(near(q.sum(1), at::ones({32}), 1e-5));
  EXPECT_TRUE(near(q.sum(0), at::full({4}, 8.0), 1e-3));
}

TEST(SinkhornKnopp, StaysFiniteWhereExponentialsWouldNot) {
  const auto q = log_sinkhorn_knopp(at::tensor({0.f, 1000.f, -1000.f, 0.f, 500.f, 0.f}).view({2, 3})).exp();
  EXPECT_TRUE(near(q.sum(1), at::ones({2}), 1e-5));
}

TEST(TeacherTargets, AreTheSoftmaxOfTheCenteredScores) {
  at::manual_seed(0);
  const auto scores = at::randn({4, 5}), center = at::randn({5});
  EXPECT_TRUE(near(log_teacher_targets(Centering::moving_average, scores, center, 0.1).exp(),
                   at::softmax((scores - center) / 0.1, -1), 1e-5));
}

TEST(TeacherTargets, CountEachPreferredPrototypeOnce) {
  const auto targets = at::tensor({0.8f, 0.2f, 0.f, 0.6f, 0.4f, 0.f, 0.f, 0.1f, 0.9f}).view({3, 3});
  EXPECT_EQ(count_preferred(targets).item<double>(), 2);
}

TEST(TeacherTargets, UnknownCenteringsAreRefused) { EXPECT_THROW(parse_centering("none"), Error); }

}  // namespace
}  // namespace silc
