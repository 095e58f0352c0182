// Changes of a crop's colours: what is drawn, and doing it. No LibTorch in the pixels' way.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "silc/objective.h"
#include "silc/random.h"

namespace silc {

// Every part is that of torchvision.transforms.
struct ColourJitter {
  enum class Adjustment : uint8_t { brightness, contrast, saturation, hue };
  std::array<Adjustment, 4> order = {Adjustment::brightness, Adjustment::contrast, Adjustment::saturation,
                                     Adjustment::hue};
  double brightness = 1;  // factor; 1: unchanged
  double contrast = 1;
  double saturation = 1;
  double hue = 0;  // turns of the colour wheel
};

// What happens to one crop, in this order.
struct ColourChange {
  std::optional<ColourJitter> jitter = {};
  bool greyscale = false;
  std::optional<double> blur = {};  // standard deviation in pixels of the crop
  bool solarize = false;
};

// Factors lie uniformly in [max(0, 1 − b), 1 + b], turns in [−hue, hue], standard deviations in blur_sigma.
ColourChange draw_colours(const Photometric& colours, Random& random);

bool changes_nothing(const ColourChange& change);

// Changes `pixels`, [3, size, size] in [-1, 1]. The blur's kernel has ⌈3σ⌉ pixels on each side of its centre, and the
// picture is mirrored at its edges.
void apply_colours(const ColourChange& change, int64_t size, float* pixels);

}  // namespace silc
