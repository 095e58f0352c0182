#include "weights/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "files/safetensors.h"
#include "silc/error.h"
#include "weights/element_types.h"

namespace silc {
namespace {

int64_t elements_of(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

[[noreturn]] void refuse(const TensorPart& part, const std::vector<int64_t>& shape) {
  throw Error(fmt::format("tensor \"{}\" has the shape {}, which does not fit the rest of the model", part.source,
                          shape_text(shape)));
}

// Appends the elements of `values`, of `shape`, with their indices in the order of `permutation`.
void append_permuted(const float* values, const std::vector<int64_t>& shape, const std::vector<int64_t>& permutation,
                     std::vector<float>& result) {
  const std::size_t dimensions = shape.size();
  std::vector<int64_t> strides(dimensions, 1);
  for (std::size_t d = dimensions; d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  std::vector<int64_t> extents(dimensions), steps(dimensions), index(dimensions, 0);
  for (std::size_t d = 0; d < dimensions; ++d) {
    extents[d] = shape[static_cast<std::size_t>(permutation[d])];
    steps[d] = strides[static_cast<std::size_t>(permutation[d])];
  }
  int64_t offset = 0;
  for (int64_t left = elements_of(shape); left > 0; --left) {
    result.push_back(values[offset]);
    for (std::size_t d = dimensions; d-- > 0;) {
      offset += steps[d];
      if (++index[d] < extents[d]) break;
      offset -= steps[d] * extents[d];
      index[d] = 0;
    }
  }
}

bool is_permutation_of(const std::vector<int64_t>& permutation, std::size_t dimensions) {
  std::vector<int64_t> all(dimensions);
  std::iota(all.begin(), all.end(), 0);
  return std::is_permutation(permutation.begin(), permutation.end(), all.begin(), all.end());
}

void append(const TensorPart& part, HostTensor tensor, std::vector<float>& result) {
  std::vector<int64_t> shape = tensor.shape;
  const float* values = tensor.values.data();
  if (part.begin != 0 || part.count >= 0) {
    if (shape.empty() || part.begin < 0 || part.begin > shape[0]) refuse(part, shape);
    const int64_t count = part.count >= 0 ? part.count : shape[0] - part.begin;
    if (count > shape[0] - part.begin) refuse(part, shape);
    const int64_t row = shape[0] == 0 ? 0 : elements_of(shape) / shape[0];
    values += part.begin * row;
    shape[0] = count;
  }
  if (!part.shape.empty()) {
    if (elements_of(part.shape) != elements_of(shape)) refuse(part, tensor.shape);
    shape = part.shape;
  }
  if (part.permutation.empty()) {
    result.insert(result.end(), values, values + elements_of(shape));
    return;
  }
  if (!is_permutation_of(part.permutation, shape.size())) refuse(part, tensor.shape);
  append_permuted(values, shape, part.permutation, result);
}

HostTensor identity(const std::vector<int64_t>& shape) {
  HostTensor result{.shape = shape, .values = std::vector<float>(static_cast<std::size_t>(elements_of(shape)), 0.0F)};
  for (int64_t i = 0; i < std::min(shape.at(0), shape.at(1)); ++i)
    result.values[static_cast<std::size_t>(i * shape[1] + i)] = 1;
  return result;
}

bool is_plain(const Recipe& recipe) {
  const TensorPart& part = recipe.parts.front();
  return recipe.parts.size() == 1 && !part.source.empty() && part.begin == 0 && part.count < 0 && part.shape.empty() &&
         part.permutation.empty();
}

}  // namespace

HostTensor read_floats(const WeightsFile& file, const std::string& name) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) throw Error(fmt::format("there is no tensor \"{}\"", name));
  const WeightShape& about = found->second;
  if (!has_values(about.dtype))
    throw Error(fmt::format("tensor \"{}\" is of type {}, which cannot be read as numbers", name, about.dtype));
  HostTensor tensor{.shape = about.shape, .values = {}};
  file.visit(name, [&](std::span<const std::byte> bytes) {
    tensor.values.resize(bytes.size() / element_size(about.dtype));
    if (static_cast<int64_t>(tensor.values.size()) != elements_of(about.shape))
      throw Error(fmt::format("tensor \"{}\" does not have as many elements as its shape {} says", name,
                              shape_text(about.shape)));
    read_as_floats(about.dtype, bytes, tensor.values);
  });
  return tensor;
}

HostTensor follow(const Recipe& recipe, const WeightsFile& file) {
  if (recipe.parts.empty()) return identity(recipe.shape);
  HostTensor result{.shape = recipe.shape, .values = {}};
  if (is_plain(recipe)) {
    HostTensor whole = read_floats(file, recipe.parts.front().source);
    if (elements_of(whole.shape) != elements_of(recipe.shape)) refuse(recipe.parts.front(), whole.shape);
    result.values = std::move(whole.values);
  } else {
    result.values.reserve(static_cast<std::size_t>(std::max<int64_t>(elements_of(recipe.shape), 0)));
    for (const TensorPart& part : recipe.parts) {
      if (part.source.empty())
        result.values.resize(result.values.size() + static_cast<std::size_t>(elements_of(part.shape)), 0.0F);
      else
        append(part, read_floats(file, part.source), result.values);
    }
    if (static_cast<int64_t>(result.values.size()) != elements_of(recipe.shape))
      throw Error(
          fmt::format("the shape of tensor \"{}\" does not fit the rest of the model", recipe.parts.front().source));
  }
  if (recipe.logarithm)
    for (float& value : result.values) value = std::log(value);
  return result;
}

}  // namespace silc
