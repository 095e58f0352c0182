#include <ATen/autocast_mode.h>

#include "nn/distillation_head.h"
#include "nn/self_distillation_loss.h"
#include "silc/testing/model.h"
#include "silc/testing/options.h"
#include "tests/nn/fixture.h"

namespace silc {
namespace {

using testing::Fixture;
using testing::load_fixture;
using testing::near;

// fp32; softmax at temperature 0.04 multiplies rounding errors of the scores by 25.
constexpr double kTolerance = 1e-5;
constexpr int64_t kBatch = 5;
constexpr int64_t kPrototypes = 10;

std::shared_ptr<DistillationHead> make_head(const Fixture& fixture, const std::string& mode) {
  auto head = std::make_shared<DistillationHead>(
      DistillationHeadShape{.width = 6, .layers = 3, .hidden = 8, .bottleneck = 4, .prototypes = kPrototypes});
  testing::load_parameters(*head, fixture, mode + ".head.");
  return head;
}

// "local": teachers paired with local views; "all": with the other global views too.
class AgainstDino : public ::testing::TestWithParam<std::string> {};

TEST_P(AgainstDino, LossGradientsAndCenterAgreeOverSeveralSteps) {
  const auto expected = load_fixture("nn_losses");
  const auto& mode = GetParam();
  const auto head = make_head(expected, mode);
  SelfDistillationLoss loss(kPrototypes, 0.1, 0.9);
  for (int step = 0; step < 3; ++step) {
    const auto at_step = [&](const std::string& name) {
      return expected.at(mode + "." + std::to_string(step) + "." + name);
    };
    auto local = at_step("features_local").requires_grad_(), global = at_step("features_global").requires_grad_();
    const auto result = loss.forward(at_step("teacher"), head->forward(local),
                                     mode == "all" ? head->forward(global) : at::Tensor(), kBatch, 0.04 + 0.01 * step);
    head->zero_grad();
    result.loss.backward();
    EXPECT_TRUE(near(result.loss, at_step("loss"), kTolerance));
    EXPECT_TRUE(near(loss.center(), at_step("center"), kTolerance));
    EXPECT_TRUE(near(result.metrics.at("teacher_entropy"), at_step("entropy"), kTolerance));
    EXPECT_TRUE(near(local.grad(), at_step("features_local.grad"), kTolerance));
    if (mode == "all") {
      EXPECT_TRUE(near(global.grad(), at_step("features_global.grad"), kTolerance));
    }
    for (const auto& parameter : head->named_parameters())
      EXPECT_TRUE(near(parameter.value().grad(), at_step(parameter.key() + ".grad"), kTolerance)) << parameter.key();
  }
}

INSTANTIATE_TEST_SUITE_P(Views, AgainstDino, ::testing::Values("local", "all"),
                         [](const auto& info) { return info.param; });

TEST(SelfDistillationLoss, GradientIsTheSlopeOfTheLoss) {
  at::manual_seed(0);
  const auto teacher = at::randn({4, 7}, at::kDouble);
  const auto local = at::randn({6, 7}, at::kDouble).requires_grad_();
  const auto global = at::randn({4, 7}, at::kDouble).requires_grad_();
  const auto value = [&](const at::Tensor& student_local, const at::Tensor& student_global) {
    SelfDistillationLoss loss(7, 0.1, 0.9);
    loss.to(at::kDouble);
    return loss.forward(teacher, student_local, student_global, 2, 0.5).loss;
  };
  value(local, global).backward();
  const torch::NoGradGuard no_grad;
  EXPECT_LT(
      testing::finite_difference_error(local, local.grad(), [&](const at::Tensor& x) { return value(x, global); }),
      1e-6);
  EXPECT_LT(
      testing::finite_difference_error(global, global.grad(), [&](const at::Tensor& x) { return value(local, x); }),
      1e-6);
}

TEST(SelfDistillationLoss, DivergenceIsZeroWhereStudentAndTeacherAgree) {
  at::manual_seed(0);
  const auto scores = at::randn({3, 7});
  SelfDistillationLoss loss(7, 0.1, 0.9);
  const auto result = loss.forward(scores, scores.clone().requires_grad_(), {}, 3, 0.1);
  EXPECT_NEAR(result.metrics.at("teacher_student_kl").item<double>(), 0, 1e-6);
}

TEST(SelfDistillationLoss, CountsThePrototypesThatATeacherViewPrefers) {
  auto scores = at::zeros({4, 7});
  scores[0][2] = scores[1][2] = scores[2][5] = scores[3][2] = 1;
  SelfDistillationLoss loss(7, 0.1, 0.9);
  const auto result = loss.forward(scores, at::zeros({2, 7}).requires_grad_(), {}, 2, 0.1);
  EXPECT_EQ(result.metrics.at("prototypes_in_use").item<double>(), 2);
}

TEST(DistillationHead, ScoresAreCosinesWhateverTheLengthOfAPrototype) {
  at::manual_seed(0);
  DistillationHead head({.width = 6, .layers = 2, .hidden = 8, .bottleneck = 4, .prototypes = 9});
  const auto features = at::randn({5, 6});
  const auto scores = head.forward(features).detach();
  {
    const torch::NoGradGuard no_grad;
    head.named_parameters()["prototypes"].mul_(3);
  }
  EXPECT_TRUE(near(head.forward(features), scores, 1e-6));
  EXPECT_LE(scores.abs().max().item<double>(), 1 + 1e-6);
}

TEST(DistillationHead, ScoresSeveralSetsAsEachAlone) {
  DistillationHead head({.width = 6, .layers = 2, .hidden = 8, .bottleneck = 4, .prototypes = 9});
  const auto first = at::randn({2, 6}), second = at::randn({3, 6});
  const auto scores = head.each(std::vector{first, at::Tensor(), second});
  EXPECT_TRUE(testing::near(scores[0], head.forward(first), 1e-6));
  EXPECT_FALSE(scores[1].defined());
  EXPECT_TRUE(testing::near(head.each_bottleneck(std::vector{second})[0], head.bottleneck(second), 1e-6));
  EXPECT_TRUE(testing::near(scores[2], head.forward(second), 1e-6));
}

TEST(DinoHeadOptions, LeaveTheGainsFreeWhereTheyAreToldTo) {
  constexpr DinoHeadOptions kHead({.norm_last_layer = false});
  const auto options = testing::defaults_of({{"prototypes", int64_t{9}}, {"hidden", int64_t{8}}}, kHead);
  const auto model = testing::tiny_model();
  const auto head = kHead.make(testing::tiny_context(options, model));
  EXPECT_EQ(head->named_parameters()["prototypes"].size(0), 9);
  EXPECT_TRUE(head->named_parameters().contains("gains"));
}

TEST(WarmedDistillationOptions, BringTheTemperatureFromItsStartToItsEnd) {
  constexpr WarmedDistillationOptions kTargets({.first = 0.04, .last = 0.08, .duration = 0.2});
  const auto options = testing::defaults_of({}, kTargets);
  EXPECT_DOUBLE_EQ(kTargets.temperature(options, 0), 0.04);
  EXPECT_DOUBLE_EQ(kTargets.temperature(options, 0.1), 0.06);
  EXPECT_DOUBLE_EQ(kTargets.temperature(options, 0.9), 0.08);
  EXPECT_DOUBLE_EQ(kTargets.temperature(options, 0.6, /*begin=*/0.5), 0.06);
}

TEST(SelfDistillationResult, BecomesATermWithItsMetrics) {
  StepResult result;
  add_term(result, "distillation", {at::ones({}), {{"teacher_entropy", at::zeros({})}}}, 0.5);
  ASSERT_EQ(result.terms.size(), 1U);
  EXPECT_EQ(result.terms[0].name, "distillation");
  EXPECT_EQ(result.terms[0].weight, 0.5);
  EXPECT_TRUE(result.metrics.contains("teacher_entropy"));
}

TEST(DistillationHead, KeepsItsScoresInFullPrecisionUnderAutocast) {
  DistillationHead head({.width = 6, .layers = 1, .hidden = 8, .bottleneck = 4, .prototypes = 9});
  at::autocast::set_autocast_enabled(at::kCPU, true);
  const auto scores = head.forward(at::randn({5, 6}));
  at::autocast::set_autocast_enabled(at::kCPU, false);
  at::autocast::clear_cache();
  EXPECT_EQ(scores.scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace silc
