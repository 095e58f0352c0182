// What a file of weights holds, in figures.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "weights/weights.h"

namespace silc {

// Of one tensor, or of several together.
struct WeightFigures {
  int64_t tensors = 0, parameters = 0;
  std::map<std::string, int64_t> dtypes;  // parameters of each
  // Of tensors that hold no integers:
  int64_t floating = 0;    // parameters
  double squares = 0;      // the sum of the squares of what is finite
  double greatest = 0;     // of the absolute values of what is finite
  int64_t not_finite = 0;  // NaN or infinite

  void add(const WeightFigures& other);
};

WeightFigures figures_of(const WeightsFile& file, const std::string& name);

// The part of a model that a tensor belongs to, by the names that open_clip, transformers, big_vision and silc give:
// "image", "text", "objective" and "teacher" of silc, "optimizer", or "other".
std::string tower_of(std::string_view name);

}  // namespace silc
