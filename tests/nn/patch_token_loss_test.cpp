#include "nn/patch_token_loss.h"

#include "tests/nn/fixture.h"

namespace silc {
namespace {

using testing::near;

// Three samples of four patches: one, none and three of them masked.
PatchMasks some_mask() {
  return PatchMasks::of(at::tensor({0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1}, at::kInt).to(at::kBool).view({3, 4}));
}

TEST(PatchTokenLoss, IsTheMeanOverSamplesOfTheMeanOverTheirMaskedPatches) {
  at::manual_seed(0);
  const auto student = at::randn({4, 5}, at::kDouble), teacher = at::randn({4, 5}, at::kDouble);
  PatchTokenLoss loss(5, 0.2, 0.9);
  loss.to(at::kDouble);
  const auto entropies = -(at::softmax(teacher / 0.5, -1) * at::log_softmax(student / 0.2, -1)).sum(-1);  // [M]
  const auto expected = (entropies[0] + 0 + entropies.slice(0, 1).mean()) / 3;
  EXPECT_TRUE(near(loss.forward(student, teacher, some_mask(), 0.5).loss, expected, 1e-12));
}

TEST(PatchTokenLoss, ScoresTheMaskedPatchesByBothHeads) {
  at::manual_seed(0);
  const DistillationHeadShape shape{.width = 6, .layers = 1, .hidden = 8, .bottleneck = 4, .prototypes = 5};
  DistillationHead student_head(shape), teacher_head(shape);
  const auto student = at::randn({3, 4, 6}), teacher = at::randn({3, 4, 6});
  const auto mask = some_mask();
  PatchTokenLoss loss(5, 0.2, 0.9), of_scores(5, 0.2, 0.9);
  const auto expected = of_scores.forward(student_head.forward(student.index({mask.hidden})),
                                          teacher_head.forward(teacher.index({mask.hidden})), mask, 0.5);
  EXPECT_TRUE(near(loss.of_heads(student_head, student, teacher_head, teacher, mask, 0.5).loss, expected.loss, 1e-6));
}

TEST(PatchTokenLoss, GradientIsTheSlopeOfTheLoss) {
  at::manual_seed(0);
  const auto student = at::randn({4, 5}, at::kDouble).requires_grad_(), teacher = at::randn({4, 5}, at::kDouble);
  const auto value = [&](const at::Tensor& x) {
    PatchTokenLoss loss(5, 0.2, 0.9);
    loss.to(at::kDouble);
    return loss.forward(x, teacher, some_mask(), 0.5).loss;
  };
  value(student).backward();
  const torch::NoGradGuard no_grad;
  EXPECT_LT(testing::finite_difference_error(student, student.grad(), value), 1e-6);
}

TEST(PatchTokenLoss, CenterFollowsTheMaskedPatchesOrTheMeanThatIsGiven) {
  const auto teacher = at::ones({4, 5});
  PatchTokenLoss masked(5, 0.2, 0.9), given(5, 0.2, 0.9);
  masked.forward(at::zeros({4, 5}), teacher, some_mask(), 0.5);
  EXPECT_TRUE(near(masked.center(), at::full({5}, 0.1), 1e-6));
  given.forward(at::zeros({4, 5}), teacher, some_mask(), 0.5, at::full({5}, 3.0));
  EXPECT_TRUE(near(given.center(), at::full({5}, 0.3), 1e-6));
}

TEST(PatchTokenLoss, KeepsItsCenterAtZeroWithSinkhornKnopp) {
  PatchTokenLoss loss(5, 0.2, 0.9, Centering::sinkhorn_knopp);
  loss.forward(at::randn({4, 5}), at::randn({4, 5}), some_mask(), 0.5);
  EXPECT_EQ(loss.center().count_nonzero().item<int64_t>(), 0);
}

TEST(PatchTokenLoss, IsZeroAndDifferentiableWhereNothingIsMasked) {
  const auto student = at::zeros({0, 5}).requires_grad_();
  PatchTokenLoss loss(5, 0.2, 0.9);
  const auto result = loss.forward(student, at::zeros({0, 5}), PatchMasks::of(at::zeros({3, 4}, at::kBool)), 0.5);
  result.loss.backward();
  EXPECT_EQ(result.loss.item<double>(), 0);
  EXPECT_TRUE(student.grad().defined());
  EXPECT_EQ(loss.center().count_nonzero().item<int64_t>(), 0);
}

TEST(PatchTokenLoss, DivergenceIsZeroWhereStudentAndTeacherAgree) {
  at::manual_seed(0);
  const auto scores = at::randn({4, 5});
  PatchTokenLoss loss(5, 0.1, 0.9);
  const auto metrics = loss.forward(scores, scores, some_mask(), 0.1).metrics;
  EXPECT_NEAR(metrics.at("patch_teacher_student_kl").item<double>(), 0, 1e-6);
  EXPECT_GT(metrics.at("patch_teacher_entropy").item<double>(), 0);
}

}  // namespace
}  // namespace silc
