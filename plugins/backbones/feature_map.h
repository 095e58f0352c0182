// What convolutional backbones share: stages as options, and the last feature map as patch tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "silc/backbone.h"

namespace silc {

// "3,4,6,3" → {3, 4, 6, 3}. Throws silc::Error, naming backbone and option, for what is no list of 1 to 8 whole numbers
// from 1 to 16384.
std::vector<int64_t> parse_stages(const std::string& text, const char* backbone, const char* option);

// Throws silc::Error unless views of image_size are a whole number of steps of `stride` pixels.
void check_image_size(int64_t image_size, int64_t stride, const char* backbone);

// Throws silc::Error unless a view of these sizes ([B, 3, H, W]) is at least `stride` pixels high and wide.
void check_view_size(const at::Tensor& images, int64_t stride, const char* backbone);

// map: [B, D, H, W] → [B, H·W, D], row by row.
at::Tensor patch_tokens(const at::Tensor& map);

}  // namespace silc
