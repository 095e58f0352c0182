#include "silc/backbone.h"
#include "tests/plugins/backbones/backbone_test.h"

extern "C" silc::TextBackbone* silc_text_backbone_text_transformer(const silc::TextBackboneContext& context);

namespace silc {
namespace {

using testing::kTowerTolerance;
using testing::near;

std::shared_ptr<TextBackbone> make_text(const std::map<std::string, OptionValue>& changes, int64_t end_id = 19) {
  std::map<std::string, OptionValue> all = {{"width", int64_t{8}}, {"layers", int64_t{2}}, {"heads", int64_t{2}}};
  for (const auto& [key, value] : changes) all[key] = value;
  const auto options = testing::options_of("text_transformer", all);
  return std::shared_ptr<TextBackbone>(silc_text_backbone_text_transformer(
      {.options = options, .vocabulary_size = 20, .context_length = 8, .padding_id = 0, .end_id = end_id}));
}

struct Variant {
  std::string name;
  std::string mask;
  std::string pooling;
};

class TextAgainstOpenClip : public ::testing::TestWithParam<Variant> {};

TEST_P(TextAgainstOpenClip, OutputAndGradientsAgree) {
  const auto& [name, mask, pooling] = GetParam();
  const auto fixture = testing::load_fixture("nn_text_transformer");
  const auto text = make_text({{"mask", mask}, {"pooling", pooling}});
  testing::load_parameters(*text, fixture, name + ".weight.");
  const auto pooled = text->forward(fixture.at(name + ".in.tokens"));
  EXPECT_TRUE(near(pooled, fixture.at(name + ".out.pooled"), kTowerTolerance));
  testing::expect_gradients(*text, fixture, name, {{"pooled", pooled}});
}

INSTANTIATE_TEST_SUITE_P(Variants, TextAgainstOpenClip,
                         ::testing::Values(Variant{"eot", "causal", "eot"}, Variant{"last", "bidirectional", "last"},
                                           Variant{"mean", "causal", "mean"}),
                         [](const auto& info) { return info.param.name; });

TEST(TextTransformer, WhatFollowsTheEndTokenDoesNotMatter) {
  const auto text = make_text({});
  auto tokens = at::tensor({18, 3, 19, 0, 0, 0, 0, 0}, at::kLong).unsqueeze(0);
  const auto before = text->forward(tokens);
  tokens.slice(1, 3).fill_(5);
  EXPECT_TRUE(near(text->forward(tokens), before.detach(), 1e-6));
}

TEST(TextTransformer, PoolsAtTheFirstEndTokenWhereOtherIdsAreGreater) {
  const auto text = make_text({}, 1);
  auto tokens = at::tensor({18, 3, 1, 1, 1, 1, 1, 1}, at::kLong).unsqueeze(0);
  const auto before = text->forward(tokens);
  tokens.slice(1, 3).fill_(19);
  EXPECT_TRUE(near(text->forward(tokens), before.detach(), 1e-6));
}

TEST(TextTransformer, RefusesTextsBeyondItsContext) {
  EXPECT_THROW(make_text({})->forward(at::zeros({1, 9}, at::kLong)), Error);
}

TEST(TextTransformer, RefusesAWidthThatTheHeadsDoNotDivide) { EXPECT_THROW(make_text({{"heads", int64_t{3}}}), Error); }

}  // namespace
}  // namespace silc
