#include "nn/multi_crop.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace silc {

namespace {

Photometric dino_colours(double blur, double solarize) {
  return {.jitter = 0.8, .greyscale = 0.2, .blur = blur, .solarize = solarize};
}

int64_t local_crop_size(int64_t image_size) {
  constexpr int64_t kMultiple = 16;
  const double size = static_cast<double>(image_size) * 96 / 224;
  return std::max<int64_t>(kMultiple, std::llround(size / kMultiple) * kMultiple);
}

}  // namespace

Photometric local_crop_colours() { return dino_colours(0.5, 0); }

ViewSpec LocalCropOptions::view(const Options& options, int64_t image_size) const {
  return {.name = "local",
          .count = options[views],
          .size = options[size] > 0 ? options[size] : local_crop_size(image_size),
          .area = options[area]};
}

std::vector<ViewSpec> MultiCropOptions::specs(const Options& options, int64_t image_size) const {
  const auto crop = [&](ViewSpec view, const Photometric& photometric) {
    view.flip = true;
    if (options[colours]) view.colours = photometric;
    return view;
  };
  const auto global = options[global_area];
  std::vector<ViewSpec> views = {crop({.name = "global_1", .area = global}, dino_colours(1.0, 0)),
                                 crop({.name = "global_2", .area = global}, dino_colours(0.1, 0.2))};
  if (options[local.views] > 0) views.push_back(crop(local.view(options, image_size), local_crop_colours()));
  return views;
}

at::Tensor global_crops(const Batch& batch) {
  return at::cat({batch.views.at("global_1"), batch.views.at("global_2")});
}

}  // namespace silc
