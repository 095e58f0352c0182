#include "engine/channels_last.h"

#include <torch/nn/modules/conv.h>

namespace silc {
namespace {

constexpr int64_t kColours = 3;

bool gains(const at::Tensor& filter) {  // [C_out, C_in / groups, h, w]
  return filter.size(1) > kColours && filter.size(2) * filter.size(3) > 1;
}

}  // namespace

void lay_out_channels_last(torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  module.apply([](torch::nn::Module& part) {
    const auto* convolution = part.as<torch::nn::Conv2dImpl>();
    if (convolution == nullptr || !gains(convolution->weight)) return;
    at::Tensor weight = convolution->weight;
    weight.set_data(weight.detach().contiguous(at::MemoryFormat::ChannelsLast));
  });
}

}  // namespace silc
