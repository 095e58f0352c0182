// How a tensor of silc is made of those of a file, or one of a file of silc's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weights/weights.h"

namespace silc {

// Part of a tensor in a file.
struct TensorPart {
  std::string source;                     // the tensor's name in the file; empty: zeros of `shape`
  int64_t begin = 0;                      // first index: from here on,
  int64_t count = -1;                     // so many; -1: to the end
  std::vector<int64_t> shape = {};        // what was taken is read as of this shape; empty: as it is
  std::vector<int64_t> permutation = {};  // its indices in another order, as torch.permute has it; empty: as they are
};

struct Recipe {
  std::vector<TensorPart> parts;  // one after the other along the first index; none: an identity matrix, of as many
                                  // ones as there is room for
  std::vector<int64_t> shape;     // of the whole; its elements are those of the parts, in their order
  bool logarithm = false;         // natural, of each element
};

// In the computer's memory, the last index fastest.
struct HostTensor {
  std::vector<int64_t> shape;
  std::vector<float> values;
};

// The whole of a tensor as it is, of any type that holds numbers. Throws silc::Error naming file and tensor.
HostTensor read_floats(const WeightsFile& file, const std::string& name);

// Throws silc::Error naming the tensor where a part is not there or does not have the elements that are taken from it.
HostTensor follow(const Recipe& recipe, const WeightsFile& file);

}  // namespace silc
