// The pretended GPU notices what it is for.
#include "device.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace silc::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <class Work>
std::vector<std::string> waits_of(const Work& work) {
  const Waits waits;
  work();
  return waits.found();
}

at::Tensor numbers() { return at::tensor({1.0F, 0.0F, 3.0F}).to(pretended_gpu()); }

TEST(PretendedGpu, ComputesWhatTheCpuComputes) {
  const at::Tensor x = numbers().requires_grad_();
  (x * x).sum().backward();
  EXPECT_TRUE(x.grad().cpu().equal(at::tensor({2.0F, 0.0F, 6.0F})));
  EXPECT_TRUE(x.grad().device() == pretended_gpu());
}

TEST(PretendedGpu, LetsComputationsPass) {
  const at::Tensor x = numbers();
  EXPECT_THAT(waits_of([&] { at::softmax(x * 2 + at::scalar_tensor(1.0), 0).sum(); }), IsEmpty());
}

TEST(PretendedGpu, NoticesValuesThatAreRead) {
  const at::Tensor x = numbers();
  EXPECT_THAT(waits_of([&] { x.sum().item<float>(); }), ElementsAre("aten::_local_scalar_dense"));
  EXPECT_THAT(waits_of([&] { x.cpu(); }), ElementsAre("a copy to the CPU"));
}

TEST(PretendedGpu, NoticesShapesThatDependOnValues) {
  const at::Tensor x = numbers();
  const at::Tensor mask = x.gt(0);
  EXPECT_THAT(waits_of([&] { x.nonzero(); }), ElementsAre("aten::nonzero"));
  EXPECT_THAT(waits_of([&] { x.masked_select(mask); }), ElementsAre("aten::masked_select"));
  EXPECT_THAT(waits_of([&] { x.index({mask}); }), ElementsAre("aten::nonzero", "aten::index with a boolean index"));
}

TEST(PretendedGpu, NoticesCopies) {
  const at::Tensor here = at::ones({3});
  EXPECT_THAT(waits_of([&] { here.to(pretended_gpu()); }), ElementsAre("a copy from the CPU that is not asynchronous"));
  EXPECT_THAT(waits_of([&] { here.to(pretended_gpu(), /*non_blocking=*/true); }), ElementsAre("a copy from the CPU"));
}

TEST(PretendedGpu, NoticesTensorsLeftOnTheCpu) {
  const at::Tensor x = numbers();
  const at::Tensor places = at::tensor({2, 0}, at::kLong);
  EXPECT_THROW(x + at::ones({3}), c10::Error);
  EXPECT_THAT(waits_of([&] { x.index_select(0, places); }), ElementsAre("aten::index_select with a tensor on the CPU"));
}

TEST(PretendedGpu, NoticesWhatGivesOtherBitsEachTime) {
  const at::Tensor x = numbers();
  EXPECT_THAT(waits_of([&] { x.cumsum(0); }), ElementsAre("aten::cumsum which has no deterministic kernel"));
}

TEST(PretendedGpu, CastsAsAutocastDoesOnCuda) {
  const at::Tensor x = at::ones({2, 2}).to(pretended_gpu());
  at::autocast::set_autocast_dtype(at::kHPU, at::kBFloat16);
  at::autocast::set_autocast_enabled(at::kHPU, true);
  const at::Tensor product = at::matmul(x, x), sum = product.sum();
  at::autocast::set_autocast_enabled(at::kHPU, false);
  at::autocast::clear_cache();
  EXPECT_EQ(product.scalar_type(), at::kBFloat16);
  EXPECT_EQ(sum.scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace silc::testing
