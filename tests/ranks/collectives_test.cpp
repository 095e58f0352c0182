// The operations that ranks share, between real processes: also a proof that the headers of Gloo which silc is compiled
// with fit the Gloo in LibTorch.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "nn/ranks.h"
#include "processes.h"

namespace silc::testing {
namespace {

class Collectives : public ::testing::TestWithParam<int64_t> {};

TEST_P(Collectives, GiveAllRanksTheSame) {
  in_ranks(GetParam(), [](const Ranks& ranks) {
    const auto N = ranks.size();
    const auto own = at::full({3}, static_cast<double>(ranks.rank() + 1), at::kFloat);
    EXPECT_TRUE(at::equal(ranks.sum(own), at::full({3}, static_cast<double>(N * (N + 1) / 2), at::kFloat)));
    EXPECT_TRUE(at::equal(ranks.max(own), at::full({3}, static_cast<double>(N), at::kFloat)));
    const auto all = ranks.gather(own.view({1, 3}));
    ASSERT_EQ(all.sizes(), at::IntArrayRef({N, 3}));
    for (int64_t r = 0; r < N; ++r) EXPECT_EQ(all[r][0].item<float>(), static_cast<float>(r + 1));
    auto mine = own.clone();
    ranks.broadcast(mine);
    EXPECT_TRUE(at::equal(mine, at::ones({3})));
  });
}

TEST_P(Collectives, ScatterSumsAndPassOn) {
  in_ranks(GetParam(), [](const Ranks& ranks) {
    const auto N = ranks.size();
    // Row r of rank k is 10 k + r.
    const auto rows = (at::arange(N, at::kFloat) + 10.0 * static_cast<double>(ranks.rank())).view({N, 1});
    const auto expected = static_cast<float>(10 * N * (N - 1) / 2 + N * ranks.rank());
    EXPECT_EQ(ranks.scatter_sum(rows).item<float>(), expected);
    EXPECT_EQ(ranks.pass(at::full({1}, ranks.rank(), at::kLong)).item<int64_t>(), (ranks.rank() + 1) % N);
  });
}

TEST_P(Collectives, GatherTextsOfAnyLength) {
  in_ranks(GetParam(), [](const Ranks& ranks) {
    for (const std::size_t length : {0UL, 7UL, 4096UL, 4097UL, 100000UL}) {
      const auto text_of = [&](int64_t rank) {
        return std::string(length + static_cast<std::size_t>(rank), static_cast<char>('a' + rank));
      };
      const auto texts = ranks.gather_text(text_of(ranks.rank()));
      ASSERT_EQ(static_cast<int64_t>(texts.size()), ranks.size());
      for (int64_t r = 0; r < ranks.size(); ++r) EXPECT_EQ(texts[static_cast<std::size_t>(r)], text_of(r));
    }
  });
}

TEST_P(Collectives, SumBesideTheComputation) {
  in_ranks(GetParam(), [](const Ranks& ranks) {
    std::vector<at::Tensor> tensors;
    std::vector<std::unique_ptr<Ranks::Pending>> sums;
    for (int i = 0; i < 5; ++i) {
      tensors.push_back(at::full({1000}, static_cast<double>(i), at::kFloat));
      sums.push_back(ranks.begin_sum(tensors.back()));
      EXPECT_TRUE(ranks.sum(at::ones({2})).eq(static_cast<double>(ranks.size())).all().item<bool>());
    }
    for (std::size_t i = 0; i < sums.size(); ++i) {
      sums[i]->wait();
      EXPECT_TRUE(tensors[i].eq(static_cast<double>(i) * static_cast<double>(ranks.size())).all().item<bool>());
    }
  });
}

TEST_P(Collectives, CountWhatTheySend) {
  in_ranks(GetParam(), [](const Ranks& ranks) {
    const auto N = ranks.size();
    (void)ranks.sum(at::zeros({100}));
    EXPECT_EQ(ranks.bytes_sent(), 2 * (N - 1) * 400 / N);
    (void)ranks.gather(at::zeros({100}));
    EXPECT_EQ(ranks.bytes_sent(), 2 * (N - 1) * 400 / N + (N - 1) * 400);
  });
}

TEST_P(Collectives, CompareWhatMustBeAlike) {
  in_ranks(GetParam(), [](const Ranks& ranks) {
    EXPECT_NO_THROW(check_alike(ranks, {{"silc", "1.0"}, {"LibTorch", "2.13"}}, "mend it"));
    const std::string own = ranks.rank() == 1 ? "2.12" : "2.13";
    try {
      check_alike(ranks, {{"silc", "1.0"}, {"LibTorch", own}}, "mend it");
      FAIL() << "they differ";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "ranks differ in LibTorch: 2.13 on rank 0, 2.12 on rank 1; mend it");
    }
  });
}

// As autocast brings it: at::batch_norm takes bf16 with statistics and weights in fp32.
TEST_P(Collectives, NormaliseHalfPrecisionAsOneProcessDoes) {
  in_ranks(GetParam(), [](const Ranks& ranks) {
    const RanksScope scope(ranks);
    constexpr int64_t kOwn = 4;
    constexpr double kMomentum = 0.1, kEps = 1e-5;
    torch::manual_seed(1);
    const at::Tensor whole = at::randn({kOwn * ranks.size(), 3, 2, 2}).to(at::kBFloat16);
    const at::Tensor weight = at::rand({3}), bias = at::rand({3});
    const at::Tensor mean = at::zeros({3}), variance = at::ones({3});
    const at::Tensor expected_mean = mean.clone(), expected_variance = variance.clone();
    const at::Tensor expected =
        at::batch_norm(whole, weight, bias, expected_mean, expected_variance, true, kMomentum, kEps, false);
    const at::Tensor own = batch_norm_over_ranks(whole.narrow(0, kOwn * ranks.rank(), kOwn), weight, bias, mean,
                                                 variance, true, kMomentum, kEps);
    EXPECT_EQ(own.scalar_type(), at::kBFloat16);
    EXPECT_TRUE(
        at::allclose(own.to(at::kFloat), expected.narrow(0, kOwn * ranks.rank(), kOwn).to(at::kFloat), 1e-2, 1e-2));
    EXPECT_TRUE(at::allclose(mean, expected_mean, 1e-4, 1e-6));
    EXPECT_TRUE(at::allclose(variance, expected_variance, 1e-4, 1e-6));
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, Collectives, ::testing::Values(2, 3, 4),
                         [](const auto& size) { return "Of" + std::to_string(size.param); });

}  // namespace
}  // namespace silc::testing
