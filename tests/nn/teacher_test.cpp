#include "nn/teacher.h"

#include "tests/nn/fixture.h"
#include "tests/nn/tiny_tower.h"

namespace silc {
namespace {

using testing::near;
using testing::tiny_tower;

void shift(torch::nn::Module& module, double by) {
  const torch::NoGradGuard no_grad;
  for (auto& parameter : module.parameters()) parameter.add_(by);
}

std::shared_ptr<DistillationHead> tiny_head() {
  return std::make_shared<DistillationHead>(
      DistillationHeadShape{.width = 4, .layers = 1, .hidden = 4, .bottleneck = 3, .prototypes = 5});
}

TEST(Teacher, StartsAsACopyOfTheStudent) {
  const auto student = tiny_tower(), tower = tiny_tower();
  const auto head = tiny_head(), teacher_head = tiny_head();
  const Teacher teacher(student, tower, head, teacher_head);
  for (const auto& parameter : student->named_parameters())
    EXPECT_TRUE(at::equal(tower->named_parameters()[parameter.key()], parameter.value())) << parameter.key();
  for (const auto& parameter : head->named_parameters())
    EXPECT_TRUE(at::equal(teacher_head->named_parameters()[parameter.key()], parameter.value())) << parameter.key();
}

TEST(Teacher, FollowsTheStudentByAMovingAverage) {
  const auto student = tiny_tower(), tower = tiny_tower();
  Teacher teacher(student, tower);
  const auto start = student->parameters()[0].detach().clone();
  auto expected = start;
  for (int step = 1; step <= 3; ++step) {
    shift(*student, 0.5);
    teacher.update(0.9);
    expected = 0.9 * expected + 0.1 * (start + 0.5 * step);
  }
  EXPECT_TRUE(near(tower->parameters()[0], expected, 1e-6));
}

TEST(Teacher, AveragesBuffersAndCopiesCounters) {
  const auto student = tiny_tower(), tower = tiny_tower();
  Teacher teacher(student, tower);
  const auto buffers = student->named_buffers();
  buffers["backbone.mean"].fill_(1);
  buffers["backbone.count"].fill_(7);
  teacher.update(0.75);
  EXPECT_TRUE(near(tower->named_buffers()["backbone.mean"], at::full({2}, 0.25), 1e-6));
  EXPECT_EQ(tower->named_buffers()["backbone.count"].item<int64_t>(), 7);
}

TEST(Teacher, RequiresNoGradient) {
  const auto student = tiny_tower();
  Teacher teacher(student, tiny_tower(), tiny_head(), tiny_head());
  for (const auto& parameter : teacher.parameters()) EXPECT_FALSE(parameter.requires_grad());
  EXPECT_FALSE(teacher.forward(at::randn({2, 3, 4, 4})).requires_grad());
  for (const auto& parameter : student->parameters()) EXPECT_TRUE(parameter.requires_grad());
}

TEST(Teacher, HoldsNothingOfTheStudent) {
  const auto student = tiny_tower();
  const Teacher teacher(student, tiny_tower());
  EXPECT_EQ(teacher.parameters().size(), student->parameters().size());
}

}  // namespace
}  // namespace silc
