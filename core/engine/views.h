// Views of a picture: where to cut, and cutting. No LibTorch in the pixels' way.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "pictures/decode.h"
#include "pictures/resample.h"
#include "silc/dataset.h"
#include "silc/objective.h"
#include "silc/random.h"
#include "spec/cell.h"

namespace silc {

struct Crop {
  int64_t x = 0;  // left edge, pixels
  int64_t y = 0;  // upper edge
  int64_t width = 0;
  int64_t height = 0;
  bool flip = false;  // mirrored left to right
};

// A random resized crop of a picture of width × height pixels, as torchvision's RandomResizedCrop draws it: ten
// attempts at an area and an aspect ratio that fit, then the greatest central crop within the range of aspect ratios.
// The whole picture where the area is {1, 1}.
Crop random_crop(const ViewSpec& view, int64_t width, int64_t height, Random& random);

// How a picture becomes what the model sees.
struct ImageTransform {
  enum class Resize : uint8_t {
    squash,    // the whole picture, its aspect ratio not kept
    shortest,  // its shorter side to the model's size, then the central square: Resize and CenterCrop of torchvision
  };

  Resize resize = Resize::squash;  // of pictures under evaluation; training cuts crops
  Interpolation interpolation = Interpolation::bilinear;
  // Values are (v − mean) / std for v in [0, 1]; ½ and ½ give [-1, 1].
  std::array<float, 3> mean = {0.5F, 0.5F, 0.5F};
  std::array<float, 3> std = {0.5F, 0.5F, 0.5F};
};

ImageTransform image_transform(const ImageSettings& settings);

// Cuts and resizes to size × size, antialiased (pictures/resample.h), into [3, size, size] floats in [-1, 1], or what
// `shown` makes of them.
void cut_view(const PixelView& pixels, const Crop& crop, int64_t size, Interpolation interpolation, float* into,
              const Shown& shown = {});

// From values in [-1, 1] to those that the model was trained on.
Shown normalising(const ImageTransform& transform);

// A picture under evaluation: `transform` from its pixels on, into [3, size, size].
void cut_evaluated(const Image& image, const ImageTransform& transform, int64_t size, float* into);

// At how much reduced a size a JPEG may be decoded for `crop` to become size × size: what is cut from it is never
// enlarged unless it would be anyway.
int64_t greatest_reduction(const Crop& crop, int64_t size);

// The smallest region that holds `region` and `crop`; `region` of no width holds nothing.
Region joined(const Region& region, const Crop& crop);

// The same crop of `mask`, [height, width] pixel classes of a picture that is `width` pixels wide, into [size, size]:
// the class at the centre of each new pixel (nearest neighbour, as Pillow and at::upsample_nearest_exact have it).
void cut_mask(const std::vector<uint8_t>& mask, int64_t width, const Crop& crop, int64_t size, uint8_t* into);

}  // namespace silc
