// The layout of convolutions' filters.
#pragma once

#include <torch/nn/module.h>

namespace silc {

// Lays out the filters of convolutions over feature maps in channels-last order, in place: that of the maps, which
// backbones bring into it at their stem, so that cuDNN has nothing to rearrange. Those that read pixels stay, and so do
// those whose bytes are the same either way (1 x 1 and depthwise ones). Values, names and checkpoints do not change.
void lay_out_channels_last(torch::nn::Module& module);

}  // namespace silc
