#include "nn/health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "nn/self_distillation_loss.h"

namespace silc {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kBatch = 32;

const HealthCheck& named(const std::vector<HealthCheck>& checks, const std::string& name) {
  const auto found = std::find_if(checks.begin(), checks.end(), [&](const auto& check) { return check.name == name; });
  if (found == checks.end()) throw std::out_of_range(name);
  return *found;
}

bool holds(const HealthCheck& check, double value) {
  return check.condition == HealthCondition::above ? value > check.value : value < check.value;
}

TEST(ContrastiveHealth, KnowsChanceOfTheSoftmaxLoss) {
  ClipLoss loss;
  const auto same = at::ones({kBatch, 4}) / 2;  // collapsed embeddings
  const double collapsed = loss.forward(same, same).item<double>();
  EXPECT_NEAR(loss.chance(kBatch), collapsed, 1e-5);
  EXPECT_TRUE(holds(named(contrastive_health(loss, {.size = kBatch}), "contrastive_at_chance"), collapsed));
}

TEST(ContrastiveHealth, KnowsChanceOfTheSigmoidLoss) {
  SigmoidLoss loss;
  // The least that a bias alone reaches, by search.
  double least = 1e9;
  const auto none = at::zeros({kBatch, 4});
  for (double bias = -10; bias < 0; bias += 0.01)
    least = std::min(least, sigmoid_loss(none, none, at::ones({}), at::full({}, bias)).item<double>());
  EXPECT_NEAR(loss.chance(kBatch), least, 1e-3);
}

TEST(ContrastiveHealth, LooksAtChanceAtTheEndOfTrainingOnly) {
  const HealthCheck check = named(contrastive_health(ClipLoss(), {.size = kBatch}), "contrastive_at_chance");
  EXPECT_EQ(check.from, 0.75);
  EXPECT_GE(check.steps, 20);
}

TEST(ContrastiveHealth, NamesTheTermThatItIsOf) {
  EXPECT_EQ(named(contrastive_health(ClipLoss(), {.size = kBatch}, "pairs"), "pairs_at_chance").metric, "loss/pairs");
}

TEST(ContrastiveHealth, SaysTheChanceLevelOfTheBatch) {
  EXPECT_THAT(contrastive_health(ClipLoss(), {.size = kBatch})[0].message, HasSubstr("3.466 for batches of 32"));
}

TEST(ContrastiveHealth, HasALimitOfTheScaleOnlyWhereThereIsOne) {
  ClipLoss clip;
  const HealthCheck check = named(contrastive_health(clip, {.size = kBatch}), "logit_scale_at_limit");
  {
    const torch::NoGradGuard no_grad;
    clip.named_parameters()["logit_scale"].fill_(10);
  }
  clip.clamp();
  EXPECT_TRUE(holds(check, clip.scale().item<double>()));
  EXPECT_THROW(named(contrastive_health(SigmoidLoss(), {.size = kBatch}), "logit_scale_at_limit"), std::out_of_range);
}

TEST(ContrastiveHealth, IsNoneOfABatchOfOne) { EXPECT_THAT(contrastive_health(ClipLoss(), {.size = 1}), IsEmpty()); }

// Metrics of a step in which the teacher scores two views of eight pictures like this.
std::map<std::string, double> metrics_of(const at::Tensor& teacher, double temperature) {
  SelfDistillationLoss loss(teacher.size(1), 0.1, /*center_momentum=*/1);
  const auto result = loss.forward(teacher, at::randn({16, teacher.size(1)}), {}, 8, temperature);
  std::map<std::string, double> metrics;
  for (const auto& [name, value] : result.metrics) metrics[name] = value.item<double>();
  return metrics;
}

TEST(SelfDistillationHealth, SeesATeacherThatHasCollapsed) {
  auto scores = at::zeros({16, 64});
  scores.select(1, 5).fill_(1);
  const auto metrics = metrics_of(scores, 0.001);
  const auto checks = self_distillation_health(64);
  EXPECT_TRUE(holds(named(checks, "teacher_entropy_zero"), metrics.at("teacher_entropy")));
  EXPECT_TRUE(holds(named(checks, "prototypes_collapsed"), metrics.at("prototypes_in_use")));
}

TEST(SelfDistillationHealth, SeesATeacherThatSaysNothing) {
  at::manual_seed(0);
  const auto metrics = metrics_of(at::randn({16, 64}), 100);
  EXPECT_TRUE(holds(named(self_distillation_health(64), "teacher_entropy_uniform"), metrics.at("teacher_entropy")));
}

TEST(SelfDistillationHealth, TakesATeacherThatTellsPicturesApartForHealthy) {
  at::manual_seed(0);
  const auto metrics = metrics_of(at::randn({16, 64}), 0.5);
  for (const HealthCheck& check : self_distillation_health(64)) {
    if (check.metric == "loss/distillation") continue;
    EXPECT_FALSE(holds(check, metrics.at(check.metric))) << check.name;
  }
}

TEST(HealthOf, IsThatOfThePartsThatThereAre) {
  const BatchShape batch{.size = kBatch};
  const auto contrastive = std::make_shared<ClipLoss>();
  const auto distillation = std::make_shared<SelfDistillationLoss>(64, 0.1, 0.9);
  const auto patches = std::make_shared<PatchTokenLoss>(64, 0.1, 0.9);
  EXPECT_THAT(health_of(batch, nullptr), IsEmpty());
  EXPECT_EQ(health_of(batch, contrastive, distillation, patches).size(),
            contrastive_health(*contrastive, batch).size() + self_distillation_health(64).size() +
                patch_distillation_health(64).size());
  EXPECT_EQ(health_of(batch, nullptr, nullptr, patches)[0].metric, "patch_teacher_entropy");
}

TEST(PatchDistillationHealth, IsOfThePatchesMetrics) {
  for (const HealthCheck& check : patch_distillation_health(64)) {
    EXPECT_THAT(check.metric, HasSubstr("patch_"));
    EXPECT_THAT(check.name, HasSubstr("patch_"));
  }
}

}  // namespace
}  // namespace silc
