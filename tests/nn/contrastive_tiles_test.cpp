#include "nn/contrastive_tiles.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include "nn/contrastive_loss.h"
#include "nn/precision.h"
#include "tests/nn/allocations.h"
#include "tests/nn/fixture.h"

namespace silc {
namespace {

using testing::near;
using testing::peak_memory;

// Sums of some hundred fp32 terms in another order.
constexpr double kTolerance = 1e-5;

// A batch with its loss's parameters, all of them leaves.
struct Pairs {
  at::Tensor image, text, scale, bias;

  explicit Pairs(int64_t batch, int64_t width = 16, at::ScalarType type = at::kFloat) {
    at::manual_seed(0);
    image = l2_normalize(at::randn({batch, width}, at::kDouble));
    // Matched pairs are alike, as in training: the diagonal then counts as much as the rest.
    text = l2_normalize(image + 0.5 * at::randn({batch, width}, at::kDouble)).to(type).requires_grad_();
    image = image.to(type).requires_grad_();
    scale = at::scalar_tensor(14.0, type).requires_grad_();
    bias = at::scalar_tensor(-9.0, type).requires_grad_();
  }

  [[nodiscard]] std::vector<at::Tensor> leaves() const { return {image, text, scale, bias}; }
};

using Loss = at::Tensor (*)(const Pairs&);
using TiledLoss = at::Tensor (*)(const Pairs&, int64_t tile);

struct Case {
  const char* name;
  Loss direct;
  TiledLoss tiled;
};

const Case kClip = {"clip", [](const Pairs& p) { return clip_loss(p.image, p.text, p.scale); },
                    [](const Pairs& p, int64_t tile) { return tiled_clip_loss(p.image, p.text, p.scale, tile); }};
const Case kSigmoid = {
    "siglip", [](const Pairs& p) { return sigmoid_loss(p.image, p.text, p.scale, p.bias); },
    [](const Pairs& p, int64_t tile) { return tiled_sigmoid_loss(p.image, p.text, p.scale, p.bias, tile); }};

class TiledLosses : public ::testing::TestWithParam<Case> {};

TEST_P(TiledLosses, AgreeWithTheDirectOnesInValueAndGradients) {
  const Pairs direct(37), tiled(37);
  const auto expected = GetParam().direct(direct);
  (3 * expected).backward();
  for (const int64_t tile : {1, 8, 36, 37, 64}) {
    for (const auto& leaf : tiled.leaves()) leaf.mutable_grad().reset();
    const auto loss = GetParam().tiled(tiled, tile);
    (3 * loss).backward();
    EXPECT_TRUE(near(loss, expected.detach(), kTolerance)) << tile;
    for (std::size_t i = 0; i < 4; ++i) {
      const auto gradient = direct.leaves()[i].grad();
      if (!gradient.defined()) continue;  // CLIP's loss has no bias
      EXPECT_TRUE(near(tiled.leaves()[i].grad(), gradient, kTolerance)) << tile << ' ' << i;
    }
  }
}

TEST_P(TiledLosses, HaveTheSlopeAsGradient) {
  const Pairs pairs(7, 4, at::kDouble);
  GetParam().tiled(pairs, 3).backward();
  const torch::NoGradGuard no_grad;
  for (const auto& leaf : pairs.leaves()) {
    if (!leaf.grad().defined()) continue;
    const auto old = leaf.detach().clone();
    const auto at_value = [&](const at::Tensor& x) {
      leaf.detach().copy_(x.view_as(leaf));
      return GetParam().tiled(pairs, 3);
    };
    EXPECT_LT(testing::finite_difference_error(old, leaf.grad(), at_value), 1e-7);
    leaf.detach().copy_(old);
  }
}

TEST_P(TiledLosses, LeaveOutTheGradientOfAFrozenTower) {
  Pairs pairs(12), whole(12);
  pairs.image.requires_grad_(false);
  GetParam().tiled(pairs, 5).backward();
  GetParam().tiled(whole, 5).backward();
  EXPECT_FALSE(pairs.image.grad().defined());
  EXPECT_TRUE(at::equal(pairs.text.grad(), whole.text.grad()));
  EXPECT_TRUE(at::equal(pairs.scale.grad(), whole.scale.grad()));
}

// Inputs, gradients and what is computed on the way are [B, E] and [B]; [B, B] would be 256 kB at the smaller batch.
TEST_P(TiledLosses, TakeMemoryInProportionToTheBatch) {
  const auto peak = [&](int64_t batch) {
    const Pairs pairs(batch, 4);
    return peak_memory([&] { GetParam().tiled(pairs, 32).backward(); });
  };
  const auto small = peak(256), large = peak(1024);
  EXPECT_LT(large, 4.5 * static_cast<double>(small));
  EXPECT_LT(large, 1024 * 200);
}

// On one thread: how several divide a matrix product, and so its last bit, depends on how busy they are.
TEST_P(TiledLosses, AreTheLossOfABatchOfMoreThanATile) {
  at::set_num_threads(1);
  const Pairs pairs(kContrastiveTile + 1, 4);
  EXPECT_TRUE(at::equal(GetParam().direct(pairs), GetParam().tiled(pairs, kContrastiveTile)));
}

INSTANTIATE_TEST_SUITE_P(Loss, TiledLosses, ::testing::Values(kClip, kSigmoid),
                         [](const auto& info) { return std::string(info.param.name); });

// open_clip starts at 14 and ends at 100, where single exponentials overflow in fp32.
TEST(TiledClipLoss, BearsLogitsWhoseExponentialsOverflow) {
  Pairs pairs(20), direct(20);
  {
    const torch::NoGradGuard no_grad;
    pairs.scale.fill_(100);
    direct.scale.fill_(100);
  }
  tiled_clip_loss(pairs.image, pairs.text, pairs.scale, 6).backward();
  clip_loss(direct.image, direct.text, direct.scale).backward();
  EXPECT_TRUE(near(pairs.image.grad(), direct.image.grad(), kTolerance));
}

}  // namespace
}  // namespace silc
