// Every backbone runs on a device that is not the CPU, forward and backward, without making the host wait, to the same
// values, and without values.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/utils.h>

#include "built_in.h"
#include "device.h"
#include "engine/channels_last.h"
#include "engine/conformance/small_options.h"
#include "engine/shapes_only.h"
#include "plugin/loader.h"

namespace silc::testing {
namespace {

using ::testing::IsEmpty;

constexpr int64_t kImageSize = 64;

struct Outcome {
  at::Tensor value;
  at::Tensor gradient;  // of all parameters, in one row
  std::vector<std::string> waits;
};

// A number that depends on everything that `forward` gives, and its gradient.
template <class Forward>
Outcome train(const torch::nn::Module& backbone, const Forward& forward) {
  Outcome outcome;
  {
    const Waits listening;
    at::Tensor loss;
    for (const at::Tensor& output : forward()) {
      const at::Tensor part = (output * output).mean() + output.mean();
      loss = loss.defined() ? loss + part : part;
    }
    loss.backward();
    outcome.waits = listening.found();
    outcome.value = loss.detach();
  }
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : backbone.parameters())
    if (parameter.grad().defined()) gradients.push_back(parameter.grad().flatten());
  outcome.gradient = at::cat(gradients);
  if (outcome.value.is_meta()) return outcome;
  outcome.gradient = outcome.gradient.cpu();
  outcome.value = outcome.value.cpu();
  return outcome;
}

void expect_alike(const Outcome& there, const Outcome& here) {
  EXPECT_THAT(there.waits, IsEmpty());
  EXPECT_TRUE(at::allclose(there.value, here.value, 1e-4, 1e-5)) << there.value << " for " << here.value;
  EXPECT_TRUE(at::allclose(there.gradient, here.gradient, 1e-2, 1e-5));
}

void move(torch::nn::Module& backbone, const at::Device& device) {
  if (device.is_meta()) {
    forget_values(backbone);
  } else {
    backbone.to(device);
  }
}

class ImageBackbones : public ::testing::TestWithParam<PluginInfo> {};

Outcome train_on_pictures(const PluginInfo& plugin, const at::Device& device) {
  torch::manual_seed(1);
  nlohmann::json chosen = nlohmann::json::object();
  if (plugin.name == "convnext") chosen = {{"depths", "1,1"}, {"widths", "8,16"}};
  if (plugin.name == "resnet") chosen = {{"depths", "1,1"}};
  const Options options = conformance::small_options(plugin, chosen);
  const auto backbone = make_image_backbone(plugin, {.options = options, .image_size = kImageSize});
  move(*backbone, device);
  if (!device.is_cpu()) lay_out_channels_last(*backbone);  // as the engine does on a GPU
  const at::Tensor pictures = at::rand({3, 3, kImageSize, kImageSize}).to(device);
  return train(*backbone, [&] {
    const ImageFeatures features = backbone->forward(pictures);
    return std::vector{features.pooled, features.patches};
  });
}

TEST_P(ImageBackbones, WaitForNothingAndGiveTheCpusValues) {
  expect_alike(train_on_pictures(GetParam(), pretended_gpu()), train_on_pictures(GetParam(), at::kCPU));
}

TEST_P(ImageBackbones, DependOnNoValue) {
  const ShapesOnly shapes;
  EXPECT_EQ(train_on_pictures(GetParam(), at::kMeta).gradient.sizes(),
            train_on_pictures(GetParam(), at::kCPU).gradient.sizes());
}

INSTANTIATE_TEST_SUITE_P(Every, ImageBackbones, ::testing::ValuesIn(built_in(PluginKind::image_backbone)),
                         [](const ::testing::TestParamInfo<PluginInfo>& info) { return info.param.name; });

class TextBackbones : public ::testing::TestWithParam<PluginInfo> {};

Outcome train_on_texts(const PluginInfo& plugin, const at::Device& device) {
  constexpr int64_t kLength = 12;
  constexpr int64_t kWords = 40;
  torch::manual_seed(1);
  const Options options = conformance::small_options(plugin, nlohmann::json::object());
  const auto backbone = make_text_backbone(plugin, {.options = options,
                                                    .vocabulary_size = kWords,
                                                    .context_length = kLength,
                                                    .padding_id = 0,
                                                    .end_id = kWords - 1});
  move(*backbone, device);
  const at::Tensor texts = at::randint(1, kWords, {3, kLength}, at::kLong).to(device);
  return train(*backbone, [&] { return std::vector{backbone->forward(texts)}; });
}

TEST_P(TextBackbones, WaitForNothingAndGiveTheCpusValues) {
  expect_alike(train_on_texts(GetParam(), pretended_gpu()), train_on_texts(GetParam(), at::kCPU));
}

TEST_P(TextBackbones, DependOnNoValue) {
  const ShapesOnly shapes;
  EXPECT_EQ(train_on_texts(GetParam(), at::kMeta).gradient.sizes(),
            train_on_texts(GetParam(), at::kCPU).gradient.sizes());
}

INSTANTIATE_TEST_SUITE_P(Every, TextBackbones, ::testing::ValuesIn(built_in(PluginKind::text_backbone)),
                         [](const ::testing::TestParamInfo<PluginInfo>& info) { return info.param.name; });

}  // namespace
}  // namespace silc::testing
