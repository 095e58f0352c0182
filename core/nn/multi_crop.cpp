#include "nn/multi_crop.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace silc {

namespace {

Photometric dino_colours(double blur, double solarize) {
  return {.jitter = 0.8, .greyscale = 0.2, .blur = blur, .solarize = solarize};
}

}  // namespace

Photometric local_crop_colours() { return dino_colours(0.5, 0); }

std::vector<ViewSpec> multi_crop_views(const MultiCrop& crops) {
  const auto if_asked = [&](const Photometric& colours) { return crops.colours ? colours : Photometric{}; };
  std::vector<ViewSpec> views = {
      {.name = "global_1", .area = crops.global_area, .flip = true, .colours = if_asked(dino_colours(1.0, 0))},
      {.name = "global_2", .area = crops.global_area, .flip = true, .colours = if_asked(dino_colours(0.1, 0.2))}};
  if (crops.local_views > 0)
    views.push_back({.name = "local",
                     .count = crops.local_views,
                     .size = crops.local_size,
                     .area = crops.local_area,
                     .flip = true,
                     .colours = if_asked(local_crop_colours())});
  return views;
}

at::Tensor global_crops(const Batch& batch) {
  return at::cat({batch.views.at("global_1"), batch.views.at("global_2")});
}

int64_t local_crop_size(int64_t wanted, int64_t image_size) {
  constexpr int64_t kMultiple = 16;
  if (wanted > 0) return wanted;
  const double size = static_cast<double>(image_size) * 96 / 224;
  return std::max<int64_t>(kMultiple, std::llround(size / kMultiple) * kMultiple);
}

}  // namespace silc
