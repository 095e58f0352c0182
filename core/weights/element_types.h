// The types of a tensor's elements, by the names that safetensors gives them.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace silc {

// Whether its elements are no integers.
bool is_floating(std::string_view dtype);

// The elements of a buffer as numbers; what is left of a last one is none. Types of 8 bits that are no integers give
// NaN.
void read_elements(std::string_view dtype, std::span<const std::byte> bytes, std::vector<double>& values);

// Whether elements of this type can be read.
bool has_values(std::string_view dtype);

// The elements of a buffer, one for each of `values`.
void read_as_floats(std::string_view dtype, std::span<const std::byte> bytes, std::span<float> values);

}  // namespace silc
