#include "nn/recompute.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "nn/transformer.h"
#include "tests/nn/allocations.h"
#include "tests/nn/fixture.h"
#include "tests/nn/tiny_tower.h"

namespace silc {
namespace {

using testing::near;
using testing::peak_memory;

// Rounding of fp32 sums over a batch that are taken in another order.
constexpr double kTolerance = 1e-5;

struct Network : torch::nn::Module {
  Network() {
    register_module("first", first);
    register_module("second", second);
  }
  at::Tensor forward(const at::Tensor& x) {
    return second->forward(torch::dropout(at::gelu(first->forward(x)), dropout, is_training()));
  }
  torch::nn::Linear first{6, 32};
  torch::nn::Linear second{32, 4};
  double dropout = 0;
};

std::shared_ptr<Network> make_network(double dropout = 0) {
  at::manual_seed(0);
  auto network = std::make_shared<Network>();
  network->dropout = dropout;
  return network;
}

TensorFunction forward_of(const std::shared_ptr<Network>& network) {
  return [network](const Tensors& inputs) { return Tensors{network->forward(inputs[0])}; };
}

at::Tensor random_rows(int64_t rows) {
  at::manual_seed(1);
  return at::randn({rows, 6});
}

// A loss in which every row counts for every other, as in contrastive learning.
at::Tensor loss_of(const at::Tensor& y) { return at::logsumexp(at::matmul(y, y.t()), {1}).sum(); }

Tensors gradients(torch::nn::Module& module) {
  Tensors gradients;
  for (const auto& parameter : module.parameters()) gradients.push_back(parameter.grad().clone());
  module.zero_grad();
  return gradients;
}

void expect_near(const Tensors& actual, const Tensors& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_TRUE(near(actual[i], expected[i], tolerance)) << i;
}

TEST(Recompute, GivesTheValueAndTheGradientsOfTheFunction) {
  const auto network = make_network();
  const auto direct_input = random_rows(5).requires_grad_(), input = random_rows(5).requires_grad_();
  const auto expected = network->forward(direct_input);
  loss_of(expected).backward();
  const auto expected_gradients = gradients(*network);
  const auto output = recompute(forward_of(network), {input}, network->parameters())[0];
  EXPECT_TRUE(at::equal(output, expected));
  loss_of(output).backward();
  expect_near(gradients(*network), expected_gradients, 0);
  EXPECT_TRUE(at::equal(input.grad(), direct_input.grad()));
}

TEST(Recompute, LeavesFrozenParametersWithoutAGradient) {
  const auto network = make_network();
  network->first->weight.set_requires_grad(false);
  loss_of(recompute(forward_of(network), {random_rows(5)}, network->parameters())[0]).backward();
  EXPECT_FALSE(network->first->weight.grad().defined());
  EXPECT_TRUE(network->first->bias.grad().defined());
}

TEST(Recompute, GivesNoGraphWhereNothingWantsAGradient) {
  const auto network = make_network();
  {
    const torch::NoGradGuard no_grad;
    EXPECT_FALSE(recompute(forward_of(network), {random_rows(5)}, network->parameters())[0].requires_grad());
  }
  for (auto& parameter : network->parameters()) parameter.set_requires_grad(false);
  EXPECT_FALSE(recompute(forward_of(network), {random_rows(5)}, network->parameters())[0].requires_grad());
}

TEST(Recompute, DrawsTheSameRandomNumbersAgain) {
  const auto network = make_network(0.5);
  const auto input = random_rows(5);
  at::manual_seed(7);
  const auto expected = network->forward(input);
  loss_of(expected).backward();
  const auto after = at::rand({3});
  const auto expected_gradients = gradients(*network);
  at::manual_seed(7);
  const auto output = recompute(forward_of(network), {input}, network->parameters())[0];
  loss_of(output).backward();
  EXPECT_TRUE(at::equal(at::rand({3}), after));
  EXPECT_TRUE(at::equal(output, expected));
  expect_near(gradients(*network), expected_gradients, 0);
}

class InBf16 {
 public:
  InBf16() { at::autocast::set_autocast_enabled(at::kCPU, true); }
  ~InBf16() {
    at::autocast::set_autocast_enabled(at::kCPU, false);
    at::autocast::clear_cache();
  }
};

TEST(Recompute, ComputesInThePrecisionOfTheFirstTime) {
  const auto network = make_network();
  const auto input = random_rows(5);
  at::Tensor expected, output;
  {
    const InBf16 autocast;
    expected = network->forward(input);
  }
  loss_of(expected.to(at::kFloat)).backward();
  const auto expected_gradients = gradients(*network);
  {
    const InBf16 autocast;
    output = recompute(forward_of(network), {input}, network->parameters())[0];
  }
  EXPECT_EQ(output.scalar_type(), at::kBFloat16);
  loss_of(output.to(at::kFloat)).backward();
  EXPECT_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
  expect_near(gradients(*network), expected_gradients, 0);
}

// Autocast's copies of weights from a pass without a graph would leave one with a graph without gradients.
TEST(Recompute, LeavesNoCopiesOfWeightsToAPassWithAGraph) {
  const auto network = make_network();
  const auto input = random_rows(5);
  at::Tensor output;
  {
    const InBf16 autocast;
    recompute(forward_of(network), {input}, network->parameters());
    output = network->forward(input);
  }
  output.sum().backward();
  for (const auto& parameter : network->parameters()) EXPECT_TRUE(parameter.grad().defined());
}

TEST(RecomputeInChunks, AgreesWithOnePassWhateverTheChunk) {
  const auto network = make_network();
  const auto rows = random_rows(13);
  const auto expected = network->forward(rows);
  loss_of(expected).backward();
  const auto expected_gradients = gradients(*network);
  for (const int64_t chunk : {1, 2, 5, 12, 13, 20}) {
    const auto output = recompute_in_chunks(forward_of(network), {rows}, network->parameters(), chunk)[0];
    EXPECT_TRUE(near(output, expected.detach(), kTolerance)) << chunk;
    loss_of(output).backward();
    expect_near(gradients(*network), expected_gradients, kTolerance);
  }
}

TEST(RecomputeInChunks, MakesChunksOfAboutEqualSize) {
  std::vector<int64_t> sizes;
  const auto count = [&](const Tensors& inputs) {
    sizes.push_back(inputs[0].size(0));
    return inputs;
  };
  recompute_in_chunks(count, {at::zeros({10, 1})}, {}, 4);
  EXPECT_EQ(sizes, (std::vector<int64_t>{3, 3, 4}));
}

TEST(RecomputeInChunks, DrawsEachChunksRandomNumbersAgain) {
  const auto network = make_network(0.5);
  const auto rows = random_rows(8);
  at::manual_seed(7);
  const auto halves = at::cat({network->forward(rows.slice(0, 0, 4)), network->forward(rows.slice(0, 4))});
  loss_of(halves).backward();
  const auto expected_gradients = gradients(*network);
  at::manual_seed(7);
  const auto output = recompute_in_chunks(forward_of(network), {rows}, network->parameters(), 4)[0];
  EXPECT_TRUE(at::equal(output, halves));
  loss_of(output).backward();
  expect_near(gradients(*network), expected_gradients, kTolerance);
}

// Sixteen times the batch: one pass has sixteen times the activations, chunks have the outputs alone on top.
TEST(RecomputeInChunks, TakesMemoryForTheActivationsOfOneChunk) {
  const auto peak = [](int64_t rows, int64_t chunk) {
    const auto network = make_network();
    const auto input = random_rows(rows);
    return peak_memory([&] {
      const auto output = recompute_in_chunks(forward_of(network), {input}, network->parameters(), chunk)[0];
      output.square().sum().backward();
    });
  };
  const auto outputs = [](int64_t rows) { return rows * 4 * static_cast<int64_t>(sizeof(float)); };
  EXPECT_LT(peak(4096, 256), peak(256, 256) + 6 * outputs(4096));
  EXPECT_GT(peak(4096, 4096), 8 * peak(256, 256));
}

// A class token is a slice of all tokens: kept as such it would keep them.
TEST(RecomputeInChunks, KeepsNothingOfWhatAnOutputWasCutFrom) {
  const auto cut = [](const Tensors& inputs) { return Tensors{inputs[0].repeat({1, 100}).select(1, 0)}; };
  const auto input = at::zeros({1000, 1});
  const torch::NoGradGuard no_grad;
  EXPECT_LT(peak_memory([&] { recompute_in_chunks(cut, {input}, {}, 100); }), 1000 * 4 * 20);
}

TEST(FindBatchNorm, NamesTheModule) {
  torch::nn::Sequential network(torch::nn::Linear(2, 2), torch::nn::BatchNorm1d(2));
  EXPECT_EQ(find_batch_norm(*network), "1");
  torch::nn::Sequential unbuffered(torch::nn::BatchNorm2d(torch::nn::BatchNorm2dOptions(2).track_running_stats(false)));
  EXPECT_EQ(find_batch_norm(*unbuffered), "0");
}

TEST(FindBatchNorm, PassesOverNormsOfSingleRows) {
  torch::nn::Sequential network(torch::nn::LayerNorm(torch::nn::LayerNormOptions({2})), torch::nn::GroupNorm(1, 2));
  EXPECT_EQ(find_batch_norm(*network), std::nullopt);
}

// The towers.

TEST(TowerInChunks, GivesTheFeaturesAndGradientsOfOnePass) {
  at::manual_seed(0);
  const auto tower = testing::tiny_tower();
  const auto images = at::randn({7, 3, 4, 4});
  const auto expected = tower->forward(images);
  (loss_of(expected.pooled) + loss_of(expected.patches.select(1, 0))).backward();
  const auto expected_gradients = gradients(*tower->children()[0]);
  tower->set_chunk(3);
  const auto features = tower->forward(images);
  EXPECT_TRUE(near(features.pooled, expected.pooled.detach(), kTolerance));
  EXPECT_TRUE(near(features.patches, expected.patches.detach(), kTolerance));
  EXPECT_EQ(features.grid_height, expected.grid_height);
  EXPECT_EQ(features.grid_width, expected.grid_width);
  (loss_of(features.pooled) + loss_of(features.patches.select(1, 0))).backward();
  expect_near(gradients(*tower->children()[0]), expected_gradients, kTolerance);
}

TEST(TowerInChunks, ComputesEachChunkTwiceAndASmallBatchOnce) {
  const auto backbone = std::make_shared<testing::TinyBackbone>();
  const auto tower = std::make_shared<ImageTower>(backbone, 2);
  tower->set_chunk(4);
  tower->pool(at::randn({4, 3, 4, 4})).sum().backward();
  EXPECT_EQ(backbone->passes(), 1);
  tower->pool(at::randn({5, 3, 4, 4})).sum().backward();
  EXPECT_EQ(backbone->passes(), 1 + 2 * 2);
}

TEST(TowerInChunks, WithoutAGraphComputesEachChunkOnce) {
  const auto backbone = std::make_shared<testing::TinyBackbone>();
  const auto tower = std::make_shared<ImageTower>(backbone, 2);
  tower->set_chunk(4);
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(near(tower->pool(at::ones({5, 3, 4, 4})), backbone->forward(at::ones({5, 3, 4, 4})).pooled, kTolerance));
  EXPECT_EQ(backbone->passes(), 2 + 1);
}

// The transformer.

std::shared_ptr<Transformer> make_transformer() {
  at::manual_seed(0);
  return std::make_shared<Transformer>(TransformerShape{.width = 16, .layers = 3, .heads = 2});
}

TEST(RecomputedBlocks, GiveTheSameBits) {
  const auto transformer = make_transformer();
  const auto tokens = at::randn({2, 5, 16});
  const auto expected = transformer->forward(tokens, true);
  expected.square().sum().backward();
  const auto expected_gradients = gradients(*transformer);
  transformer->set_recompute(true);
  const auto output = transformer->forward(tokens, true);
  EXPECT_TRUE(at::equal(output, expected));
  output.square().sum().backward();
  expect_near(gradients(*transformer), expected_gradients, 0);
}

TEST(RecomputedBlocks, TakeLessMemory) {
  const auto transformer = make_transformer();
  const auto tokens = at::randn({16, 32, 16});
  const auto peak = [&] { return peak_memory([&] { transformer->forward(tokens, true).sum().backward(); }); };
  const auto whole = peak();
  transformer->set_recompute(true);
  EXPECT_LT(2 * peak(), whole);
}

TEST(RecomputedBlocks, GoTogetherWithChunks) {
  const auto transformer = make_transformer();
  const auto tokens = at::randn({6, 5, 16});
  const auto forward = [&](const Tensors& inputs) { return Tensors{transformer->forward(inputs[0], true)}; };
  forward({tokens})[0].square().sum().backward();
  const auto expected_gradients = gradients(*transformer);
  transformer->set_recompute(true);
  recompute_in_chunks(forward, {tokens}, transformer->parameters(), 2)[0].square().sum().backward();
  expect_near(gradients(*transformer), expected_gradients, kTolerance);
}

TEST(RecomputedBlocks, AreFoundInsideOfABackbone) {
  torch::nn::Sequential network(torch::nn::Linear(2, 2));
  EXPECT_EQ(recompute_blocks(*network), 0);
  network->push_back(make_transformer());
  EXPECT_EQ(recompute_blocks(*network), 1);
}

}  // namespace
}  // namespace silc
