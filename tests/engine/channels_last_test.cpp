#include "engine/channels_last.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/utils.h>

#include <filesystem>

#include "engine/adamw.h"
#include "engine/parameters.h"
#include "engine/tensor_file.h"
#include "files/durable_file.h"

namespace silc {
namespace {

using torch::nn::Conv2d;
using torch::nn::Conv2dOptions;

// A filter of each kind: of pixels, of feature maps, depthwise, 1 x 1.
torch::nn::Sequential filters() {
  torch::manual_seed(2);
  return torch::nn::Sequential(Conv2d(Conv2dOptions(3, 8, 3)), Conv2d(Conv2dOptions(8, 8, 3)),
                               Conv2d(Conv2dOptions(8, 8, 3).groups(8)), Conv2d(Conv2dOptions(8, 4, 1)));
}

bool is_channels_last(const at::Tensor& filter) {
  return filter.is_contiguous(at::MemoryFormat::ChannelsLast) && !filter.is_contiguous();
}

// Three updates, and the parameters after them.
std::map<std::string, at::Tensor> train(torch::nn::Sequential& net) {
  torch::nn::Sequential nothing;
  AdamW optimizer(trainable_parameters(*net, *nothing), {});
  torch::manual_seed(3);
  const at::Tensor pictures = at::rand({2, 3, 12, 12}).contiguous(at::MemoryFormat::ChannelsLast);
  for (int i = 0; i < 3; ++i) {
    net->forward(pictures).square().mean().backward();
    optimizer.step(1e-2);
    optimizer.clear_gradients();
  }
  return module_state(*net, *nothing);
}

std::string bytes_of(const std::map<std::string, at::Tensor>& tensors) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("silc-channels-last-" + std::to_string(getpid()));
  write_tensors(file, tensors, {});
  const std::string bytes = read_file(file);
  std::filesystem::remove(file);
  return bytes;
}

TEST(ChannelsLast, AreTheFiltersOfFeatureMaps) {
  torch::nn::Sequential net = filters();
  lay_out_channels_last(*net);
  const auto filter = [&](size_t i) { return net->at<torch::nn::Conv2dImpl>(i).weight; };
  EXPECT_FALSE(is_channels_last(filter(0))) << "of pixels";
  EXPECT_TRUE(is_channels_last(filter(1)));
  EXPECT_EQ(filter(2).strides(), filters()->at<torch::nn::Conv2dImpl>(2).weight.strides()) << "depthwise";
  EXPECT_EQ(filter(3).strides(), filters()->at<torch::nn::Conv2dImpl>(3).weight.strides()) << "1 x 1";
}

TEST(ChannelsLast, LeaveCheckpointsAsTheyAre) {
  torch::nn::Sequential net = filters();
  torch::nn::Sequential nothing;
  const std::string before = bytes_of(module_state(*net, *nothing));
  lay_out_channels_last(*net);
  EXPECT_EQ(bytes_of(module_state(*net, *nothing)), before);
}

TEST(ChannelsLast, TrainToTheSameValues) {
  torch::nn::Sequential plain = filters();
  torch::nn::Sequential laid_out = filters();
  lay_out_channels_last(*laid_out);
  const auto expected = train(plain);
  for (const auto& [name, value] : train(laid_out))
    EXPECT_TRUE(at::allclose(value, expected.at(name), 1e-4, 1e-6)) << name;
  EXPECT_TRUE(is_channels_last(laid_out->at<torch::nn::Conv2dImpl>(1).weight)) << "still";
}

}  // namespace
}  // namespace silc
